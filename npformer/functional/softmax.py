"""Softmax and its logarithm along one axis.

    m       = max(x)
    d       = x - m
    softmax = p = exp(d) / Σ exp(d)
    log p   = d - log1p(s),   s = Σ exp(d) over every entry but the largest, whose exp(d) is 1

log p as x - log(Σ exp(x)) would lose everything where one entry dominates: log(1 + 1e-26) is 0,
log1p(1e-26) is 1e-26. The backwards take the largest entry apart for the same reason.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ._arguments import Array, as_dout, as_float, bad_value, require_axis


class SoftmaxCache(NamedTuple):
    """What `softmax_backward` needs."""

    p: Array  # (..., n, ...)
    top: Array  # (..., 1, ...), where the largest entry sits
    axis: int


class LogSoftmaxCache(NamedTuple):
    """What `log_softmax_backward` needs."""

    log_p: Array  # (..., n, ...)
    top: Array  # (..., 1, ...), where the largest entry sits
    axis: int


def softmax(x: npt.ArrayLike, axis: int = -1) -> tuple[Array, SoftmaxCache]:
    """Turn the entries along `axis` into positive weights that sum to 1.

    Parameters
    ----------
    x : array_like, shape (..., n, ...)
        Entries may be -inf; where all of a row are, its weights are 0.
    axis : int
        The axis to normalise along, of length n >= 1.

    Returns
    -------
    p : ndarray, the shape of `x`
    cache : SoftmaxCache

    Raises
    ------
    ValueError
        If `x` has no such axis or it is empty.
    TypeError
        If `x` is neither float32, float64, complex128 nor integer, or `axis` is no integer.

    References
    ----------
    Bridle: Probabilistic Interpretation of Feedforward Classification Network Outputs, 1990.

    Examples
    --------
    >>> softmax([[0.0, 1.0, 1.0], [7.0, 7.0, -np.inf]])[0].round(4)
    array([[0.1554, 0.4223, 0.4223],
           [0.5   , 0.5   , 0.    ]])
    """
    x, axis = _row_arguments("softmax", x, axis)
    d, top = _below_the_top(x, axis)
    e = np.exp(d)
    total = e.sum(axis=axis, keepdims=True)
    total = np.where(total.real == 0, 1, total)  # a row of -inf: 0 / 1, not 0 / 0
    p = e / total
    return p, SoftmaxCache(p, top, axis)


# The backward, step by step. Rows (along the axis) do not mix; i and j run along one.
#
#   1. p_i = exp(d_i) / Σ exp(d):   ∂p_i/∂x_j = p_i · ([i = j] - p_j), and so
#          dx_j = Σ_i dout_i · ∂p_i/∂x_j = p_j · (dout_j - Σ_i dout_i · p_i)
#   2. Σ p = 1, so a constant taken off dout changes nothing. With the one at the largest entry,
#          c = dout - dout_top
#      c is 0 where p is about 1, and no difference of nearly equal numbers is left:
#          dx = p · (c - Σ c · p)
def softmax_backward(dout: npt.ArrayLike, cache: SoftmaxCache) -> Array:
    """Gradient of `softmax`.

    Parameters
    ----------
    dout : array_like, the shape of `p`
    cache : SoftmaxCache

    Returns
    -------
    dx : ndarray, the shape of `p`
        Each row sums to 0; rows that were all -inf are 0.

    Raises
    ------
    ValueError
        If `dout` does not have the shape of `p`.

    Examples
    --------
    >>> p, cache = softmax([[0.0, 1.0, 1.0]])
    >>> softmax_backward([[1.0, 0.0, 0.0]], cache).round(4)
    array([[ 0.1312, -0.0656, -0.0656]])
    """
    p, top, axis = cache
    dout = as_dout("softmax", dout, p.shape)

    c = dout - np.take_along_axis(dout, top, axis)  # 2
    return p * (c - (c * p).sum(axis=axis, keepdims=True))  # 1, 2


def log_softmax(x: npt.ArrayLike, axis: int = -1) -> tuple[Array, LogSoftmaxCache]:
    """Logarithm of the softmax along `axis`, exact where one entry dominates.

    Parameters
    ----------
    x : array_like, shape (..., n, ...)
        Entries may be -inf, and are then -inf in the result.
    axis : int
        The axis to normalise along, of length n >= 1.

    Returns
    -------
    log_p : ndarray, the shape of `x`
    cache : LogSoftmaxCache

    Raises
    ------
    ValueError
        If `x` has no such axis or it is empty.
    TypeError
        If `x` is neither float32, float64, complex128 nor integer, or `axis` is no integer.

    Examples
    --------
    >>> log_softmax([40.0, 0.0])[0]
    array([-4.24835426e-18, -4.00000000e+01])
    """
    x, axis = _row_arguments("log_softmax", x, axis)
    d, top = _below_the_top(x, axis)
    e = np.exp(d)
    np.put_along_axis(e, top, 0, axis)
    log_p = d - np.log1p(e.sum(axis=axis, keepdims=True))
    return log_p, LogSoftmaxCache(log_p, top, axis)


# The backward, step by step.
#
#   1. ∂log p_i/∂x_j = [i = j] - p_j, and so     dx_j = dout_j - p_j · Σ_i dout_i
#   2. Σ p = 1, so Σ dx = 0: the entry at the largest x, where dout and p · Σ dout may be nearly
#      equal, follows from the others,           dx_top = -Σ_(j ≠ top) dx_j
#   3. A row that is all -inf has no gradient:   dx = 0
def log_softmax_backward(dout: npt.ArrayLike, cache: LogSoftmaxCache) -> Array:
    """Gradient of `log_softmax`.

    Parameters
    ----------
    dout : array_like, the shape of `log_p`
    cache : LogSoftmaxCache

    Returns
    -------
    dx : ndarray, the shape of `log_p`
        Each row sums to 0; rows that were all -inf are 0.

    Raises
    ------
    ValueError
        If `dout` does not have the shape of `log_p`.

    Examples
    --------
    >>> log_p, cache = log_softmax([40.0, 0.0])
    >>> log_softmax_backward([1.0, 0.0], cache)
    array([ 4.24835426e-18, -4.24835426e-18])
    """
    log_p, top, axis = cache
    dout = as_dout("log_softmax", dout, log_p.shape)

    dx = dout - np.exp(log_p) * dout.sum(axis=axis, keepdims=True)  # 1
    np.put_along_axis(dx, top, 0, axis)
    np.put_along_axis(dx, top, -dx.sum(axis=axis, keepdims=True), axis)  # 2
    all_minus_inf = np.take_along_axis(log_p, top, axis).real == -np.inf
    return np.where(all_minus_inf, 0, dx) if all_minus_inf.any() else dx  # 3


def _row_arguments(op: str, x: npt.ArrayLike, axis: int) -> tuple[Array, int]:
    """Return `x` as floats and `axis` counted from the front; raise where there is nothing to normalise."""
    x = as_float(op, "x", x)
    axis = require_axis(op, "axis", axis, x.ndim)
    if x.shape[axis] == 0:
        bad_value(op, "x", f"at least one entry along axis {axis}", f"shape {x.shape}")
    return x, axis


def _below_the_top(x: Array, axis: int) -> tuple[Array, Array]:
    """Return x - max(x) along `axis`, and where the largest entry is (by its real part)."""
    top = x.real.argmax(axis=axis, keepdims=True)
    m = np.take_along_axis(x, top, axis)
    m = np.where(m.real == -np.inf, 0, m)  # -inf - (-inf) would be NaN
    return x - m, top
