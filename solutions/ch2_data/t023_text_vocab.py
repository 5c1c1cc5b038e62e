"""023 · 分詞與詞彙表：參考解"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain

# 順序有意義：引號與句點先換，<br /> 才換。
RULES = [("'", " ' "), ('"', ""), (".", " . "), ("<br />", " ")]
RULES += [(mark, f" {mark} ") for mark in ",()!?"] + [(mark, " ") for mark in ";:"]


def basic_english(line: str) -> list[str]:
    """一行文字 -> 小寫的 token。"""
    line = line.lower()
    for old, new in RULES:
        line = line.replace(old, new)
    return line.split()


class Vocab:
    """token 與索引的對照。"""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._itos = list(tokens)
        self._stoi = {token: index for index, token in enumerate(self._itos)}
        self._default: int | None = None
        if len(self._stoi) < len(self._itos):
            raise RuntimeError(f"詞彙表裡有重複的 token：{Counter(self._itos).most_common(1)[0][0]}")

    def __len__(self) -> int:
        return len(self._itos)

    def __contains__(self, token: str) -> bool:
        return token in self._stoi

    def __getitem__(self, token: str) -> int:
        """token 的索引，或預設索引。"""
        index = self._stoi.get(token, self._default)
        if index is None:  # 不能寫 if not index：0 是合法的索引
            raise RuntimeError(f"詞彙表裡沒有 {token!r}，也沒有設定預設索引")
        return index

    def __call__(self, tokens: Sequence[str]) -> list[int]:
        """各 token 的索引。"""
        return [self[token] for token in tokens]

    def lookup_tokens(self, ids: Sequence[int]) -> list[str]:
        """各索引的 token。"""
        for index in ids:
            if not 0 <= index < len(self):  # 負的索引在 list 裡會從尾端數起
                raise RuntimeError(f"索引 {index} 不在 0 到 {len(self) - 1} 之內")
        return [self._itos[index] for index in ids]

    def get_itos(self) -> list[str]:
        return list(self._itos)

    def get_stoi(self) -> dict[str, int]:
        return dict(self._stoi)

    def set_default_index(self, i: int | None) -> None:
        self._default = i


def build_vocab_from_iterator(
    iterator: Iterable[list[str]],
    *,
    min_freq: int = 1,
    specials: Sequence[str] = ("<unk>",),
    special_first: bool = True,
    max_tokens: int | None = None,
) -> Vocab:
    """逐次給出 token 的 iterator -> Vocab。"""
    counts = Counter(chain.from_iterable(iterator))
    ordered = sorted(counts, key=lambda token: (-counts[token], token))
    if max_tokens is not None:
        ordered = ordered[: max_tokens - len(specials)]
    # 先截斷再去掉 specials：資料裡的 specials 也占名額，torchtext 就是如此。
    kept = [token for token in ordered if counts[token] >= min_freq and token not in specials]
    return Vocab([*specials, *kept] if special_first else [*kept, *specials])
