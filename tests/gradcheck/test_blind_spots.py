"""What a point cannot show."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.gradcheck.blind_spots import of_call, of_gradients, of_inputs

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
