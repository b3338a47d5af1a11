"""What a point cannot show."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.gradcheck import check
from npformer.gradcheck.blind_spots import of_call, of_choice, of_gradients, of_inputs, of_settings

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
