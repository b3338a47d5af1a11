"""Rotary positions: each pair of features is turned by an angle that grows with the position.

    theta_i = base^(-2i / d),   i = 0 .. d/2 - 1
    angle   = t · theta_i
    out_a   = a · cos(angle) - b · sin(angle)
    out_b   = b · cos(angle) + a · sin(angle)

where the pair (a, b) is features (i, i + d/2), halves rotated against each other, or, interleaved,
features (2i, 2i + 1). The scalar product of a query at t and a key at s then depends on t - s alone.
With every feature beside its partner, x = (a, b) and x' = (b, a), both lines are one:

    out = x · cos + x' · sin_signed,     sin_signed = (-sin, +sin)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ._arguments import Array, as_dout, as_float, bad_type, bad_value, require_broadcastable, require_positive


class RotaryCache(NamedTuple):
    """What `rotary_backward` needs."""

    cos: Array  # broadcastable to (..., T, d)
    sin_signed: Array  # likewise
    shape: tuple[int, ...]  # of x
    interleaved: bool


def rotary(
    x: npt.ArrayLike, positions: npt.ArrayLike, base: float = 10000.0, *, interleaved: bool = False
) -> tuple[Array, RotaryCache]:
    """Rotate the features of each row of `x` by its position.

    Parameters
    ----------
    x : array_like, shape (..., T, d)
        Queries or keys; d is even.
    positions : array_like of real numbers, shape (T,) or broadcastable to (..., T)
    base : float
        Of the geometric row of wave lengths, from 2π to about 2π · base.
    interleaved : bool
        Pairs are neighbours (RoFormer, GPT-J) in place of halves (GPT-NeoX, Llama in Hugging Face's layout).

    Returns
    -------
    out : ndarray, shape (..., T, d)
    cache : RotaryCache

    Raises
    ------
    ValueError
        If d is odd or 0, `positions` do not broadcast, or `base` is not positive.
    TypeError
        If `x` is neither float32, float64, complex128 nor integer, or `positions` are not real.

    Notes
    -----
    Angles are computed in float64 and rounded once, their sines and cosines, to the precision of `x`.

    References
    ----------
    Su et al.: RoFormer, arXiv:2104.09864, equation 34.

    Examples
    --------
    >>> out, cache = rotary([[1.0, 0.0], [1.0, 0.0]], positions=[0, 1])
    >>> out.round(4)
    array([[1.    , 0.    ],
           [0.5403, 0.8415]])
    """
    x = as_float("rotary", "x", x)
    if x.ndim == 0 or x.shape[-1] == 0 or x.shape[-1] % 2:
        bad_value("rotary", "x", "shape (..., T, d) with d even", f"shape {x.shape}")
    positions = as_float("rotary", "positions", positions)
    if positions.dtype.kind == "c":
        bad_type("rotary", "positions", "real numbers", f"dtype {positions.dtype}")
    require_broadcastable("rotary", "positions", positions, x.shape[:-1])
    base = require_positive("rotary", "base", base)

    d = x.shape[-1]
    theta = base ** (-np.arange(0, d, 2) / d)
    angle = positions[..., None] * theta  # float64, since theta is
    cos, sin = np.cos(angle), np.sin(angle)  # (..., T, d/2)
    cos = _join(cos, cos, interleaved).astype(x.real.dtype)
    sin_signed = _join(-sin, sin, interleaved).astype(x.real.dtype)

    out = x * cos
    out += _partner(x, interleaved) * sin_signed
    return out, RotaryCache(cos, sin_signed, x.shape, interleaved)


# The backward, step by step.
#
#   1. a enters out_a with cos and out_b with sin:     da = dout_a · cos + dout_b · sin
#      b enters out_b with cos and out_a with -sin:    db = dout_b · cos - dout_a · sin
#   2. This is the rotation by the opposite angle (the transpose of a rotation is its inverse), so that
#      with dout = (dout_a, dout_b) and its partner dout' = (dout_b, dout_a)
#                                                      dx = dout · cos - dout' · sin_signed
def rotary_backward(dout: npt.ArrayLike, cache: RotaryCache) -> Array:
    """Gradient of `rotary`.

    Parameters
    ----------
    dout : array_like, shape (..., T, d)
        Gradient of the loss with respect to `out`.
    cache : RotaryCache

    Returns
    -------
    dx : ndarray, shape (..., T, d)

    Raises
    ------
    ValueError
        If `dout` does not have the shape of `out`.

    Examples
    --------
    >>> out, cache = rotary([[1.0, 0.0], [1.0, 0.0]], positions=[0, 1])
    >>> rotary_backward(out, cache).round(4)  # turned back
    array([[1., 0.],
           [1., 0.]])
    """
    cos, sin_signed, shape, interleaved = cache
    dout = as_dout("rotary", dout, shape)

    dx = dout * cos  # 1, 2
    dx -= _partner(dout, interleaved) * sin_signed
    return dx


def _pairs(x: Array, interleaved: bool) -> tuple[Array, Array]:
    """Return views of the first and of the second features of all pairs, each (..., d/2)."""
    if interleaved:
        return x[..., 0::2], x[..., 1::2]
    half = x.shape[-1] // 2
    return x[..., :half], x[..., half:]


def _join(a: Array, b: Array, interleaved: bool) -> Array:
    """Return the array (..., d) whose pairs are (a, b)."""
    x = np.empty((*a.shape[:-1], 2 * a.shape[-1]), a.dtype)
    x_a, x_b = _pairs(x, interleaved)
    x_a[...], x_b[...] = a, b
    return x


def _partner(x: Array, interleaved: bool) -> Array:
    """Return x' = (b, a), laid out in memory as x = (a, b) is."""
    other = np.empty_like(x)
    (a, b), (other_a, other_b) = _pairs(x, interleaved), _pairs(other, interleaved)
    other_a[...], other_b[...] = b, a
    return other
