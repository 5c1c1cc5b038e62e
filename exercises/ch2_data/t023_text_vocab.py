"""023 · 使用 torchtext 來處理文本數據

題目
    torchtext 已經停止維護，不能與目前的 torch 一起載入；這一題照 torchtext 0.18 的結果，重寫它最常用的三樣：
    basic_english 分詞、Vocab、build_vocab_from_iterator。評分的標準答案是 torchtext 0.18 實際給出、錄下來的。

    許多文章用 Counter.most_common 建詞彙表，次數相同的 token 就照出現的先後；torchtext 依字典序，與資料的順序無關。

介面
    basic_english(line) -> list[str]
        先 line.lower()，再依下表由上而下，逐列把整行裡的左邊都換成右邊，最後以空白切開（str.split()）：

            '            前後加空白，自成一個 token
            "            刪去，前後因此相連
            .            前後加空白
            <br />       空白（要完全一樣；前兩列先換，所以 <br "/> 也算，<br ./> 不算）
            , ( ) ! ?    前後加空白
            ; :          空白

        其他字元（連字號、全形標點、彎引號……）都不動。
    build_vocab_from_iterator(iterator, *, min_freq=1, specials=("<unk>",), special_first=True, max_tokens=None)
        傳回 Vocab。iterator 逐次給出一串 token（list[str]），只能讀一遍。
        1. 算出現次數，由多到少排，次數相同的依字典序（str 的 <）。
        2. 有 max_tokens 就只留前 max_tokens − len(specials) 個；max_tokens 一定大於 len(specials)。
        3. 去掉次數少於 min_freq 的，再去掉也在 specials 裡的（這些仍然占了第 2 步的名額）。
        4. specials 依給的順序放在最前面，special_first=False 時放在最後面。
        specials 有重複時拋出 RuntimeError。
    Vocab（由 build_vocab_from_iterator 建立，建構方式自訂）
        len(vocab)、token in vocab；get_itos() 是依索引排的 token（list），get_stoi() 是 token 到索引的 dict。
        vocab[token]、vocab(tokens) 查索引。沒有的 token 給預設索引；沒有設定預設索引時拋出 RuntimeError。
        set_default_index(i) 設定預設索引：任何整數都收，不檢查範圍；None 取消。剛建好時沒有，有 <unk> 也一樣。
        lookup_tokens(ids) 由索引查 token；索引不在 0 到 len(vocab) − 1 之內（負的也是）時拋出 RuntimeError。

評分
    形狀  len、get_itos、get_stoi 的型別與內容彼此一致
    數值  錄下的與隨機產生的句子，分詞都符合上表；錄下的與隨機產生的資料，get_itos() 都符合上述步驟；各參數的預設值；
          錄下的查詢（vocab[token]、in、vocab(tokens)、lookup_tokens，預設索引有設、沒設、取消）結果與例外相同
    行為  iterator 只讀一遍；specials 有重複時拋出 RuntimeError
    速度  二十萬個 token 的 build_vocab_from_iterator，不超過參考解的 20 倍（逐個 token 用 list.count、list.index、
          in list，或逐行把 Counter 相加，都會超過）

範例
    >>> basic_english("Wait; what?! It's 3.14")
    ['wait', 'what', '?', '!', 'it', "'", 's', '3', '.', '14']
    >>> vocab = build_vocab_from_iterator([["c", "b", "a"], ["b", "a", "b"]], specials=("<unk>", "<pad>"))
    >>> vocab.get_itos()
    ['<unk>', '<pad>', 'b', 'a', 'c']
    >>> vocab.set_default_index(vocab["<unk>"])
    >>> vocab(["c", "zebra"])
    [4, 0]

面試追問
    1. 詞彙表該不該看到驗證集？沒看過的詞，子詞（BPE、WordPiece）怎麼處理？
    2. <pad> 的索引為什麼要讓 nn.Embedding 與 loss 都知道？
    3. 語料大到記憶體放不下所有不同的 token 時，怎麼取最常見的 k 個？
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain


def basic_english(line: str) -> list[str]:
    """一行文字 -> 小寫的 token。"""
    raise NotImplementedError("TODO 023")


class Vocab:
    """token 與索引的對照。"""

    def __len__(self) -> int:
        raise NotImplementedError("TODO 023")

    def __contains__(self, token: str) -> bool:
        raise NotImplementedError("TODO 023")

    def __getitem__(self, token: str) -> int:
        """token 的索引，或預設索引。"""
        raise NotImplementedError("TODO 023")

    def __call__(self, tokens: Sequence[str]) -> list[int]:
        """各 token 的索引。"""
        raise NotImplementedError("TODO 023")

    def lookup_tokens(self, ids: Sequence[int]) -> list[str]:
        """各索引的 token。"""
        raise NotImplementedError("TODO 023")

    def get_itos(self) -> list[str]:
        raise NotImplementedError("TODO 023")

    def get_stoi(self) -> dict[str, int]:
        raise NotImplementedError("TODO 023")

    def set_default_index(self, i: int | None) -> None:
        raise NotImplementedError("TODO 023")


def build_vocab_from_iterator(
    iterator: Iterable[list[str]],
    *,
    min_freq: int = 1,
    specials: Sequence[str] = ("<unk>",),
    special_first: bool = True,
    max_tokens: int | None = None,
) -> Vocab:
    """逐次給出 token 的 iterator -> Vocab。"""
    raise NotImplementedError("TODO 023")
