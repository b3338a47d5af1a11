"""Assertions whose message is the report."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.testing import assert_gradients_match, assert_params_match, assert_value_and_grad_match

X = np.random.default_rng(0).standard_normal((3, 4))


def softmax(x):
    e = np.exp(x - x.real.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True), e / e.sum(-1, keepdims=True)


def test_a_right_backward_passes():
    report = assert_gradients_match(softmax, lambda d, p: p * (d - (d * p).sum(-1, keepdims=True)), [X])
    assert report.passed


def test_the_message_names_the_mistake():
    with pytest.raises(AssertionError, match="(?s)FAILED.*sum-term-missing"):
        assert_gradients_match(softmax, lambda d, p: p * d, [X])


def test_strict_fails_at_a_blind_point():
    def scale(x, gamma):
        return x * gamma, (x, gamma)

    def backward(d, c):
        return d * c[1], (d * c[0]).sum(0)

    assert_gradients_match(scale, backward, [X, np.ones(4)])
    with pytest.raises(AssertionError, match="gamma is 1 everywhere"):
        assert_gradients_match(scale, backward, [X, np.ones(4)], strict=True)


def test_losses_and_models():
    assert_value_and_grad_match(lambda x: ((x**2).sum(), 2 * x), [X])
    with pytest.raises(AssertionError, match="FAILED"):
        assert_value_and_grad_match(lambda x: ((x**2).sum(), x), [X])
    assert_params_match(lambda p: ((p["w"] ** 3).sum(), {"w": 3 * p["w"] ** 2}), {"w": X})
    with pytest.raises(AssertionError, match="FAILED"):
        assert_params_match(lambda p: ((p["w"] ** 3).sum(), {"w": p["w"] ** 2}), {"w": X})
