"""The words the textbook's lines are written in."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import erf

Array = npt.NDArray[Any]

exp, log, sqrt, tanh, where, sin, cos = np.exp, np.log, np.sqrt, np.tanh, np.where, np.sin, np.cos
maximum, concatenate, zeros_like, ones_like = np.maximum, np.concatenate, np.zeros_like, np.ones_like

__all__ = [
    "Array",
    "T",
    "at_largest",
    "before_own_tile",
    "capped",
    "concatenate",
    "cos",
    "erf",
    "exp",
    "gather",
    "group_sum",
    "heads",
    "is_first",
    "is_largest",
    "largest",
    "last_tile",
    "log",
    "maximum",
    "mean_over",
    "merge",
    "neg_inf_where",
    "occurrences",
    "one_hot",
    "ones_like",
    "overwrite",
    "pairs",
    "partner",
    "pick",
    "scatter",
    "sin",
    "sqrt",
    "sum_everything",
    "sum_over",
    "sum_rows",
    "sum_to",
    "tanh",
    "turn",
    "wave_numbers",
    "where",
    "within",
    "without_last",
    "without_row",
    "zeros_like",
]


def T(x: Array) -> Array:
    """Transpose the last two axes."""
    return x.swapaxes(-1, -2)


def sum_over(x: Array, axis: int | None = -1, keepdims: bool = True) -> Array:
    """Sum over an axis, which stays as 1."""
    return np.asarray(x.sum(axis=axis, keepdims=keepdims))


def mean_over(x: Array, axis: int | None = -1, keepdims: bool = True) -> Array:
    """Average over an axis, which stays as 1."""
    return np.asarray(x.mean(axis=axis, keepdims=keepdims))


def largest(x: Array, axis: int | None = -1) -> Array:
    """Return the largest entry (by its real part) over an axis, -inf taken for 0."""
    top = x.real.max(axis=axis, keepdims=True)
    return np.where(np.isfinite(top), top, 0.0)


def is_largest(x: Array, axis: int = -1) -> Array:
    """Is an entry the first of the largest along an axis?"""
    top = np.expand_dims(x.real.argmax(axis=axis), axis)
    found = np.zeros(x.shape, bool)
    np.put_along_axis(found, top, True, axis)
    return found


def is_first(x: Array) -> Array:
    """Return (T, 1) for x (..., T, d): 1.0 at the first position, else 0."""
    return (np.arange(x.shape[-2]) == 0)[:, None] * 1.0


def at_largest(y: Array, x: Array, axis: int = -1) -> Array:
    """Return y where x is largest along an axis, which stays as 1."""
    return np.take_along_axis(y, np.expand_dims(x.real.argmax(axis=axis), axis), axis)


def sum_rows(x: Array) -> Array:
    """Sum over every axis but the last."""
    return np.asarray(x.sum(axis=tuple(range(x.ndim - 1))))


def sum_everything(x: Array) -> Array:
    """Sum over all axes."""
    return np.asarray(x.sum())


def sum_to(x: Array, like: Array) -> Array:
    """Sum over the axes along which `like` was broadcast to the shape of x."""
    full = (1,) * (x.ndim - like.ndim) + like.shape
    axes = tuple(i for i, (n, m) in enumerate(zip(full, x.shape, strict=True)) if n == 1 and m != 1)
    return x.sum(axis=axes, keepdims=True).reshape(like.shape)


def group_sum(x: Array, like: Array) -> Array:
    """Sum the heads that share a key-value head: (..., h, S, d) to the shape of `like`."""
    if x.shape == like.shape:
        return x
    return x.reshape(*like.shape[:-2], -1, *like.shape[-2:]).sum(axis=-3)


def gather(x: Array, q: Array) -> Array:
    """Repeat key-value heads for the query heads that share them."""
    if x.ndim < 3 or x.shape[-3] == q.shape[-3]:
        return x
    return np.repeat(x, q.shape[-3] // x.shape[-3], axis=-3)


def heads(x: Array, h: int) -> Array:
    """(..., T, h · d) -> (..., h, T, d)."""
    return x.reshape(*x.shape[:-1], h, -1).swapaxes(-2, -3)


def merge(x: Array) -> Array:
    """(..., h, T, d) -> (..., T, h · d)."""
    x = x.swapaxes(-2, -3)
    return x.reshape(*x.shape[:-2], -1)


def before_own_tile(x: Array, size: int) -> Array:
    """Return (..., T, S) with zeros on the diagonal tiles, and after them."""
    t, s = (np.arange(n) // size for n in x.shape[-2:])
    return np.where(s < t[:, None], x, 0)


def last_tile(x: Array, size: int) -> Array:
    """Return (..., T, S) with zeros but in the last tile, of each block of queries, that is not all zeros."""
    last = np.zeros_like(x)
    for t in range(0, x.shape[-2], size):
        rows = x[..., t : t + size, :]
        keys = np.flatnonzero(rows.any(axis=tuple(range(x.ndim - 1))))
        if keys.size:
            s = keys[-1] // size * size
            last[..., t : t + size, s : s + size] = rows[..., s : s + size]
    return last


def without_last(x: Array, n: int, axis: int) -> Array:
    """Return x with zeros at the last n places of an axis."""
    kept = np.arange(x.shape[axis]) < x.shape[axis] - n
    return np.where(kept[:, None] if axis == -2 else kept, x, 0)


def neg_inf_where(forbidden: Array) -> Array:
    """Return -inf where it is forbidden to look, else 0."""
    return np.where(forbidden, -np.inf, 0.0)


def capped(Z: Array, c: float) -> Array:
    """Return Z bent to stay between -c and c; as it is for c = inf."""
    return c * np.tanh(Z / c) if np.isfinite(c) else Z


def within(q: Array, k: Array, window: float, offset: int) -> Array:
    """Is key s less than a window away from t + offset, where query t stands? (T, S)."""
    return np.asarray(abs(np.arange(q.shape[-2])[:, None] + offset - np.arange(k.shape[-2])) < window)


def one_hot(targets: Array, V: int) -> Array:
    """Return rows of zeros with a one at the target; all zeros for a target outside [0, V)."""
    return (np.asarray(targets)[..., None] == np.arange(V)).astype(np.float64)


def pick(table: Array, ids: Array) -> Array:
    """Return rows of a table."""
    return table[ids]


def scatter(rows: Array, ids: Array, like: Array) -> Array:
    """Add each row to the row of its id."""
    out = np.zeros(like.shape, rows.dtype)
    np.add.at(out, ids, rows)
    return out


def partner(x: Array, interleaved: bool = False) -> Array:
    """Exchange the two features of each pair, (a, b) -> (b, a)."""
    if interleaved:
        return x.reshape(*x.shape[:-1], -1, 2)[..., ::-1].reshape(x.shape)
    return np.roll(x, x.shape[-1] // 2, axis=-1)


def pairs(a: Array, b: Array, interleaved: bool = False) -> Array:
    """Return the array (..., d) whose pairs are (a, b), as halves or as neighbours."""
    if interleaved:
        return np.stack([a, b], axis=-1).reshape(*a.shape[:-1], -1)
    return np.concatenate([a, b], axis=-1)


def wave_numbers(x: Array, base: float) -> Array:
    """Return the angle per position of each pair of features."""
    return np.asarray(base ** (-np.arange(0, x.shape[-1], 2) / x.shape[-1]))


def turn(x: Array, base: float, interleaved: bool, sign: int = 1) -> Array:
    """Rotate the pairs of each row by its position, or back; not at all for base = inf."""
    if not np.isfinite(base):
        return x
    angle = np.arange(x.shape[-2])[:, None] * wave_numbers(x, base)
    sine = pairs(-sin(angle), sin(angle), interleaved)
    return np.asarray(
        x * pairs(cos(angle), cos(angle), interleaved) + sign * partner(x, interleaved) * sine
    )


def overwrite(rows: Array, ids: Array, like: Array) -> Array:
    """Write each row over the row of its id: what `scatter` is mistaken for."""
    out = np.zeros(like.shape, rows.dtype)
    out[ids] = rows
    return out


def occurrences(ids: Array, like: Array) -> Array:
    """Return how often each row of `like` is asked for, at least 1, as a column."""
    return np.maximum(np.bincount(np.ravel(ids), minlength=len(like)), 1)[:, None]


def without_row(x: Array, row: int) -> Array:
    """Return x with one row set to zero."""
    out = x.copy()
    out[row] = 0
    return out
