"""The numeric gradients against each other and against formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import erf

from npformer.gradcheck import (
    complex_step_gradient,
    directional_derivative,
    error_of,
    numeric_gradient,
)
from npformer.gradcheck.derivative import directional_slope, stencil_gradient


def softmax(x):
    e = np.exp(x - x.real.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def layer_norm(x, gamma, beta):
    d = x - x.mean(axis=-1, keepdims=True)
    return gamma * d / np.sqrt((d * d).mean(axis=-1, keepdims=True) + 1e-5) + beta


def gelu(x):
    return x / 2 * (1 + erf(x / math.sqrt(2)))


def attention(q, k, v):
    return softmax(q @ k.T / math.sqrt(q.shape[-1])) @ v


def info_nce(queries, keys):
    a = queries / np.sqrt((queries * queries).sum(axis=-1, keepdims=True))
    b = keys / np.sqrt((keys * keys).sum(axis=-1, keepdims=True))
    scores = a @ b.T / 0.05
    highest = scores.real.max(axis=-1, keepdims=True)
    return np.log(np.exp(scores - highest).sum(axis=-1)) + highest[:, 0] - np.diag(scores)


def points(rng):
    n = rng.standard_normal
    return {
        "softmax": (softmax, {"x": n((3, 5))}),
        "layer norm": (layer_norm, {"x": n((3, 5)), "gamma": n(5), "beta": n(5)}),
        "layer norm over 3": (layer_norm, {"x": n((3, 3)), "gamma": n(3), "beta": n(3)}),
        "layer norm at 1e3": (layer_norm, {"x": 1e3 + n((3, 5)), "gamma": n(5), "beta": n(5)}),
        "gelu": (gelu, {"x": 2 * n(7)}),
        "attention": (attention, {"q": n((3, 4)), "k": n((5, 4)), "v": n((5, 2))}),
        "InfoNCE": (info_nce, {"queries": n((4, 5)), "keys": n((4, 5))}),
    }


@pytest.mark.parametrize("op", points(np.random.default_rng(0)))
def test_stencil_against_complex_step(op):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        f, inputs = points(rng)[op]
        dout = rng.standard_normal(f(**inputs).shape)
        for name in inputs:
            gradient, error = numeric_gradient(f, inputs, name, dout)
            exact = complex_step_gradient(f, inputs, name, dout)
            assert error_of(gradient, exact) <= 1.5e-11
            assert np.all(np.abs(gradient - exact) <= 10 * error), "the error estimate is too good"


def test_a_view_or_a_buffer_as_output():
    buffer = np.empty(3)
    for f in (lambda x: x[:], lambda x: np.multiply(x, 1.0, out=buffer)):
        gradient, _ = numeric_gradient(f, {"x": np.array([1.0, 2.0, 3.0])}, "x", np.ones(3))
        assert error_of(gradient, np.ones(3)) <= 1e-12


def test_inputs_stay_as_they_are_and_generators_start_again():
    rng = np.random.default_rng(5)
    state = rng.bit_generator.state

    def dropout(x, rng):
        x *= rng.random(x.shape) > 0.5
        return x

    x = np.arange(1.0, 9.0)
    gradient, _ = numeric_gradient(dropout, {"x": x, "rng": rng}, "x", np.ones(8))
    assert rng.bit_generator.state == state
    assert x.tolist() == list(range(1, 9))
    assert error_of(gradient, np.random.default_rng(5).random(8) > 0.5) <= 1e-12


def test_float32_is_widened():
    gradient, _ = numeric_gradient(lambda x: x**3, {"x": np.float32([1, 2])}, "x", np.ones(2))
    assert gradient.dtype == np.float64
    assert error_of(gradient, [3, 12]) <= 1e-12


def test_kinks_are_reported():
    d = stencil_gradient(lambda x: np.maximum(x, 0), {"x": np.array([-1.0, 0.0, 1.0])}, "x", np.ones(3))
    assert d.jump.tolist() == [0, pytest.approx(1), 0]


def silently_real(x):
    out = np.empty(2)
    out[:] = x
    return out + 0j


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.array(x, dtype=np.float64),  # warns, and drops
        lambda x: x.real,
        silently_real,
        lambda x: np.abs(x) ** 2,
        lambda x: math.sin(x[0]) * np.ones(2),
    ],
)
def test_complex_step_refuses_code_that_drops_the_imaginary_part(f):
    with pytest.raises(TypeError, match="does not run in complex"):
        complex_step_gradient(f, {"x": np.array([1.0, 2.0])}, "x", np.ones(2))


def test_complex_step_widens_the_others_where_the_code_needs_it():
    def f(x, bias):
        out = x.copy()
        out += bias  # not allowed for complex bias and real x
        return out

    inputs = {"x": np.zeros(2), "bias": np.ones(2)}
    assert complex_step_gradient(f, inputs, "bias", np.array([1.0, 2.0])).tolist() == [1, 2]


def test_bad_arguments_are_named():
    inputs = {"x": np.ones(2), "ids": np.arange(2)}
    with pytest.raises(ValueError, match="no input named 'y'"):
        numeric_gradient(lambda x: x, inputs, "y", np.ones(2))
    with pytest.raises(TypeError, match="ids: expected real floating-point"):
        numeric_gradient(lambda x, ids: x, inputs, "ids", np.ones(2))
    for differentiate in (numeric_gradient, complex_step_gradient):
        with pytest.raises(ValueError, match=r"cotangent: expected the output's shape \(2,\)"):
            differentiate(lambda x, ids: x * 1, inputs, "x", np.ones(3))
    with pytest.raises(ValueError, match="direction"):
        directional_derivative(lambda x: 0.0, np.ones(2), np.ones(3))


def test_directional_derivative():
    rng = np.random.default_rng(0)
    x, direction = rng.standard_normal((2, 6))
    value, error = directional_derivative(lambda x: float(np.sum(np.sin(x))), x, direction)
    assert abs(value - np.cos(x) @ direction) <= 1e-12
    assert error <= 1e-11
    kink = directional_slope(lambda x: float(np.abs(x).sum()), np.zeros(2), [0.6, 0.8])
    assert (kink.left, kink.right) == (pytest.approx(-1.4), pytest.approx(1.4))


def test_error_of():
    assert error_of([1.0, 2.0], [1.0, 4.0]) == 0.5
    assert error_of([1e-3], [0.0], scale_all=10.0) == pytest.approx(0.1)  # a key bias: not its own rounding
    assert error_of([0.0], [0.0]) == 0
    assert error_of([1e-300], [0.0]) == math.inf
    assert error_of([math.nan], [1.0]) == error_of([math.inf], [math.inf]) == math.inf
    assert error_of(np.zeros((0, 3)), np.zeros((0, 3))) == 0
    with pytest.raises(ValueError, match="shape"):
        error_of([1.0], [[1.0]])
