from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import npformer.functional as F

OPS = {
    "relu": (F.relu, F.relu_backward),
    "tanh": (F.tanh, F.tanh_backward),
    "sigmoid": (F.sigmoid, F.sigmoid_backward),
    "silu": (F.silu, F.silu_backward),
}


@pytest.fixture(params=OPS)
def op(request):
    return request.param


def generic_point(rng, shape=(3, 5, 2), away=0.1):
    """Normal numbers, none within `away` of 0, where relu has its kink."""
    x = 1.5 * rng.standard_normal(shape)
    return x + np.where(x >= 0, away, -away)


def test_proof(op, proof, rng):
    proof(*OPS[op], {"x": generic_point(rng)}, rng).holds()


def test_the_same_over_a_wide_range(op, proof, rng):
    proof(*OPS[op], {"x": 8 * generic_point(rng)}, rng).holds()


WRONG = {  # mistakes people make: the derivative of something else, a factor or a sign lost
    "relu": [lambda x, y: np.ones_like(x), lambda x, y: x < 0],
    "tanh": [lambda x, y: 1 - y, lambda x, y: 1 - np.tanh(y) ** 2, lambda x, y: 1 + y * y],
    "sigmoid": [lambda x, y: y, lambda x, y: y * (1 + y), lambda x, y: x * (1 - x)],
    "silu": [lambda x, y: 1 / (1 + np.exp(-x)), lambda x, y: y + 1 / (1 + np.exp(-x))],
}


def test_a_wrong_derivative_is_seen(op, proof, one_rng):
    p = proof(*OPS[op], {"x": generic_point(one_rng)}, one_rng)
    for wrong in WRONG[op]:
        p.sees(lambda dout, cache, wrong=wrong: dout * wrong(p.inputs["x"], p.out))


def test_values():
    x = np.array([-2.0, -0.5, 0.5, 3.0])
    np.testing.assert_array_equal(F.relu(x)[0], [0, 0, 0.5, 3])
    np.testing.assert_allclose(F.sigmoid(x)[0], 1 / (1 + np.exp(-x)), rtol=1e-15)
    np.testing.assert_allclose(F.silu(x)[0], x / (1 + np.exp(-x)), rtol=1e-15)
    np.testing.assert_allclose(
        F.tanh(x)[0], (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x)), rtol=1e-15
    )


@pytest.mark.parametrize(
    ("op", "x", "value", "slope"),
    [
        ("sigmoid", -40, 4.24835425529158898e-18, 4.24835425529158896e-18),
        ("sigmoid", 40, 1.0, 4.24835425529158896e-18),
        ("silu", -40, -1.69934170211663559e-16, -1.65685815956371969e-16),
        ("silu", 3, 2.85772238046729966, 1.08810410601516962),
        ("tanh", 20, 1.0, 1.69934170211663558e-17),
        ("tanh", -20, -1.0, 1.69934170211663558e-17),
    ],
)
def test_the_tails_keep_their_digits(op, x, value, slope, close_in_ulps):
    for dtype in (np.float32, np.float64):
        out, cache = OPS[op][0](np.array(x, dtype))
        close_in_ulps(out, value, 4)
        close_in_ulps(OPS[op][1](np.ones((), dtype), cache), slope, 4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_huge_numbers_give_the_limits(op, dtype):
    with np.errstate(all="raise", under="ignore"):
        big = 3e38 if dtype == np.float32 else 1e300
        x = np.array([-big, -1e20, -1e3, 1e3, 1e20, big], dtype=dtype)
        out, cache = OPS[op][0](x)
        dx = OPS[op][1](np.ones_like(x), cache)
    limits = {"relu": (0, x[3:]), "tanh": (-1, 1), "sigmoid": (0, 1), "silu": (0, x[3:])}[op]
    np.testing.assert_allclose(out[:3], limits[0] * np.ones(3), atol=1e-40)
    np.testing.assert_array_equal(out[3:], limits[1] * np.ones(3))
    np.testing.assert_allclose(dx, [0, 0, 0, 1, 1, 1] if op in ("relu", "silu") else np.zeros(6), atol=1e-40)


def test_nan_is_not_hidden(op):
    assert np.isnan(OPS[op][0]([np.nan])[0]).all()


def test_relu_at_zero_has_slope_zero():
    out, cache = F.relu([0.0, -0.0])
    np.testing.assert_array_equal(F.relu_backward([1.0, 1.0], cache), [0, 0])


@settings(max_examples=30, deadline=None)
@given(
    arrays(
        np.float64, array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4), elements=st.floats(-50, 50)
    )
)
def test_any_shape_and_the_symmetries(x):
    for forward, backward in OPS.values():
        out, cache = forward(x)
        assert np.shape(out) == x.shape
        assert np.shape(backward(np.ones(x.shape), cache)) == x.shape
    np.testing.assert_array_equal(F.relu(x)[0] - F.relu(-x)[0], x)
    np.testing.assert_array_equal(F.tanh(-x)[0], -F.tanh(x)[0])
    np.testing.assert_allclose(F.sigmoid(x)[0] + F.sigmoid(-x)[0], np.ones(x.shape), rtol=1e-15)
    np.testing.assert_allclose(F.silu(x)[0] - F.silu(-x)[0], x, rtol=1e-15, atol=1e-15)


def test_integers_and_lists_become_float64(op):
    assert OPS[op][0]([[1, -2], [3, 4]])[0].dtype == np.float64


def test_bad_input_is_named(op):
    forward, backward = OPS[op]
    with pytest.raises(TypeError, match=f"^{op}: x: expected .*, got dtype float16"):
        forward(np.zeros(3, np.float16))
    with pytest.raises(ValueError, match=f"^{op}: x: expected an array, got a ragged"):
        forward([[1.0], [2.0, 3.0]])
    cache = forward(np.ones((2, 3)))[1]
    with pytest.raises(ValueError, match=rf"^{op}_backward: dout: expected shape \(2, 3\)"):
        backward(np.ones((3, 2)), cache)
    with pytest.raises(ValueError, match=f"^{op}_backward: dout"):
        backward(1.0, cache)
