"""Pairs of segments out of rows of sentences, laid out as BERT reads them.

    row     [CLS] sentence [SEP] sentence [SEP] ... sentence [PAD]      of one document; its first column says
                                                                        [CLS] where the document begins in it,
                                                                        [SEP] where it goes on
    pair    [CLS] A [SEP] B [SEP] [PAD] ...                             segments 0 and 1

(text/sentence_rows.py makes such rows.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

Array = Any


class Marks(NamedTuple):
    """The ids of the special tokens in rows and pairs."""

    cls: int
    sep: int
    pad: int


class SentencePairs(NamedTuple):
    """Pairs, and what is to be said of each."""

    ids: Array  # (B, T)
    mask: Array  # (B, T) bool, True = a real token
    segment_ids: Array  # (B, T)
    at: Array  # (B,) flat positions of the first tokens in (B, T)
    targets: Array  # (B,) the class of each pair, 0 or 1


def sentences_of(row: Array, marks: Marks) -> tuple[Array, Array]:
    """Return the tokens of a row, and where in them its second and later sentences begin.

    Raises
    ------
    ValueError
        If there is one sentence only.

    Examples
    --------
    >>> sentences_of(np.array([3, 7, 8, 3, 9, 3, 5, 6, 0]), Marks(cls=2, sep=3, pad=0))
    (array([7, 8, 9, 5, 6]), array([2, 3]))
    """
    body = row[1:]
    ends = np.flatnonzero(body == marks.sep)
    if not ends.size:
        raise ValueError("a row of one sentence: expected two at least, with [SEP] between them")
    return body[(body != marks.sep) & (body != marks.pad)], ends - np.arange(ends.size)


def lay_out(
    pairs: Sequence[tuple[Array, Array]], classes: Sequence[int], T: int, marks: Marks
) -> SentencePairs:
    """Return pairs (A, B) as sequences of `T` tokens.

    Raises
    ------
    ValueError
        If a pair has more than T - 3 tokens.

    Examples
    --------
    >>> made = lay_out([([7, 8], [9])], [1], 8, Marks(cls=2, sep=3, pad=0))
    >>> made.ids, made.segment_ids, made.at, made.targets
    (array([[2, 7, 8, 3, 9, 3, 0, 0]]), array([[0, 0, 0, 0, 1, 1, 0, 0]]), array([0]), array([1]))
    """
    B = len(pairs)
    ids = np.full((B, T), marks.pad)
    segment_ids = np.zeros((B, T), dtype=np.intp)
    for i, (a, b) in enumerate(pairs):
        middle, end = len(a) + 1, len(a) + len(b) + 2  # the places of [SEP]
        if end >= T:
            raise ValueError(f"a pair of {len(a)} and {len(b)} tokens: expected at most {T - 3} in all")
        ids[i, 0], ids[i, middle], ids[i, end] = marks.cls, marks.sep, marks.sep
        ids[i, 1:middle], ids[i, middle + 1 : end] = a, b
        segment_ids[i, middle + 1 : end + 1] = 1
    targets = np.array(classes, dtype=np.intp)
    return SentencePairs(ids, ids != marks.pad, segment_ids, T * np.arange(B), targets)
