"""Gaussian error linear unit, exact and approximated.

    Φ(x) = ½ · erfc(-x / √2),   the standard normal distribution function
    φ(x) = exp(-x² / 2) / √(2π),   its density

    "none":   out = x · Φ(x)
    "tanh":   u   = √(2/π) · (x + 0.044715 x³)
              out = ½ x · (1 + tanh(u)) = x · σ(2u) = x / (1 + exp(-2u))

Written as ½ (1 + erf) or ½ (1 + tanh), the left tail cancels away: at x = -9 nothing would be left
of -1.0e-18.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ._arguments import Array, as_dout, as_float, bad_value
from ._logistic import logistic
from ._normal import normal

ROOT_2_OVER_PI = math.sqrt(2 / math.pi)
CUBIC = 0.044715
BLOCK = 131072  # elements: forty walks through the cache, not all of x; smaller ones wait for the lock
SATURATED = 25.0  # from here on exp(-2u) is 0 in float64 too (it is 1e-501 at 25)


class GeluCache(NamedTuple):
    """What `gelu_backward` needs."""

    slope: Array  # gelu'(x), of the form that was asked for


def gelu(x: npt.ArrayLike, approximate: str = "none") -> tuple[Array, GeluCache]:
    """Weigh each `x` by the probability that a standard normal number is below it.

    Parameters
    ----------
    x : array_like, any shape
    approximate : {"none", "tanh"}
        The exact form (BERT), or the one with tanh (GPT-2).

    Returns
    -------
    out : ndarray, the shape of `x`
    cache : GeluCache

    Raises
    ------
    ValueError
        If `approximate` is neither "none" nor "tanh".
    TypeError
        If `x` is neither float32, float64, complex128 nor integer.

    References
    ----------
    Hendrycks, Gimpel: Gaussian Error Linear Units, arXiv:1606.08415, section 2.

    Examples
    --------
    >>> gelu([-9.0, -1.0, 2.0])[0]
    array([-1.01572957e-18, -1.58655254e-01,  1.95449974e+00])
    >>> gelu([-1.0, 2.0], approximate="tanh")[0].round(6)
    array([-0.158808,  1.954598])
    """
    x = as_float("gelu", "x", x)
    if not isinstance(approximate, str) or approximate not in ("none", "tanh"):
        bad_value("gelu", "approximate", "'none' or 'tanh'", repr(approximate))
    return _gelu_exact(x) if approximate == "none" else _gelu_tanh(x)


def _gelu_exact(x: Array) -> tuple[Array, GeluCache]:
    flat = x.reshape(-1)
    out, slope = np.empty_like(flat), np.empty_like(flat)
    for start in range(0, flat.size, BLOCK):
        block = slice(start, start + BLOCK)
        cdf, pdf = normal(flat[block])
        np.multiply(flat[block], cdf, out=out[block])
        pdf *= flat[block]
        np.add(cdf, pdf, out=slope[block])  # Φ + x · φ
    return out.reshape(x.shape), GeluCache(slope.reshape(x.shape))


def _gelu_tanh(x: Array) -> tuple[Array, GeluCache]:
    # Beyond ±SATURATED σ(2u) is 0 or 1 and its derivative 0, so nothing is lost by computing u from a
    # clipped x, and x³ cannot overflow. (NumPy clips complex numbers by their real part.)
    z = np.clip(x, -SATURATED, SATURATED)
    zz = z * z
    u = ROOT_2_OVER_PI * z * (1 + CUBIC * zz)
    du = ROOT_2_OVER_PI * (1 + 3 * CUBIC * zz)
    s, ds = logistic(2 * u)
    return x * s, GeluCache(s + 2 * z * du * ds)


# The backward, step by step.
#
#   1. "none": out = x · Φ(x) is a product, and Φ' = φ:          slope = Φ(x) + x · φ(x)
#   2. "tanh": out = x · σ(2u) is a product too. With u' = √(2/π) · (1 + 3 · 0.044715 x²),
#      the chain rule gives dσ(2u)/dx = σ'(2u) · 2u':             slope = σ(2u) + x · 2u' · σ'(2u)
#   3. Either way each x meets its own slope:                     dx = dout · slope
#
# The forward has Φ and σ at hand, so steps 1 and 2 are done there.
def gelu_backward(dout: npt.ArrayLike, cache: GeluCache) -> Array:
    """Gradient of `gelu`, of either form.

    Parameters
    ----------
    dout : array_like, the shape of `out`
    cache : GeluCache

    Returns
    -------
    dx : ndarray, the shape of `out`

    Raises
    ------
    ValueError
        If `dout` does not have the shape of `out`.

    Examples
    --------
    >>> out, cache = gelu([-1.0, 0.0, 2.0])
    >>> gelu_backward([1.0, 1.0, 1.0], cache).round(4)
    array([-0.0833,  0.5   ,  1.0852])
    """
    return as_dout("gelu", dout, cache.slope.shape) * cache.slope  # 3
