"""Inverted dropout.

    keep = u >= p,  u uniform in [0, 1)
    out  = x · keep / (1 - p)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ._arguments import Array, Random, as_dout, as_float, require_number, require_random


class DropoutCache(NamedTuple):
    """What `dropout_backward` needs."""

    keep: Array  # bool, the shape of x
    p: float


def dropout(x: npt.ArrayLike, p: float, rng: Random) -> tuple[Array, DropoutCache]:
    """Set each element to 0 with probability `p` and scale the others, so that the mean stays.

    Parameters
    ----------
    x : array_like, any shape
    p : float
        Probability of dropping, 0 <= p <= 1; 1 drops everything.
    rng : numpy.random.Generator
        Or anything with its method ``random(size, dtype)``, which is called once, with the shape of
        `x` and float32.

    Returns
    -------
    out : ndarray, the shape of x
    cache : DropoutCache

    Raises
    ------
    ValueError
        If `p` is outside [0, 1].
    TypeError
        If `x` is neither float32, float64, complex128 nor integer, or `rng` has no method `random`.

    References
    ----------
    Srivastava et al.: Dropout, JMLR 15 (2014), section 10 (scaling at training time).

    Examples
    --------
    >>> out, cache = dropout([1.0, 2.0, 3.0, 4.0], p=0.5, rng=np.random.default_rng(0))
    >>> out
    array([2., 4., 6., 0.])
    """
    x = as_float("dropout", "x", x)
    p = require_number("dropout", "p", p, low=0.0, high=1.0)
    keep = draw_keep("dropout", x.shape, p, rng)

    out = x * keep
    out *= keep_scale(p)
    return out, DropoutCache(keep, p)


# The backward, step by step.
#
#   1. keep does not depend on x, so each element is multiplied by a constant:   dx = dout · keep / (1 - p)
def dropout_backward(dout: npt.ArrayLike, cache: DropoutCache) -> Array:
    """Gradient of `dropout`, with what the forward drew.

    Parameters
    ----------
    dout : array_like, the shape of x
        Gradient of the loss with respect to `out`.
    cache : DropoutCache

    Returns
    -------
    dx : ndarray, the shape of x

    Raises
    ------
    ValueError
        If `dout` does not have the shape of `out`.

    Examples
    --------
    >>> out, cache = dropout([1.0, 2.0, 3.0, 4.0], p=0.5, rng=np.random.default_rng(0))
    >>> dropout_backward([1.0, 1.0, 1.0, 10.0], cache)
    array([2., 2., 2., 0.])
    """
    keep, p = cache
    dout = as_dout("dropout", dout, keep.shape)

    dx = dout * keep  # 1
    dx *= keep_scale(p)
    return dx


def draw_keep(op: str, shape: tuple[int, ...], p: float, rng: Random | None) -> Array:
    """Return what is kept (bool, of `shape`), from one draw of float32; attention draws alike."""
    u: Array = require_random(op, rng).random(shape, dtype=np.float32)
    return u >= p


def keep_scale(p: float) -> float:
    """Return 1 / (1 - p); where everything is dropped there is nothing to scale."""
    return 1 / (1 - p) if p < 1 else 0.0
