"""Next-sentence prediction: is the second segment what follows the first?

    A    the sentences of a row up to one of its sentence ends, drawn uniformly
    B    with probability ½ the rest of the row; else the last sentences of a row of another document,
         as many as come nearest to the rest's number of tokens, so that the length gives little away
    loss mean over the pairs of -log softmax(logits)[class]

The class is 1 where B follows and 0 where it does not: both are classes, and no number means "ignore".
(The head of BERT's published weights has them the other way round.)

References
----------
Devlin et al.: BERT, arXiv:1810.04805, section 3.1, task 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._pairs import Marks, SentencePairs, lay_out, sentences_of

Array = Any

NOT_NEXT, IS_NEXT = 0, 1


class NextSentence:
    """Makes pairs of which half are neighbours; `Summed` has their loss, through the model's `nsp_head`.

    Parameters
    ----------
    cls_id, sep_id, pad_id : int

    Examples
    --------
    >>> objective = NextSentence(cls_id=2, sep_id=3, pad_id=0)
    >>> rows, others = np.array([[2, 7, 8, 3, 9, 5]] * 2), np.array([[2, 6, 6, 3, 6, 6]] * 2)
    >>> pairs = objective.make_pairs(rows, others, [np.random.default_rng(i) for i in (0, 2)], T=8)
    >>> pairs.ids, pairs.targets
    (array([[2, 7, 8, 3, 6, 6, 3, 0],
           [2, 7, 8, 3, 9, 5, 3, 0]]), array([0, 1]))
    """

    head = "nsp_head"

    def __init__(self, cls_id: int, sep_id: int, pad_id: int) -> None:
        self.marks = Marks(cls_id, sep_id, pad_id)

    def make_pairs(
        self, rows: Array, others: Array, rngs: Sequence[np.random.Generator], T: int
    ) -> SentencePairs:
        """Pair the sentences of each row, with one another or with those of another document.

        Parameters
        ----------
        rows : ndarray of int, shape (B, W)
            Of two sentences at least, and of T - 3 tokens without the marks at most.
        others : ndarray of int, shape (B, W)
            For each row one of another document; it is for the caller to know that it is.
        rngs : sequence of B Generators
            One for each pair. Two numbers are drawn: which kind it is, and where A ends.
        T : int

        Returns
        -------
        SentencePairs
        """
        pairs, classes = [], []
        for row, other, rng in zip(rows, others, rngs, strict=True):
            kind, where = rng.random(2)
            tokens, starts = sentences_of(row, self.marks)
            cut = starts[int(where * starts.size)]
            a, b = tokens[:cut], tokens[cut:]
            if kind >= 0.5:
                b = self.alike(other, b.size, T - 3 - a.size)
            pairs.append((a, b))
            classes.append(IS_NEXT if kind < 0.5 else NOT_NEXT)
        return lay_out(pairs, classes, T, self.marks)

    def alike(self, row: Array, length: int, room: int) -> Array:
        """Return the last sentences of `row`, about `length` tokens and at most `room`."""
        tokens, starts = sentences_of(row, self.marks)
        tails = tokens.size - starts
        distance = np.abs(tails - length) + np.where(tails > room, tokens.size, 0)  # first those that fit
        return tokens[starts[distance.argmin()] :][:room]
