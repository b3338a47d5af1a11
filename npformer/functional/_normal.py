"""The standard normal distribution function Φ and its density φ, for GELU.

    φ(x) = exp(-x² / 2) / √(2π)
    Φ(x) = T(-x) for x < 0 and 1 - T(x) otherwise,      T(a) = ½ erfc(a / √2), the tail beyond a >= 0

For float64 and complex numbers SciPy has Φ with all its digits. For float32 its detour through float64 would
take a tenth of a training step, and the tail is written as

    T(a) = exp(-a² / 2) · M(u),      u = 1 / (1 + 0.23 a)

where M is smooth enough for a polynomial of degree 8, fitted to ½ erfcx(a / √2) on [0, 14.5] by least squares
with Lawson's weights, which make the largest error small: 4.8e-8 of M, and 8.9e-8 with rounded coefficients,
where the last bit of a float32 is 1.2e-7. The exponent is the other place where digits go: rounding a² to s
costs 60 of the last bits at a = 12. What the rounding took is known, by a part of a whose square is exact:

    a² - s = (hi² - s) + (a - hi)(a + hi),      exp(-a² / 2) = exp(-s / 2) · (1 - (a² - s) / 2)

where the square of (a² - s) / 2, at most 4e-6, is nothing.
"""

from __future__ import annotations

import math

import numpy as np

from ._arguments import Array

ONE_OVER_ROOT_2_PI = 1 / math.sqrt(2 * math.pi)
SLOPE_OF_U = np.float32(0.23)
# M's coefficients, of u⁰ first
M = np.array(
    [
        -2.79665631e-05,
        0.092381579,
        0.0857426963,
        0.119586567,
        -0.0330778761,
        0.301686074,
        -0.278302498,
        0.290494637,
        -0.078483237,
    ],
    dtype=np.float32,
)
FAR = np.float32(20)  # exp(-20² / 2) is 0 in float32
FIRST_12_BITS = np.uint32(0xFFFFF000)  # of a float32's 24, sign and exponent with them
SIGN_BIT = np.uint32(0x80000000)


def normal(x: Array) -> tuple[Array, Array]:
    """Return Φ(x) and φ(x) in the precision of `x`."""
    if x.dtype == np.float32:
        cdf, pdf = _normal_float32(np.atleast_1d(x))
        return cdf.reshape(x.shape), pdf.reshape(x.shape)
    from scipy.special import ndtr  # here: loading it takes long, and float32 does without

    with np.errstate(over="ignore"):  # x² may overflow: φ is 0 there
        return ndtr(x), np.exp(x * x * -0.5) * ONE_OVER_ROOT_2_PI


def _normal_float32(x: Array) -> tuple[Array, Array]:
    # In place wherever it can be: what counts here is how often memory is walked through. np.minimum and
    # np.copysign take several times as long with a number as with an array, or on the sign's bit.
    a = np.bitwise_and(x.view(np.uint32), ~SIGN_BIT).view(np.float32)
    np.minimum(a, np.full_like(a, FAR), out=a)
    u = a * SLOPE_OF_U
    u += 1
    np.reciprocal(u, out=u)
    tail = u * M[-1]
    for coefficient in M[-2:0:-1]:  # Horner
        tail += coefficient
        tail *= u
    tail += M[0]  # M(u)

    hi = np.bitwise_and(a.view(np.uint32), FIRST_12_BITS, out=u.view(np.uint32)).view(np.float32)
    rest = a - hi
    pdf = a * a  # s, in the place of what it becomes
    a += hi
    rest *= a  # (a - hi)(a + hi)
    hi *= hi  # exact
    hi -= pdf  # exact too: the two are within a factor of 2
    rest += hi  # a² - s
    pdf *= -0.5
    np.exp(pdf, out=pdf)
    rest *= -0.5
    rest *= pdf
    pdf += rest  # exp(-a² / 2)

    tail *= pdf  # T(a)
    pdf *= np.float32(ONE_OVER_ROOT_2_PI)
    sign = np.bitwise_and(x.view(np.uint32), SIGN_BIT, out=hi.view(np.uint32))
    signed_tail = np.bitwise_xor(tail.view(np.uint32), sign, out=tail.view(np.uint32)).view(np.float32)
    cdf = np.bitwise_or(sign, np.float32(0.5).view(np.uint32), out=sign).view(np.float32)  # ±1/2
    cdf += np.float32(0.5)  # 0 for x < 0, else 1: the tail is added to nothing, or taken from 1
    cdf -= signed_tail
    return cdf, pdf
