from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.special import erf

from npformer.functional import gelu, gelu_backward
from npformer.functional.gelu import BLOCK
from npformer.gradcheck import complex_step_gradient


@pytest.fixture(params=["none", "tanh"])
def approximate(request):
    return request.param


def test_proof(approximate, proof, rng):
    x = 1.5 * rng.standard_normal((3, 5, 2))
    proof(partial(gelu, approximate=approximate), gelu_backward, {"x": x}, rng).holds()


def test_the_same_over_a_wide_range(approximate, proof, rng):
    x = rng.uniform(-12, 12, (4, 7))
    proof(partial(gelu, approximate=approximate), gelu_backward, {"x": x}, rng).holds()


@pytest.mark.parametrize("x", [-20.0, -9.0, -5.5, -1.0, 0.0, 1.0, 5.5, 20.0])
def test_complex_step_holds_at_every_single_point(approximate, x):
    """Entry by entry, not by the scale of the tensor: the left tail counts as much as the rest."""
    inputs = {"x": np.array([x])}
    exact = complex_step_gradient(lambda x: gelu(x, approximate)[0], inputs, "x", np.ones(1), h=1e-30)
    dx = gelu_backward(np.ones(1), gelu(inputs["x"], approximate)[1])
    np.testing.assert_allclose(dx, exact, rtol=1e-13)


def phi(x):
    return np.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def test_a_wrong_derivative_is_seen(approximate, proof, one_rng):
    x = 1.5 * one_rng.standard_normal((4, 5))
    p = proof(partial(gelu, approximate=approximate), gelu_backward, {"x": x}, one_rng)
    other = gelu(x, "tanh" if approximate == "none" else "none")[1]
    u = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    t = np.tanh(u)
    inner = math.sqrt(2 / math.pi) * (1 + 0.044715 * x**2)  # the factor 3 forgotten
    for wrong in (
        p.out / x,  # the product rule forgotten
        p.out / x - x * phi(x),
        0.5 * (1 + t) + 0.5 * x * (1 - t * t),  # the inner derivative forgotten
        0.5 * (1 + t) + 0.5 * x * (1 - t * t) * inner,
    ):
        p.sees(lambda dout, cache, wrong=wrong: dout * wrong)
    # The two forms differ by 1e-3 at most, which is far above the tolerance all the same.
    assert max(p.errors(lambda dout, cache: gelu_backward(dout, other)).values()) > 1e-5


def test_values_by_the_textbook_formulas():
    x = np.linspace(-1, 4, 50)
    np.testing.assert_allclose(gelu(x)[0], x * 0.5 * (1 + erf(x / math.sqrt(2))), rtol=1e-14)
    u = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    np.testing.assert_allclose(gelu(x, "tanh")[0], 0.5 * x * (1 + np.tanh(u)), rtol=1e-14)


@pytest.mark.parametrize(
    ("form", "x", "value", "slope", "ulps"),
    [
        ("none", -2.5, -0.0155241633144403379, -0.0376110859081452082, 20),
        ("none", -6, -5.91952587022618884e-9, -3.54687094539020148e-8, 40),
        ("none", -9, -1.01572956535845658e-18, -9.13893737390663925e-18, 80),
        # exp(-x²/2) with a rounded exponent of 450 cannot be better than some 250 ulp
        ("none", -30, -1.47201417814445612e-196, -4.41603169070849437e-195, 300),
        ("tanh", -3, -0.00363739208177301884, -0.0115841666309697262, 20),
        ("tanh", -5, -2.29179619662950605e-7, -1.5463619875325946e-6, 40),
        ("tanh", -9, -1.33645959473487255e-28, -2.51573528506742515e-27, 100),
        ("tanh", 2, 1.95459769408777502, 1.08609925662361838, 4),
    ],
)
def test_the_left_tail_keeps_its_digits(form, x, value, slope, ulps, close_in_ulps):
    for dtype in (np.float32, np.float64):
        if abs(value) < np.finfo(dtype).tiny:
            continue
        out, cache = gelu(np.array(x, dtype), form)
        close_in_ulps(out, value, ulps)
        close_in_ulps(gelu_backward(np.ones((), dtype), cache), slope, ulps)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_huge_numbers_give_the_limits(approximate, dtype):
    x = np.array([-1e20, -1e13, -100, -41, 41, 100, 1e13, 1e20], dtype=dtype)
    with np.errstate(all="raise", under="ignore"):
        out, cache = gelu(x, approximate)
        dx = gelu_backward(np.ones_like(x), cache)
    np.testing.assert_array_equal(out, [0, 0, 0, 0, *x[4:]])
    np.testing.assert_array_equal(dx, [0, 0, 0, 0, 1, 1, 1, 1])


def test_nan_is_not_hidden(approximate):
    assert np.isnan(gelu([np.nan], approximate)[0]).all()


@settings(max_examples=30, deadline=None)
@given(
    arrays(
        np.float64, array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4), elements=st.floats(-40, 40)
    )
)
def test_any_shape_and_the_symmetry(x):
    for form in ("none", "tanh"):
        out, cache = gelu(x, form)
        mirrored, mirrored_cache = gelu(-x, form)
        assert np.shape(out) == x.shape
        np.testing.assert_allclose(out - mirrored, x, rtol=1e-14, atol=1e-14)  # Φ(x) + Φ(-x) = 1
        ones = np.ones(x.shape)
        slopes = gelu_backward(ones, cache) + gelu_backward(ones, mirrored_cache)
        np.testing.assert_allclose(slopes, ones, rtol=1e-14)


def test_bad_input_is_named():
    with pytest.raises(TypeError, match="^gelu: x: expected .*, got dtype <U1"):
        gelu("x")
    for wrong in ("Tanh", "erf", True, None):
        with pytest.raises(ValueError, match="^gelu: approximate: expected 'none' or 'tanh', got"):
            gelu([1.0], wrong)
    cache = gelu(np.ones((2, 3)))[1]
    with pytest.raises(ValueError, match=r"^gelu_backward: dout: expected shape \(2, 3\)"):
        gelu_backward(np.ones(3), cache)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_what_is_large_is_done_in_blocks_and_comes_out_the_same(approximate, dtype):
    x = np.random.default_rng(0).standard_normal((3, 100_003)).astype(dtype)
    assert x[0].size < BLOCK < x.size / 2
    out, cache = gelu(x, approximate)
    alone = [gelu(row, approximate) for row in x]
    close = {"rtol": 1e-5, "atol": 1e-6} if dtype == np.float32 else {"rtol": 1e-13, "atol": 1e-15}
    np.testing.assert_allclose(out, [y for y, _ in alone], **close)
    np.testing.assert_allclose(cache.slope, [c.slope for _, c in alone], **close)
