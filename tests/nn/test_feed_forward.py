"""The feed-forward blocks, with and without a gate and biases."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.functional import silu
from npformer.nn import FeedForward, GatedFeedForward
from npformer.nn.feed_forward import ACTIVATIONS, feed_forward


@pytest.mark.parametrize("activation", [*ACTIVATIONS, "swiglu"])
@pytest.mark.parametrize("bias", [True, False])
def test_every_gradient_by_complex_step(activation, bias, generic_block, block_error):
    rng = np.random.default_rng(0)
    block = feed_forward("ff", 3, 5, activation, bias)
    params = generic_block(block.init(rng, 1.0, 1.0), rng)
    assert any(name.endswith(".bias") for name in params) == bias
    error = block_error(
        block.forward,
        params,
        {"x": rng.standard_normal((2, 4, 3))},
        lambda p, dy, cache, grads: (block.backward(p, dy, cache, grads),),
    )
    assert error <= 1e-13


def test_the_gate_is_silu(generic_block):
    rng = np.random.default_rng(1)
    block = feed_forward("ff", 3, 5, "swiglu", bias=False)
    assert isinstance(block, GatedFeedForward)
    assert isinstance(feed_forward("ff", 3, 5, "gelu", bias=True), FeedForward)
    params, x = generic_block(block.init(rng, 1.0, 1.0), rng), rng.standard_normal((4, 3))
    gate, up, down = (params[f"ff.{part}.weight"] for part in ("gate", "up", "down"))
    expected = (silu(x @ gate)[0] * (x @ up)) @ down
    collected = {}
    y, cache = block.forward(params, x, keep=False, collected=collected)
    np.testing.assert_allclose(y, expected, rtol=1e-13)
    assert collected["ff"] is y
    assert cache is None
