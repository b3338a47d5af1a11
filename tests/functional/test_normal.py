"""Φ and φ: every digit that float32 has, whether the numbers come from SciPy or from the polynomial."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import erfcx, ndtr

from npformer.functional._normal import FAR, SLOPE_OF_U, M, normal


def test_the_polynomial_is_the_tail_without_its_exponential():
    a = np.linspace(0, 14.5, 20_001)
    fitted = np.polynomial.Polynomial(M.astype(np.float64))(1 / (1 + float(SLOPE_OF_U) * a))
    exact = 0.5 * erfcx(a / np.sqrt(2))
    assert np.abs(fitted / exact - 1).max() < 9e-8


@pytest.mark.parametrize(("low", "high"), [(-13, -5), (-5, -1), (-1, 0), (0, 8)])
def test_float32_keeps_its_digits(low, high, close_in_ulps):
    x = np.linspace(low, high, 200_001).astype(np.float32)
    exact = x.astype(np.float64)
    cdf, pdf = normal(x)
    assert cdf.dtype == pdf.dtype == np.float32
    close_in_ulps(cdf, ndtr(exact), 11)
    close_in_ulps(pdf, np.exp(-exact * exact / 2) / np.sqrt(2 * np.pi), 6)


def test_far_out_and_special_numbers():
    x = np.array([-np.inf, -1e30, -FAR, -0.0, 0.0, FAR, 1e30, np.inf, np.nan], dtype=np.float32)
    cdf, pdf = normal(x)
    np.testing.assert_array_equal(cdf, np.float32([0, 0, 0, 0.5, 0.5, 1, 1, 1, np.nan]))
    np.testing.assert_array_equal(pdf[[0, 1, 2, 5, 6, 7]], 0)
    assert np.isnan(pdf[-1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (2, 3)])
def test_shapes_and_the_input_stays(dtype, shape):
    x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    x = np.asarray(x)
    before = x.copy()
    cdf, pdf = normal(x)
    assert np.shape(cdf) == np.shape(pdf) == shape
    np.testing.assert_array_equal(x, before)
    np.testing.assert_allclose(cdf, ndtr(x.astype(np.complex128)), rtol=2e-6)
