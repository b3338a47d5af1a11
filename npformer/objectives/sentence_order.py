"""Sentence-order prediction: do the two segments stand in their order, or have they been swapped?

    A, B   a row's sentences up to one of its sentence ends, drawn uniformly, and the rest of it
    input  with probability ½ [CLS] A [SEP] B [SEP], else [CLS] B [SEP] A [SEP]
    loss   mean over the pairs of -log softmax(logits)[class]

What is talked about is the same in both segments, so the topic, by which next sentences are told, says
nothing. The class is 1 in order and 0 swapped.

References
----------
Lan et al.: ALBERT, arXiv:1909.11942, section 3.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._pairs import Marks, SentencePairs, lay_out, sentences_of

Array = Any

SWAPPED, IN_ORDER = 0, 1


class SentenceOrder:
    """Makes pairs of which half are swapped; `Summed` has their loss, through the model's `nsp_head`.

    Parameters
    ----------
    cls_id, sep_id, pad_id : int

    Examples
    --------
    >>> objective = SentenceOrder(cls_id=2, sep_id=3, pad_id=0)
    >>> rows = np.array([[2, 7, 8, 3, 9, 0]] * 2)
    >>> pairs = objective.make_pairs(rows, None, [np.random.default_rng(i) for i in (0, 2)], T=8)
    >>> pairs.ids, pairs.targets
    (array([[2, 9, 3, 7, 8, 3, 0, 0],
           [2, 7, 8, 3, 9, 3, 0, 0]]), array([0, 1]))
    """

    head = "nsp_head"

    def __init__(self, cls_id: int, sep_id: int, pad_id: int) -> None:
        self.marks = Marks(cls_id, sep_id, pad_id)

    def make_pairs(
        self, rows: Array, others: None, rngs: Sequence[np.random.Generator], T: int
    ) -> SentencePairs:
        """Cut each row in two, and swap the halves of some.

        Parameters
        ----------
        rows : ndarray of int, shape (B, W)
            Of two sentences at least, and of T - 3 tokens without the marks at most.
        others : None
            Where `NextSentence` has rows of other documents.
        rngs : sequence of B Generators
            One for each pair. Two numbers are drawn: which order it has, and where A ends.
        T : int

        Returns
        -------
        SentencePairs
        """
        pairs, classes = [], []
        for row, rng in zip(rows, rngs, strict=True):
            order, where = rng.random(2)
            tokens, starts = sentences_of(row, self.marks)
            cut = starts[int(where * starts.size)]
            a, b = tokens[:cut], tokens[cut:]
            pairs.append((a, b) if order < 0.5 else (b, a))
            classes.append(IN_ORDER if order < 0.5 else SWAPPED)
        return lay_out(pairs, classes, T, self.marks)
