"""What masked tokens can be guessed with by counting: the least that an encoder must beat.

    c(x)   how often x stands in the training text, a dot being any ordinary token; n(x) how many different
           tokens were seen in the place of the dot. Witten and Bell give unseen tokens the weight n: the more
           different tokens a context has already shown, the likelier is another one.

    most frequent token, from the unigram
    1.  p(w)        = (c(w) + n / |W|) / (c(.) + n)                                     W: the ordinary tokens

    trigram, from the neighbours l and r of the place
    2.  p(w | l)    = (c(l w) + n(l .) · p(w)) / (c(l .) + n(l .)), and p(w | r) likewise
    3.  q(w | l r)  = p(w | l) · p(w | r) / p(w), divided by its sum over w
    4.  p'(w | l r) = q(w | l r) / 2 + p(w | l) / 4 + p(w | r) / 4
    5.  p(w | l r)  = (c(l w r) + n(l . r) · p'(w | l r)) / (c(l . r) + n(l . r))

3 is Bayes' rule where l and r are independent given w, which makes it too sure of itself. With the mean of
the two bigrams it loses less on held-out text than either alone. A neighbour that was never seen, such as
[MASK], has no counts: 2 is then the unigram, and q leaves the other neighbour to decide. Special tokens can
be neighbours but are never predicted; padding is neither.

References
----------
Witten, Bell: The zero-frequency problem, IEEE Transactions on Information Theory 37 (1991), method C.
Chen, Goodman: An Empirical Study of Smoothing Techniques for Language Modeling, 1998, section 2.5.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

CELLS = 1 << 22  # probabilities in memory at once: 32 MB


class Contexts(NamedTuple):
    """The tokens seen in each of some contexts, sorted: those of context i are [starts[i], starts[i + 1])."""

    keys: Array  # (contexts,) ascending
    starts: Array  # (contexts + 1,)
    tokens: Array  # (pairs of a context and a token,)
    counts: Array  # (pairs of a context and a token,)
    totals: Array  # (contexts,) sums of the counts


def count(keys: Array, tokens: Array, vocab_size: int) -> Contexts:
    """Count which of `tokens` stand in the contexts `keys`, place by place."""
    pairs, counts = np.unique(keys * vocab_size + tokens, return_counts=True)
    keys, starts = np.unique(pairs // vocab_size, return_index=True)
    totals = np.add.reduceat(counts, starts) if keys.size else counts
    return Contexts(keys, np.append(starts, pairs.size), pairs % vocab_size, counts, totals)


def interpolate(contexts: Contexts, keys: Array, p: Array) -> None:
    """Turn rows of a wider model's probabilities `p` into those of `contexts`, in place.

    p(w) = (c(w) + n · p(w)) / (c + n); a row whose key was never seen stays as it is.
    """
    if not contexts.keys.size:
        return
    place = np.minimum(np.searchsorted(contexts.keys, keys), contexts.keys.size - 1)
    seen = np.flatnonzero(contexts.keys[place] == keys)
    place = place[seen]
    first, n = contexts.starts[place], contexts.starts[place + 1] - contexts.starts[place]
    weight = 1 / (contexts.totals[place] + n)
    p[seen] *= (n * weight)[:, None]
    # The pairs of all seen rows, one after another: row by row first, first + 1, ..., first + n - 1.
    pairs = np.arange(n.sum()) + np.repeat(first - np.cumsum(n) + n, n)
    p[np.repeat(seen, n), contexts.tokens[pairs]] += contexts.counts[pairs] * np.repeat(weight, n)


def unigram(ids: Array, mask: Array, vocab_size: int, special_ids: Collection[int]) -> Array:
    """Step 1 of the formulas: p(w), which is 0 for special tokens."""
    ordinary = np.ones(vocab_size, dtype=bool)
    ordinary[list(special_ids)] = False
    counts = np.where(ordinary, np.bincount(ids[mask], minlength=vocab_size), 0)
    n = max(int((counts > 0).sum()), 1)  # without any text: uniform
    p: Array = (counts + ordinary * (n / ordinary.sum())) / (counts.sum() + n)  # 1
    return p


class MostFrequentToken:
    """Always the same guess: the tokens by their frequency, whatever stands around the place.

    Parameters
    ----------
    ids : ndarray of int, shape (N, T)
        Training text, uncorrupted.
    mask : ndarray of bool, shape (N, T)
        True = a real token, False = padding.
    vocab_size : int
        V.
    special_ids : collection of int
        Never predicted.

    Raises
    ------
    ValueError, TypeError
        If the shapes differ, an id is out of range, or every token is special.

    Examples
    --------
    >>> ids = np.array([[0, 3, 2, 3, 1]])
    >>> model = MostFrequentToken(ids, ids >= 0, vocab_size=5, special_ids=[0, 1])
    >>> model.top(ids, at=[2], k=3)
    array([[3, 2, 4]])
    """

    def __init__(self, ids: Array, mask: Array, vocab_size: int, special_ids: Collection[int]) -> None:
        ids, mask = _text("MostFrequentToken", ids, mask, vocab_size, special_ids)
        self.p = unigram(ids, mask, vocab_size, special_ids)

    def probabilities(self, ids: Array, at: Array) -> Array:
        """Return p(w) at the flat positions `at` of `ids`, shape (n, V)."""
        return np.repeat(self.p[None], np.size(at), axis=0)

    def score(self, ids: Array, at: Array, targets: Array) -> tuple[float, float]:
        """Return the mean loss in nats and the accuracy; see `TrigramWittenBell.score`."""
        return _score(self, ids, at, targets, self.p.size)

    def top(self, ids: Array, at: Array, k: int) -> Array:
        """Return the k most probable tokens of each place, shape (n, k), the best first."""
        return _top(self, ids, at, k, self.p.size)


class TrigramWittenBell:
    """A token from its left and right neighbour, as they stand in the (corrupted) input.

    Parameters
    ----------
    ids : ndarray of int, shape (N, T)
        Training text, uncorrupted.
    mask : ndarray of bool, shape (N, T)
        True = a real token, False = padding.
    vocab_size : int
        V.
    special_ids : collection of int
        Never predicted.

    Raises
    ------
    ValueError, TypeError
        If the shapes differ, an id is out of range, or every token is special.

    Examples
    --------
    >>> ids = np.array([[0, 2, 3, 4, 2, 5, 4, 2, 3, 1]])
    >>> model = TrigramWittenBell(ids, ids >= 0, vocab_size=7, special_ids=[0, 1, 6])
    >>> corrupted = np.array([[0, 2, 6, 4, 6, 6, 6, 2, 3, 1]])  # 6 is [MASK]
    >>> model.top(corrupted, at=[2], k=2)  # between 2 and 4, both 3 and 5 have been seen once
    array([[3, 5]])
    >>> bool(abs(model.probabilities(corrupted, at=[2, 5]).sum(axis=1) - 1).max() < 1e-15)
    True
    """

    def __init__(self, ids: Array, mask: Array, vocab_size: int, special_ids: Collection[int]) -> None:
        ids, mask = _text("TrigramWittenBell", ids, mask, vocab_size, special_ids)
        self.vocab_size = vocab_size
        self.unigram = unigram(ids, mask, vocab_size, special_ids)
        left, right = neighbours(np.where(mask, ids, vocab_size), vocab_size)
        w = ids.reshape(-1)
        predicted = mask.reshape(-1) & (self.unigram[w] > 0)
        has_left, has_right = predicted & (left < vocab_size), predicted & (right < vocab_size)
        both = has_left & has_right
        self.after = count(left[has_left], w[has_left], vocab_size)
        self.before = count(right[has_right], w[has_right], vocab_size)
        self.between = count(left[both] * (vocab_size + 1) + right[both], w[both], vocab_size)

    def probabilities(self, ids: Array, at: Array) -> Array:
        """Return p(w | l r) at some places.

        Parameters
        ----------
        ids : ndarray of int, shape (N, T)
            As the model sees them, corrupted. What stands at the place itself is not looked at.
        at : ndarray of int, shape (n,)
            Flat positions in (N, T).

        Returns
        -------
        ndarray, shape (n, V), float64
            Rows that sum to 1; 0 for special tokens.
        """
        left, right = (x[at] for x in neighbours(np.asarray(ids), self.vocab_size))
        p_left = np.repeat(self.unigram[None], left.size, axis=0)  # 1
        p_right = p_left.copy()
        interpolate(self.after, left, p_left)  # 2
        interpolate(self.before, right, p_right)
        p = p_left * p_right  # 3
        p /= np.where(self.unigram > 0, self.unigram, 1.0)
        p *= 0.5 / p.sum(axis=1, keepdims=True)  # 4
        p_left += p_right
        p_left *= 0.25
        p += p_left
        interpolate(self.between, left * (self.vocab_size + 1) + right, p)  # 5
        return p

    def score(self, ids: Array, at: Array, targets: Array) -> tuple[float, float]:
        """Return how well `targets` are predicted.

        Parameters
        ----------
        ids, at
            As in `probabilities`.
        targets : ndarray of int, shape (n,)
            The ordinary tokens that stood at those places.

        Returns
        -------
        loss : float
            Mean of -log p(target), in nats; 0 without targets.
        accuracy : float
            Share of the targets that are the most probable token.

        Raises
        ------
        ValueError
            If a target is a special token, or there are not as many as places.
        """
        return _score(self, ids, at, targets, self.vocab_size)

    def top(self, ids: Array, at: Array, k: int) -> Array:
        """Return the k most probable tokens of each place, shape (n, k), the best first."""
        return _top(self, ids, at, k, self.vocab_size)


def neighbours(ids: Array, vocab_size: int) -> tuple[Array, Array]:
    """Left and right neighbour of every place, flat; V, which is no token, beyond the ends of a row."""
    padded = np.pad(ids.astype(np.int64), ((0, 0), (1, 1)), constant_values=vocab_size)
    return padded[:, :-2].reshape(-1), padded[:, 2:].reshape(-1)


def _score(model: Any, ids: Array, at: Array, targets: Array, vocab_size: int) -> tuple[float, float]:
    at, targets = np.asarray(at), np.asarray(targets)
    if at.shape != targets.shape:
        raise ValueError(f"score: targets: expected as many as places, {at.shape}, got {targets.shape}")
    loss, correct = 0.0, 0
    for piece in _pieces(at.size, vocab_size):
        p = model.probabilities(ids, at[piece])
        of_targets = p[np.arange(len(p)), targets[piece]]
        if not of_targets.all():
            special = int(targets[piece][of_targets == 0][0])
            raise ValueError(
                f"score: targets: expected ordinary tokens, got {special}, which is a special one"
            )
        loss -= float(np.log(of_targets).sum())
        correct += int((p.argmax(axis=1) == targets[piece]).sum())
    return loss / max(at.size, 1), correct / max(at.size, 1)


def _top(model: Any, ids: Array, at: Array, k: int, vocab_size: int) -> Array:
    at = np.asarray(at)
    best = np.empty((at.size, min(k, vocab_size)), dtype=np.int64)
    for piece in _pieces(at.size, vocab_size):
        p = model.probabilities(ids, at[piece])
        best[piece] = np.argsort(-p, axis=1, kind="stable")[:, :k]  # of equals, the smaller id first
    return best


def _pieces(n: int, vocab_size: int) -> Iterator[slice]:
    rows = max(1, CELLS // vocab_size)
    for start in range(0, n, rows):
        yield slice(start, min(start + rows, n))


def _text(
    op: str, ids: Array, mask: Array, vocab_size: int, special_ids: Collection[int]
) -> tuple[Array, Array]:
    ids, mask = np.asarray(ids), np.asarray(mask)
    if ids.dtype.kind not in "iu" or mask.dtype != np.bool_:
        raise TypeError(f"{op}: ids, mask: expected integers and booleans, got {ids.dtype} and {mask.dtype}")
    if ids.ndim != 2 or ids.shape != mask.shape:
        raise ValueError(f"{op}: ids, mask: expected one shape (N, T), got {ids.shape} and {mask.shape}")
    if ids.size and not (ids.min() >= 0 and ids.max() < vocab_size):
        raise ValueError(f"{op}: ids: expected ids in [0, {vocab_size}), got {ids.min()} to {ids.max()}")
    special = set(special_ids)
    if not all(0 <= i < vocab_size for i in special) or len(special) == vocab_size:
        expected = f"some, not all, ids of [0, {vocab_size})"
        raise ValueError(f"{op}: special_ids: expected {expected}, got {sorted(special)}")
    return ids.astype(np.int64), mask
