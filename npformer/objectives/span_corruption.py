"""Span corruption: spans of a text are taken out, and an encoder-decoder says what they were.

    text      a b c d e f g h i j                      n tokens
    spans       b c           i j          round(0.15 n) tokens, in a third as many spans
    source    a [S0]  d e f g h [S1]         each span is one sentinel
    target    [S0] b c [S1] i j              each sentinel, and what it stands for
    loss      that of `Seq2Seq`              for which both get a beginning and an end (text_pairs.py)

Where the spans are: their lengths are a random way of writing the number of their tokens as an ordered sum of
as many positive numbers as there are spans, each way as likely as any other, and the lengths of what stays
are one for the rest. They take turns, beginning with what stays: no two spans touch, and the text ends with
one.

References
----------
Raffel et al.: T5, arXiv:1910.10683, section 3.1.4 and figure 2; "random_spans_noise_mask" of its code.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

Array = Any


def sizes(n: int, rate: float = 0.15, mean_length: float = 3.0) -> tuple[int, int]:
    """Return how many of n tokens are taken out, and in how many spans.

    At least one token stays and one goes, if there are two; and one stays before every span.

    Examples
    --------
    >>> sizes(512), sizes(10), sizes(2), sizes(1)
    ((77, 26), (2, 1), (1, 1), (0, 0))
    """
    if n < 2:
        return 0, 0
    taken = min(max(round(n * rate), 1), n - 1)
    return taken, min(max(round(taken / mean_length), 1), n - taken)


def sentinels_needed(longest: int, rate: float = 0.15, mean_length: float = 3.0) -> int:
    """Return how many sentinels texts of up to `longest` tokens need.

    Examples
    --------
    >>> sentinels_needed(512), sentinels_needed(62)
    (26, 3)
    """
    return max(sizes(n, rate, mean_length)[1] for n in range(longest + 1))


def random_spans(n: int, rate: float, mean_length: float, rng: np.random.Generator) -> Array:
    """Return the spans of a text of n tokens.

    Returns
    -------
    ndarray of int, shape (k, 2)
        [start, stop) of each, in order.

    Examples
    --------
    >>> random_spans(20, 0.3, 2.0, np.random.default_rng(0))
    array([[ 9, 11],
           [13, 16],
           [19, 20]])
    """
    taken, k = sizes(n, rate, mean_length)
    if not k:
        return np.zeros((0, 2), dtype=np.intp)
    staying, going = (_parts(m, k, rng) for m in (n - taken, taken))
    bounds = np.cumsum(np.stack([staying, going], axis=1).reshape(-1))  # what stays, a span, what stays, ...
    return bounds.reshape(k, 2)


def _parts(n: int, k: int, rng: np.random.Generator) -> Array:
    """Return k positive numbers with the sum n: k - 1 of the n - 1 places between n things are cuts."""
    cuts = np.sort(rng.choice(n - 1, k - 1, replace=False)) + 1
    return np.diff(cuts, prepend=0, append=n)


def corrupted(ids: Array, spans: Array, sentinels: Sequence[int]) -> tuple[Array, Array]:
    """Return source and target of a text.

    Parameters
    ----------
    ids : ndarray of int, shape (n,)
    spans : ndarray of int, shape (k, 2)
    sentinels : sequence of int
        At least k ids.

    Examples
    --------
    >>> corrupted(np.array([5, 6, 7, 8, 9]), np.array([[1, 2], [3, 5]]), [90, 91])
    (array([ 5, 90,  7, 91]), array([90,  6, 91,  8,  9]))
    """
    source, target, before = [], [], 0
    for (start, stop), sentinel in zip(spans.tolist(), sentinels, strict=False):
        source += [ids[before:start], [sentinel]]
        target += [[sentinel], ids[start:stop]]
        before = stop
    joined = [np.concatenate([[], *part]).astype(ids.dtype) for part in ([*source, ids[before:]], target)]
    return joined[0], joined[1]


def restored(source: Array, target: Array, sentinels: Sequence[int]) -> Array:
    """Return the text that `corrupted` was given: in the place of each sentinel, what it stands for.

    Examples
    --------
    >>> restored(np.array([5, 90, 7, 91]), np.array([90, 6, 91, 8, 9]), [90, 91])
    array([5, 6, 7, 8, 9])
    """
    bounds = [*np.flatnonzero(np.isin(target, sentinels)).tolist(), len(target)]
    spans = {int(target[a]): target[a + 1 : b] for a, b in itertools.pairwise(bounds)}
    parts = [spans.get(int(token), [token]) for token in source]
    return np.concatenate([[], *parts]).astype(source.dtype)


class SpanCorruption:
    """The rule of span corruption, for `TextPairs`: from a text to source and target.

    Parameters
    ----------
    sentinels : sequence of int
        Ids of [S0], [S1], ...
    rate : float
        Share of the tokens that are taken out.
    mean_length : float
        Of the spans, in tokens.

    Raises
    ------
    ValueError
        If the rate is not in (0, 1) or the mean length below 1; when called, if the text is too long for so
        many sentinels.

    Examples
    --------
    >>> rule = SpanCorruption([90, 91], rate=0.4, mean_length=1.0)
    >>> rule(np.array([5, 6, 7, 8, 9]), np.random.default_rng(1))
    (array([ 5, 90,  7,  8, 91]), array([90,  6, 91,  9]))
    """

    def __init__(self, sentinels: Sequence[int], *, rate: float = 0.15, mean_length: float = 3.0) -> None:
        if not 0.0 < rate < 1.0:
            raise ValueError(f"SpanCorruption: rate: expected a number in (0, 1), got {rate}")
        if not mean_length >= 1.0:
            raise ValueError(f"SpanCorruption: mean_length: expected a number >= 1, got {mean_length}")
        self.sentinels, self.rate, self.mean_length = list(sentinels), rate, mean_length

    def __call__(self, text: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return source and target of a text, shape (n,), corrupted as `rng` says."""
        spans = random_spans(text.size, self.rate, self.mean_length, rng)
        if len(spans) > len(self.sentinels):
            raise ValueError(
                f"SpanCorruption: text: expected at most {len(self.sentinels)} spans, as many as there are "
                f"sentinels, got {len(spans)} in {text.size} tokens"
            )
        return corrupted(text, spans, self.sentinels)
