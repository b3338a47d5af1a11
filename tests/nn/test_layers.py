"""The smallest blocks: linear without a bias, RMSNorm, dropout."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.nn import Dropout, LayerNorm, Linear, RMSNorm


@pytest.mark.parametrize(
    "block",
    [Linear("b", 3, 4), Linear("b", 3, 4, bias=False), LayerNorm("b", 3, 1e-5), RMSNorm("b", 3, 1e-6)],
)
def test_every_gradient_by_complex_step(block, generic_block, block_error):
    rng = np.random.default_rng(0)
    params = generic_block(block.init(rng, 1.0), rng)
    error = block_error(
        block.forward,
        params,
        {"x": rng.standard_normal((2, 5, 3))},
        lambda p, dy, cache, grads: (block.backward(p, dy, cache, grads),),
    )
    assert error <= 1e-13


def test_linear_without_a_bias_has_none():
    block = Linear("b", 3, 4, bias=False)
    params = block.init(np.random.default_rng(0), 1.0)
    assert list(params) == ["b.weight"]
    np.testing.assert_array_equal(block.forward(params, np.zeros((1, 3)))[0], 0)


def test_rms_norm_by_hand():
    x = np.array([[3.0, 4.0]])
    y, cache = RMSNorm("n", 2, 0.0).forward({"n.gamma": np.array([1.0, 2.0])}, x, keep=False)
    np.testing.assert_allclose(y, x / np.sqrt(12.5) * [1.0, 2.0], rtol=1e-15)
    assert cache is None


def test_dropout_needs_a_source_and_its_backward_the_forwards_mask():
    x, block = np.ones((4, 6)), Dropout(0.5)
    assert block.forward(x, None) == (x, None)
    assert Dropout(0.0).forward(x, np.random.default_rng(0))[0] is x
    y, cache = block.forward(x, np.random.default_rng(0))
    assert set(np.unique(y)) == {0.0, 2.0}
    np.testing.assert_array_equal(block.backward(x, cache), y)
    assert block.backward(x, None) is x
