"""The logistic function and its derivative, for the ops that are built from it.

    e     = exp(-|x|)                              never overflows
    σ(x)  = 1 / (1 + e) where x >= 0               and e / (1 + e) elsewhere
    σ'(x) = σ(x) · σ(-x) = e / (1 + e)²            on both sides

1 / (1 + exp(-x)) overflows on the left (to NaN for complex numbers), and σ · (1 - σ) is 0 for every
x > 37 where the derivative is e⁻ˣ; these forms keep their digits on both tails.

NumPy orders complex numbers by their real part first, so np.minimum and >= pick the right branch of them
too; and a product with a condition is several times as fast as np.where on signs that follow no pattern.
"""

from __future__ import annotations

import numpy as np

from ._arguments import Array


def logistic(x: Array) -> tuple[Array, Array]:
    """Return σ(x) and σ'(x)."""
    e = exp_of_minus_abs(x)
    one_plus_e = 1 + e
    right = x >= 0
    numerator = e * ~right
    numerator += right  # exactly 1 there
    return numerator / one_plus_e, e / (one_plus_e * one_plus_e)


def exp_of_minus_abs(x: Array) -> Array:
    """Return exp(-|x|), where |x| is x or -x (np.abs would drop the imaginary part)."""
    return np.exp(np.minimum(x, -x))
