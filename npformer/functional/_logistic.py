"""The logistic function and its derivative, for the ops that are built from it.

    e     = exp(-|x|)                        never overflows
    σ(x)  = 1 / (1 + e)  where x >= 0,  e / (1 + e)  elsewhere
    σ'(x) = σ(x) · σ(-x) = e / (1 + e)²      on both sides

1 / (1 + exp(-x)) overflows on the left (to NaN for complex numbers), and σ · (1 - σ) is 0 for every
x > 37 where the derivative is e⁻ˣ; these forms keep their digits on both tails.
"""

from __future__ import annotations

import numpy as np

from ._arguments import Array


def logistic(x: Array) -> tuple[Array, Array]:
    """Return σ(x) and σ'(x)."""
    e = exp_of_minus_abs(x)
    one_plus_e = 1 + e
    return np.where(x.real >= 0, 1, e) / one_plus_e, e / (one_plus_e * one_plus_e)


def exp_of_minus_abs(x: Array) -> Array:
    """Return exp(-|x|), with |x| by the sign of the real part so that it stays analytic on each side."""
    return np.exp(np.where(x.real >= 0, -x, x))
