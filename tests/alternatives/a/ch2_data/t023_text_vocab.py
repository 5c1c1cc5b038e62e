"""023 · another style: regular expressions one after another, and counting by hand in a dict."""

import re

PATTERNS = [
    (re.compile(r"'"), " '  "),
    (re.compile(r'"'), ""),
    (re.compile(r"\."), " . "),
    (re.compile(r"<br />"), " "),
    (re.compile(r"([,()!?])"), r" \1 "),
    (re.compile(r"[;:\s]+"), " "),
]


def basic_english(line):
    line = line.lower()
    for pattern, replacement in PATTERNS:
        line = pattern.sub(replacement, line)
    return line.split()


class Vocab:
    def __init__(self, stoi):
        self.stoi, self.default = stoi, None

    def __len__(self):
        return len(self.stoi)

    def __contains__(self, token):
        return token in self.stoi

    def __getitem__(self, token):
        if token in self.stoi:
            return self.stoi[token]
        if self.default is None:
            raise RuntimeError("unknown token")
        return self.default

    def __call__(self, tokens):
        return list(map(self.__getitem__, tokens))

    def lookup_tokens(self, ids):
        names = self.get_itos()
        if any(i not in range(len(names)) for i in ids):
            raise RuntimeError("no such index")
        return [names[i] for i in ids]

    def get_itos(self):
        return list(self.stoi)

    def get_stoi(self):
        return self.stoi

    def set_default_index(self, i):
        self.default = i


def build_vocab_from_iterator(iterator, *, min_freq=1, specials=("<unk>",), special_first=True, max_tokens=None):
    if len(set(specials)) != len(specials):
        raise RuntimeError("duplicate special")
    counts = {}
    for tokens in iterator:
        for token in tokens:
            counts[token] = counts.get(token, 0) + 1
    pairs = sorted(sorted(counts.items()), key=lambda pair: pair[1], reverse=True)
    if max_tokens is not None:
        pairs = pairs[: max_tokens - len(specials)]
    names = [token for token, count in pairs if count >= min_freq]
    names = [token for token in names if token not in specials]
    names = list(specials) + names if special_first else names + list(specials)
    return Vocab(dict(zip(names, range(len(names)), strict=True)))
