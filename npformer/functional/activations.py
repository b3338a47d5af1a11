"""Elementwise activations.

    relu(x)    = max(x, 0)
    tanh(x)    = (eˣ - e⁻ˣ) / (eˣ + e⁻ˣ)
    sigmoid(x) = σ(x) = 1 / (1 + e⁻ˣ)
    silu(x)    = x · σ(x)

Each of them keeps its derivative at `x`, so that every backward is one multiplication.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ._arguments import Array, as_dout, as_float
from ._logistic import exp_of_minus_abs, logistic


class ReluCache(NamedTuple):
    """What `relu_backward` needs."""

    positive: Array  # x > 0, booleans


class TanhCache(NamedTuple):
    """What `tanh_backward` needs."""

    slope: Array  # tanh'(x)


class SigmoidCache(NamedTuple):
    """What `sigmoid_backward` needs."""

    slope: Array  # σ'(x)


class SiluCache(NamedTuple):
    """What `silu_backward` needs."""

    slope: Array  # silu'(x)


def relu(x: npt.ArrayLike) -> tuple[Array, ReluCache]:
    """Replace what is negative by 0 (for complex `x`: what has a negative real part).

    Parameters
    ----------
    x : array_like, any shape

    Returns
    -------
    out : ndarray, the shape of `x`
        NaN stays NaN.
    cache : ReluCache

    Raises
    ------
    TypeError
        If `x` is neither float32, float64, complex128 nor integer.

    References
    ----------
    Nair, Hinton: Rectified Linear Units Improve Restricted Boltzmann Machines, ICML 2010.

    Examples
    --------
    >>> relu([-1.5, 0.0, 2.0])[0]
    array([0., 0., 2.])
    """
    x = as_float("relu", "x", x)
    # By the real part: NumPy orders complex numbers by it first. (np.where would take ten times as long.)
    return np.maximum(x, 0), ReluCache(x.real > 0)


#   1. out = x where x > 0, else the constant 0:   dx = dout · [x > 0]
#      At 0 itself, where there is no derivative, 0 is returned, as everywhere.
def relu_backward(dout: npt.ArrayLike, cache: ReluCache) -> Array:
    """Gradient of `relu`.

    Parameters
    ----------
    dout : array_like, the shape of `out`
    cache : ReluCache

    Returns
    -------
    dx : ndarray, the shape of `out`

    Raises
    ------
    ValueError
        If `dout` does not have the shape of `out`.

    Examples
    --------
    >>> out, cache = relu([-1.5, 0.0, 2.0])
    >>> relu_backward([3.0, 3.0, 3.0], cache)
    array([0., 0., 3.])
    """
    return as_dout("relu", dout, cache.positive.shape) * cache.positive  # 1


def tanh(x: npt.ArrayLike) -> tuple[Array, TanhCache]:
    """Hyperbolic tangent.

    Parameters
    ----------
    x : array_like, any shape

    Returns
    -------
    out : ndarray, the shape of `x`
    cache : TanhCache

    Raises
    ------
    TypeError
        If `x` is neither float32, float64, complex128 nor integer.

    Examples
    --------
    >>> tanh([-0.5, 0.0, 20.0])[0].round(4)
    array([-0.4621,  0.    ,  1.    ])
    """
    x = as_float("tanh", "x", x)
    e = exp_of_minus_abs(x)
    e = e * e  # e^(-2|x|); 2x itself could overflow
    return np.tanh(x), TanhCache(4 * e / ((1 + e) * (1 + e)))


#   1. tanh'(x) = 1 - tanh²(x) = 4 / (eˣ + e⁻ˣ)²  (from cosh² - sinh² = 1)
#      Multiplied above and below by e^(-2|x|), with e = e^(-2|x|), it is  slope = 4e / (1 + e)²:
#      the same number without the difference, which is 0 for every x > 19.
#   2. dx = dout · slope
def tanh_backward(dout: npt.ArrayLike, cache: TanhCache) -> Array:
    """Gradient of `tanh`.

    Parameters
    ----------
    dout : array_like, the shape of `out`
    cache : TanhCache

    Returns
    -------
    dx : ndarray, the shape of `out`

    Raises
    ------
    ValueError
        If `dout` does not have the shape of `out`.

    Examples
    --------
    >>> out, cache = tanh([0.0, 20.0])
    >>> tanh_backward([1.0, 1.0], cache)
    array([1.0000000e+00, 1.6993417e-17])
    """
    return as_dout("tanh", dout, cache.slope.shape) * cache.slope  # 2


def sigmoid(x: npt.ArrayLike) -> tuple[Array, SigmoidCache]:
    """Logistic function, sound on both tails.

    Parameters
    ----------
    x : array_like, any shape

    Returns
    -------
    out : ndarray, the shape of `x`
    cache : SigmoidCache

    Raises
    ------
    TypeError
        If `x` is neither float32, float64, complex128 nor integer.

    Examples
    --------
    >>> sigmoid([-800.0, 0.0, 2.0])[0].round(4)
    array([0.    , 0.5   , 0.8808])
    """
    x = as_float("sigmoid", "x", x)
    out, slope = logistic(x)
    return out, SigmoidCache(slope)


#   1. σ = (1 + e⁻ˣ)⁻¹:   σ'(x) = e⁻ˣ / (1 + e⁻ˣ)² = σ(x) · σ(-x) = slope
#   2. dx = dout · slope
def sigmoid_backward(dout: npt.ArrayLike, cache: SigmoidCache) -> Array:
    """Gradient of `sigmoid`.

    Parameters
    ----------
    dout : array_like, the shape of `out`
    cache : SigmoidCache

    Returns
    -------
    dx : ndarray, the shape of `out`

    Raises
    ------
    ValueError
        If `dout` does not have the shape of `out`.

    Examples
    --------
    >>> out, cache = sigmoid([0.0, 40.0])
    >>> sigmoid_backward([1.0, 1.0], cache)
    array([2.50000000e-01, 4.24835426e-18])
    """
    return as_dout("sigmoid", dout, cache.slope.shape) * cache.slope  # 2


def silu(x: npt.ArrayLike) -> tuple[Array, SiluCache]:
    """Sigmoid-weighted linear unit, also called swish.

    Parameters
    ----------
    x : array_like, any shape

    Returns
    -------
    out : ndarray, the shape of `x`
    cache : SiluCache

    Raises
    ------
    TypeError
        If `x` is neither float32, float64, complex128 nor integer.

    References
    ----------
    Elfwing, Uchibe, Doya: Sigmoid-Weighted Linear Units, arXiv:1702.03118, equation 5.

    Examples
    --------
    >>> silu([-2.0, 0.0, 2.0])[0].round(4)
    array([-0.2384,  0.    ,  1.7616])
    """
    x = as_float("silu", "x", x)
    s, ds = logistic(x)
    return x * s, SiluCache(s + x * ds)


#   1. out = x · σ(x), a product:   slope = silu'(x) = σ(x) + x · σ'(x)
#   2. dx = dout · slope
def silu_backward(dout: npt.ArrayLike, cache: SiluCache) -> Array:
    """Gradient of `silu`.

    Parameters
    ----------
    dout : array_like, the shape of `out`
    cache : SiluCache

    Returns
    -------
    dx : ndarray, the shape of `out`

    Raises
    ------
    ValueError
        If `dout` does not have the shape of `out`.

    Examples
    --------
    >>> out, cache = silu([-2.0, 0.0, 2.0])
    >>> silu_backward([1.0, 1.0, 1.0], cache).round(4)
    array([-0.0908,  0.5   ,  1.0908])
    """
    return as_dout("silu", dout, cache.slope.shape) * cache.slope  # 2
