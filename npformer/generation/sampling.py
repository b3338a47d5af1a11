"""How the next token is chosen from logits: filters, each a pure function of them, and the draw.

    repetition penalty c    z_i / c if z_i > 0, else c z_i,  for tokens that have been seen
    temperature τ           z_i / τ
    top-k                   -inf below the k-th largest
    top-p                   the fewest of the most probable tokens whose sum reaches p; -inf for the others
    min-p                   -inf where p_i < p · max p
    draw                    the first i with p_1 + ... + p_i > u,  u uniform in [0, 1)

They are applied in this order. The meaning of each is that of the logits processors of Hugging Face's
Transformers. What a filter forbids is -inf, and the most probable token is never forbidden.

References
----------
Keskar et al.: CTRL, arXiv:1909.05858, section 4.1 (repetition penalty).
Fan, Lewis, Dauphin: Hierarchical Neural Story Generation, arXiv:1805.04833, section 5.4 (top-k).
Holtzman et al.: The Curious Case of Neural Text Degeneration, arXiv:1904.09751, section 3.1 (top-p).
Nguyen et al.: Turning Up the Heat: Min-p Sampling, arXiv:2407.01082.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..functional import softmax

Array = Any


def repetition_penalty(logits: Array, seen: Array, penalty: float) -> Array:
    """Make tokens that have been seen less probable (`penalty` > 1), or more (< 1).

    Parameters
    ----------
    logits : ndarray, shape (..., V)
    seen : ndarray of bool, shape (..., V)
    penalty : float

    Examples
    --------
    >>> repetition_penalty(np.array([2.0, 2.0, -1.0]), np.array([True, False, True]), 2.0)
    array([ 1.,  2., -2.])
    """
    return np.where(seen, np.where(logits < 0, logits * penalty, logits / penalty), logits)


def temperature(logits: Array, value: float) -> Array:
    """Sharpen (`value` < 1) or flatten (> 1) the distribution.

    Examples
    --------
    >>> temperature(np.array([1.0, 3.0]), 0.5)
    array([2., 6.])
    """
    return logits / value


def top_k(logits: Array, k: int) -> Array:
    """Keep the k most probable tokens, and those that are as probable as the last of them.

    Examples
    --------
    >>> top_k(np.array([1.0, 3.0, 2.0]), 2)
    array([-inf,   3.,   2.])
    """
    k = min(k, logits.shape[-1])
    least = np.partition(logits, -k, axis=-1)[..., -k, None]
    return np.where(logits < least, -math.inf, logits)


def top_p(logits: Array, p: float) -> Array:
    """Keep the fewest of the most probable tokens whose probabilities reach `p` in sum.

    Examples
    --------
    >>> top_p(np.log([0.1, 0.6, 0.3]), 0.7).round(2)
    array([ -inf, -0.51, -1.2 ])
    """
    order = np.argsort(-logits, axis=-1, kind="stable")[..., ::-1]  # the least probable first
    probabilities, _ = softmax(np.take_along_axis(logits, order, axis=-1))
    # The rest of a sum that has reached p has no more than 1 - p: as small numbers these are exact, where a
    # sum near 1 rounds away what is less probable than 1e-16.
    enough = np.cumsum(probabilities, axis=-1) <= 1 - p
    enough[..., -1] = False
    forbidden = np.empty_like(enough)
    np.put_along_axis(forbidden, order, enough, axis=-1)
    return np.where(forbidden, -math.inf, logits)


def min_p(logits: Array, p: float) -> Array:
    """Keep the tokens at least `p` times as probable as the most probable one.

    Examples
    --------
    >>> min_p(np.log([0.1, 0.6, 0.3]), 0.4).round(2)
    array([ -inf, -0.51, -1.2 ])
    """
    probabilities, _ = softmax(logits)
    forbidden = probabilities < p * probabilities.max(axis=-1, keepdims=True)
    return np.where(forbidden, -math.inf, logits)


def draw(logits: Array, u: Array) -> Array:
    """Draw a token for each row, by the inverse of the cumulative distribution.

    Parameters
    ----------
    logits : ndarray, shape (B, V)
    u : ndarray, shape (B,)
        Uniform in [0, 1).

    Returns
    -------
    ndarray of int, shape (B,)

    Examples
    --------
    >>> draw(np.log([[0.2, 0.5, 0.3], [0.2, 0.5, 0.3]]), np.array([0.1, 0.75]))
    array([0, 2])
    """
    cumulative = np.cumsum(softmax(logits)[0], axis=-1)
    cumulative /= cumulative[
        :, -1:
    ]  # 1 to the last digit: the last token that is allowed is as far as u comes
    return (cumulative <= u[:, None]).sum(axis=-1)


def log_probabilities(logits: Array, tokens: Array) -> Array:
    """Return log p of one token of each row.

    Parameters
    ----------
    logits : ndarray, shape (B, V)
    tokens : ndarray of int, shape (B,)

    Examples
    --------
    >>> log_probabilities(np.log([[0.25, 0.75]]), np.array([1])).round(4)
    array([-0.2877])
    """
    top = logits.max(axis=-1)
    total = np.exp(logits - top[:, None]).sum(axis=-1, dtype=np.float64)
    return np.take_along_axis(logits, tokens[:, None], axis=-1)[:, 0] - top - np.log(total)


@dataclass(frozen=True)
class Sampling:
    """Which of the filters are on.

    Parameters
    ----------
    temperature : float
        0: the most probable token (greedy); no filter but the repetition penalty matters then.
    top_k : int, optional
    top_p, min_p : float, optional
    repetition_penalty : float
        1: none.
    op : str
        Who asks, for messages.

    Raises
    ------
    ValueError
        If a value is out of range, naming it.

    Examples
    --------
    >>> Sampling(top_p=0.0)
    Traceback (most recent call last):
    ...
    ValueError: generate: top_p: expected a number in (0, 1], got 0.0
    """

    temperature: float = 0.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float = 1.0
    op: str = "generate"

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < math.inf:
            self._bad("temperature", "a number of at least 0", self.temperature)
        if self.top_k is not None and not (isinstance(self.top_k, int | np.integer) and self.top_k >= 1):
            self._bad("top_k", "an integer of at least 1", self.top_k)
        if self.top_p is not None and not 0 < self.top_p <= 1:
            self._bad("top_p", "a number in (0, 1]", self.top_p)
        if self.min_p is not None and not 0 <= self.min_p <= 1:
            self._bad("min_p", "a number in [0, 1]", self.min_p)
        if not 0 < self.repetition_penalty < math.inf:
            self._bad("repetition_penalty", "a positive number", self.repetition_penalty)

    def _bad(self, argument: str, expected: str, got: Any) -> None:
        raise ValueError(f"{self.op}: {argument}: expected {expected}, got {got!r}")

    @property
    def greedy(self) -> bool:
        """Whether nothing is drawn."""
        return self.temperature == 0

    def filtered(self, logits: Array, seen: Array | None) -> Array:
        """Return the logits (B, V) that are drawn from, in float64; with a temperature the highest is 0.

        Parameters
        ----------
        logits : ndarray, shape (B, V)
        seen : ndarray of bool, shape (B, V), or None without a repetition penalty
        """
        z = logits.astype(np.float64)
        if seen is not None:
            z = repetition_penalty(z, seen, self.repetition_penalty)
        if self.greedy:
            return z
        z = z - z.max(axis=-1, keepdims=True)
        with np.errstate(over="ignore"):  # by next to nothing: -inf is what the others then are
            z = temperature(z, self.temperature)
        if self.top_k is not None:
            z = top_k(z, self.top_k)
        if self.top_p is not None:
            z = top_p(z, self.top_p)
        if self.min_p is not None:
            z = min_p(z, self.min_p)
        return z

    def choose(self, logits: Array, seen: Array | None, u: Array | None) -> Array:
        """Return a token for each row (B, V): the best, or with `u` (B,) uniform in [0, 1) a drawn one."""
        if self.greedy:
            return (logits if seen is None else self.filtered(logits, seen)).argmax(axis=-1)
        return draw(self.filtered(logits, seen), u)
