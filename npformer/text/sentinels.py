"""Sentinels: tokens that stand for what was taken out of a text, [S0], [S1], ...

They lie at the end of a vocabulary, after the pieces, and only where a model needs them: the vocabularies of
other models have none. Written in a text they are text, unless its special tokens are to be read as such, or
they alone (`encode_sentinels`).
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from typing import Any


def sentinel_tokens(n: int) -> list[str]:
    """Return the first n of them.

    Examples
    --------
    >>> sentinel_tokens(3)
    ['[S0]', '[S1]', '[S2]']
    """
    return [f"[S{i}]" for i in range(n)]


def count_sentinels(vocab: Container[str]) -> int:
    """Return how many of [S0], [S1], ... there are in a row.

    Examples
    --------
    >>> count_sentinels({"[S0]", "[S1]", "[S3]"})
    2
    """
    n = 0
    while f"[S{n}]" in vocab:
        n += 1
    return n


def pattern_of(tokens: Iterable[str]) -> re.Pattern[str]:
    """Return the pattern that splits a text at `tokens`, keeping them.

    Examples
    --------
    >>> pattern_of(["[MASK]", "[S0]"]).split("a [S0] b")
    ['a ', '[S0]', ' b']
    """
    return re.compile("(" + "|".join(map(re.escape, tokens)) + ")")


def encode_sentinels(tokenizer: Any, text: str) -> list[int]:
    """Return the ids of a text whose sentinels are tokens; other special tokens written in it are text.

    Parameters
    ----------
    tokenizer : WordPieceTokenizer or CharacterTokenizer
    text : str

    Examples
    --------
    >>> from npformer.text import CharacterTokenizer
    >>> tokenizer = CharacterTokenizer.train(["ab [SEP]"]).with_sentinels(1)
    >>> tokenizer.decode(encode_sentinels(tokenizer, "a[S0]b[SEP]"), skip_special=True)
    'a[S0]b[SEP]'
    """
    ids_of = {tokenizer.vocab[i]: i for i in tokenizer.sentinel_ids}
    ids: list[int] = []
    for part in pattern_of(ids_of).split(text) if ids_of else [text]:
        ids += [ids_of[part]] if part in ids_of else tokenizer.encode_plain(part, specials=False)
    return ids
