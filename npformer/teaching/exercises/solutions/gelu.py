"""GELU: x times the probability that a standard normal number is below x.

gelu(x) = x Φ(x),   Φ(x) = ½ (1 + erf(x / √2)),   Φ'(x) = φ(x) = exp(-x² / 2) / √(2π)
"""

import math

import numpy as np
from scipy.special import erf

Array = np.ndarray


def gelu_forward(x: Array) -> tuple[Array, Array]:
    """Return x Φ(x), with the erf form, and the cache x."""
    return x * 0.5 * (1 + erf(x / math.sqrt(2))), x


def gelu_backward(dout: Array, x: Array) -> Array:
    """Return dx, of the shape of x."""
    cdf = 0.5 * (1 + erf(x / math.sqrt(2)))
    pdf = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    return dout * (cdf + x * pdf)
