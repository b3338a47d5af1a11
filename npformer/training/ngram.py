"""What the next token can be guessed with by counting: an interpolated n-gram, the least a decoder must beat.

    h      the n - 1 tokens before; h' the same without the first of them
    c(h w) how often w followed h in the training text; c(h .) the sum over w; n(h .) how many different w did

    1.  p_0(w)      = 1 / |W|                                            W: every token that can occur
    2.  p_k(w | h)  = (c(h w) + n(h .) · p_(k-1)(w | h')) / (c(h .) + n(h .)),     k - 1 the length of h

An h that was never seen has no counts, and p_k is p_(k-1).

References
----------
Witten, Bell: The zero-frequency problem, IEEE Transactions on Information Theory 37 (1991), method C.
Chen, Goodman: An Empirical Study of Smoothing Techniques for Language Modeling, 1998, section 2.6.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt

from .baselines import CELLS, Contexts, count, interpolate

Array = npt.NDArray[Any]
UNSEEN = -1


class NGramWittenBell:
    """The next token from the `order` - 1 tokens before it.

    Parameters
    ----------
    ids : ndarray of int, shape (n,)
        The training text, one token after another.
    vocab_size : int
        V.
    order : int
        1 (the frequencies alone) and up.
    never : collection of int
        Ids that are never predicted, such as [PAD].

    Raises
    ------
    ValueError
        If `order` is below 1, an id is out of range, or every id is one that never comes.

    Examples
    --------
    >>> model = NGramWittenBell(np.array([1, 2, 3, 1, 2, 4, 1, 2, 3]), vocab_size=5, order=3, never=[0])
    >>> model.probabilities(np.array([1, 2, 4]), [2]).round(3)  # what comes after 1 2
    array([[0.   , 0.049, 0.049, 0.597, 0.305]])
    """

    def __init__(self, ids: Array, vocab_size: int, order: int, never: Collection[int] = ()) -> None:
        if order < 1:
            raise ValueError(f"NGramWittenBell: order: expected at least 1, got {order}")
        ids = _checked(ids, vocab_size)
        possible = np.ones(vocab_size, dtype=bool)
        possible[list(never)] = False
        if not possible.any():
            raise ValueError("NGramWittenBell: never: expected some, not all, ids of the vocabulary")
        self.vocab_size, self.order = vocab_size, order
        counts = np.where(possible, np.bincount(ids, minlength=vocab_size), 0)
        n = (counts > 0).sum()
        uniform = possible / possible.sum()  # 1
        self.unigram: Array = (counts + n * uniform) / (counts.sum() + n) if n else uniform  # 2, h empty
        # A context is numbered by its first token and the number of the rest: values[k] are those pairs.
        self.values: list[Array] = []
        self.contexts: list[Contexts] = []
        number = np.zeros(ids.size, dtype=np.int64)
        many = 1
        for k in range(1, order):
            number = number[1:]  # of the places that have k tokens before them: k, k + 1, ...
            pairs = ids[: ids.size - k] * many + number
            values, number = np.unique(pairs, return_inverse=True)
            many = max(values.size, 1)
            follows = possible[ids[k:]]
            self.values.append(values)
            self.contexts.append(count(number[follows], ids[k:][follows], vocab_size))

    def probabilities(self, ids: Array, at: Array) -> Array:
        """Return p(w | h) at some places.

        Parameters
        ----------
        ids : ndarray of int, shape (n,)
        at : ndarray of int, shape (m,)
            Places in `ids`; what stands there and after is not looked at.

        Returns
        -------
        ndarray, shape (m, V), float64
            Rows that sum to 1.
        """
        ids, at = _checked(ids, self.vocab_size), np.asarray(at, dtype=np.int64)
        p = np.repeat(self.unigram[None], at.size, axis=0)
        number = np.zeros(at.size, dtype=np.int64)
        many = 1
        for k, (values, contexts) in enumerate(zip(self.values, self.contexts, strict=True), 1):
            known = (number != UNSEEN) & (at >= k)
            pairs = np.where(known, ids[np.maximum(at - k, 0)] * many + number, UNSEEN)
            place = np.minimum(np.searchsorted(values, pairs), max(values.size - 1, 0))
            found = known & (values[place] == pairs) if values.size else np.zeros_like(known)
            number = np.where(found, place, UNSEEN)
            interpolate(contexts, number, p)  # 2
            many = max(values.size, 1)
        return p

    def score(self, ids: Array, at: Array) -> tuple[float, float]:
        """Return the mean loss, -log p in nats, and the accuracy at some places.

        Raises
        ------
        ValueError
            If an id at one of the places is one that never comes.
        """
        ids, at = _checked(ids, self.vocab_size), np.asarray(at, dtype=np.int64)
        loss, correct = 0.0, 0
        rows = max(1, CELLS // self.vocab_size)
        for start in range(0, at.size, rows):
            some = at[start : start + rows]
            targets = ids[some]
            p = self.probabilities(ids, some)
            of_targets = p[np.arange(some.size), targets]
            if not of_targets.all():
                token = int(targets[of_targets == 0][0])
                raise ValueError(f"score: ids: expected tokens that can occur, got {token}, which never does")
            loss -= float(np.log(of_targets).sum())
            correct += int((p.argmax(axis=1) == targets).sum())
        return loss / max(at.size, 1), correct / max(at.size, 1)


def _checked(ids: Array, vocab_size: int) -> Array:
    ids = np.asarray(ids)
    if ids.ndim != 1 or ids.dtype.kind not in "iu":
        raise ValueError(f"NGramWittenBell: ids: expected a vector of integers, got {ids.dtype} {ids.shape}")
    if ids.size and not (ids.min() >= 0 and ids.max() < vocab_size):
        raise ValueError(
            f"NGramWittenBell: ids: expected ids in [0, {vocab_size}), got {ids.min()} to {ids.max()}"
        )
    return ids.astype(np.int64)
