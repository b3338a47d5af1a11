"""What a point cannot show."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.gradcheck import check, generic_like
from npformer.gradcheck.blind_spots import (
    of_call,
    of_choice,
    of_cotangent,
    of_gradients,
    of_inputs,
    of_settings,
)

GENERIC = np.random.default_rng(0).standard_normal((2, 3, 4))


def names(spots):
    return [spot.identifier for spot in spots]


@pytest.mark.parametrize(
    ("x", "found"),
    [
        (GENERIC, []),
        (np.ones(4), ["constant-input"]),
        (np.full(4, 0.5), ["constant-input"]),
        (np.zeros(4), ["zero-input"]),
        (GENERIC[:, :1], ["size-1-axis"]),
        (GENERIC[0, :3, :3], ["equal-sizes"]),
        (GENERIC[:, :2], ["equal-sizes"]),
        (np.array(1.0), []),
        (np.zeros((0, 3)), []),
        (np.array([0, 1, 2]), ["ids-without-repeats"]),
        (np.array([0, 1, 0]), []),
        (np.array([True, True]), ["constant-mask"]),
        (np.array([True, False]), []),
        (None, []),
        ("gelu", []),
        (3, []),
    ],
)
def test_inputs(x, found):
    spots = of_inputs({"it": x})
    assert names(spots) == found
    for spot in spots:
        assert spot.input == "it"
        assert "it" in spot.sentence
        assert spot.remedy


def test_gradients_that_are_zero():
    gradients = {"q": GENERIC, "key_bias": 1e-16 * GENERIC, "small": 1e-10 * GENERIC}
    assert [spot.input for spot in of_gradients(gradients, noise=0.0)] == ["key_bias"]
    assert names(of_gradients({"b": 1e-16 * GENERIC}, noise=1.0)) == ["zero-gradient"]
    assert names(of_gradients({"b": 1e-6 * GENERIC}, noise=1.0)) == []


def test_the_call():
    assert names(of_call(GENERIC, GENERIC)) == []
    assert names(of_call(GENERIC, np.ones((2, 3, 4)))) == ["constant-cotangent"]
    assert names(of_call(np.array(1.0), np.array(1.0))) == []
    assert names(of_call(np.array([1.0, -np.inf]), np.array([1.0, 2.0]))) == ["non-finite-output"]


def attention(q, k, attn_mask=None, dropout_p=0.0, training=True):
    return q @ k.T, (q, k)


def layer_norm(x, eps=1e-12):
    return x, x


@pytest.mark.parametrize(
    ("forward", "inputs", "found"),
    [
        (attention, {}, ["no-mask", "dropout-off"]),
        (attention, {"attn_mask": np.array([True, False]), "dropout_p": 0.1}, []),
        (attention, {"attn_mask": 0.0, "dropout_p": 0.1, "training": False}, ["dropout-off"]),
        (layer_norm, {}, ["tiny-eps"]),
        (layer_norm, {"eps": 0.0}, ["tiny-eps"]),
        (layer_norm, {"eps": 1e-5}, []),
        (np.tanh, {}, []),
        (lambda x, p=None: x, {"x": np.zeros(3)}, []),
    ],
)
def test_settings(forward, inputs, found):
    spots = of_settings(forward, inputs)
    assert names(spots) == found
    for spot in spots:
        assert spot.input in spot.sentence
        assert spot.remedy


def test_a_choice_of_inputs():
    point = {"x": GENERIC, "ids": np.array([0, 0]), "w": GENERIC, "p": 0.1}
    assert [(s.identifier, s.input) for s in of_choice(point, ["x"])] == [("not-checked", "w")]
    assert of_choice(point, ["x", "w"]) == []


def test_gradients_that_are_faint():
    gradients = {"q": GENERIC, "k": 1e-8 * GENERIC}
    spots = of_gradients(gradients, 0.0, {"q": (1e-12, 8), "k": (1e-13, 8)})
    assert [(s.identifier, s.input) for s in spots] == [("faint-gradient", "k")]
    assert names(of_gradients(gradients, 0.0, {"q": (1e-12, 8), "k": (1e-15, 8)})) == []
    assert names(of_gradients(gradients, 0.0, {"q": (1e-6, 4), "k": (1e-11, 4)})) == []


def backward(dout, cache):
    q, k = cache
    return dout @ k, dout.T @ q


def test_a_strict_check_fails_on_each_and_the_remedy_removes_it():
    rng = np.random.default_rng(0)
    q, k = rng.standard_normal((3, 4)), rng.standard_normal((5, 4))
    good = {"q": q, "k": k, "attn_mask": np.array([True, False]), "dropout_p": 0.1}
    assert check(attention, backward, good, strict=True).passed
    for changed, found in [
        ({"attn_mask": None}, "no-mask"),
        ({"dropout_p": 0.0}, "dropout-off"),
        ({"training": False}, "dropout-off"),
        ({"k": 1e-10 * k}, "faint-gradient"),
    ]:
        report = check(attention, backward, good | changed, strict=True)
        assert found in {spot.identifier for spot in report.blind_spots}, changed
        assert not report.passed
        assert check(attention, backward, good | changed).passed
    report = check(attention, backward, good, wrt="q", strict=True)
    assert [spot.identifier for spot in report.blind_spots] == ["not-checked"]


def taken_for_x(dout, cache):
    x, w = cache
    return dout @ w.T, dout.T @ x  # x.T @ dout


def test_no_seed_of_a_point_is_that_of_the_cotangent():
    """A right shape, and right numbers where dout is x; a norm, whose gradient is zero along its input."""
    for seed in range(4):
        rng = np.random.default_rng(seed)
        x, w = rng.standard_normal((5, 4)), rng.standard_normal((4, 4))
        assert not check(lambda x, w: (x @ w, (x, w)), taken_for_x, [x, w]).passed
    x = np.random.default_rng(0).standard_normal(5)
    assert not check(lambda x: x / np.sqrt(x @ x), lambda dout, x: 0 * x, [x]).passed
    point = generic_like({"x": np.zeros((5, 4)), "w": np.zeros((4, 4))})
    for rng in (None, np.random.default_rng(0)):
        assert not check(lambda x, w: (x @ w, (x, w)), taken_for_x, point, rng=rng).passed


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_cotangent_that_is_a_multiple_of_an_input_is_told(dtype):
    def forward(x, w):
        return x @ w, (x, w)

    x, w = (np.random.default_rng(0).standard_normal(shape).astype(dtype) for shape in ((5, 4), (4, 4)))
    report = check(forward, taken_for_x, [x, w], rng=np.random.default_rng(0))
    assert report.passed
    told = [spot for spot in report.blind_spots if spot.identifier == "cotangent-of-input"]
    assert [spot.input for spot in told] == ["x"]
    assert "dout is a multiple of x" in told[0].sentence
    assert not check(forward, taken_for_x, [x, w], rng=np.random.default_rng(0), strict=True).passed


def test_multiples_are_told_from_what_is_none():
    x = np.array([1.0, -2.0, 3.0, 0.5])
    for dout in (x, -1e-200 * x, 1e300 * x, (2 * x).astype(np.float32), x.reshape(2, 2)):
        assert names(of_cotangent({"x": x}, [dout])) == ["cotangent-of-input"]
    assert names(of_cotangent({"x": x}, [x[:2], x])) == ["cotangent-of-input"]  # the second output's
    for dout in (x[::-1], x[:2], x + 1e-5, 0 * x, np.full(4, np.nan), x > 0):
        assert names(of_cotangent({"x": x, "n": 3, "ids": np.array([1, -2, 3, 0])}, [dout])) == []
    assert names(of_cotangent({"x": x[:1], "zero": 0 * x}, [x[:1], x])) == []  # one number: always
