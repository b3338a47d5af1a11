"""The weight as the blocks read it, adapted or not, and the gradients of W, A and B by the complex step."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.nn import CrossAttention, FeedForward, GatedFeedForward, Linear, SelfAttention
from npformer.nn.lora import SCALE, A, B, add_weight_gradient, weight_of

D = 6
BLOCKS = {
    "linear": Linear("b", D, 4),
    "self-attention": SelfAttention("b", D, 2, n_kv_heads=1),
    "cross-attention": CrossAttention("b", D, 2),
    "feed-forward": FeedForward("b", D, 9),
    "gated": GatedFeedForward("b", D, 9),
}


def adapted(params, rng, r=2, scale=0.7):
    """Every weight with an adapter, and the scales apart, which have no gradient."""
    scales = {}
    for name, weight in list(params.items()):
        if name.endswith("weight"):
            params[name + A] = rng.standard_normal((weight.shape[0], r))
            params[name + B] = rng.standard_normal((r, weight.shape[1]))
            scales[name + SCALE] = np.array(scale + 0.1 * len(scales))
    return params, scales


@pytest.mark.parametrize("which", BLOCKS)
def test_the_gradients_of_every_block(which, generic_block, block_error):
    block, rng = BLOCKS[which], np.random.default_rng(0)
    stds = (1.0,) if which == "linear" else (1.0, 1.0)
    params, scales = adapted(generic_block(block.init(rng, *stds), rng), rng)
    inputs = {"x": rng.standard_normal((2, 5, D))}
    if which == "cross-attention":
        inputs["memory"] = rng.standard_normal((2, 3, D))

    def run(p, dy, cache, grads):
        if which != "cross-attention":
            return (block.backward({**p, **scales}, dy, cache, grads),)
        dmemory = np.zeros((2, 3, D))
        return block.backward({**p, **scales}, dy, cache, grads, dmemory), dmemory

    error = block_error(lambda p, **given: block.forward({**p, **scales}, **given), params, inputs, run)
    assert error <= 1e-12


def test_a_weight_without_an_adapter_is_the_parameter_itself():
    params = {"w": np.eye(2), "v.lora_a": np.ones((2, 1))}
    assert weight_of(params, "w") is params["w"]
    grads = {"w": np.ones((2, 2))}
    add_weight_gradient(params, grads, "w", np.eye(2))
    np.testing.assert_array_equal(grads["w"], np.ones((2, 2)) + np.eye(2))


def test_by_hand():
    params = {"w": np.zeros((2, 3)), "w.lora_scale": np.array(10.0)}
    params |= {"w.lora_a": np.array([[1.0], [2.0]]), "w.lora_b": np.array([[3.0, 0, 5]])}
    np.testing.assert_array_equal(weight_of(params, "w"), [[30, 0, 50], [60, 0, 100]])
    np.testing.assert_array_equal(params["w"], 0)
    grads = {name: np.zeros_like(params[name]) for name in ("w", "w.lora_a", "w.lora_b")}
    dweight = np.array([[1.0, 0, 0], [0, 1, 0]])
    add_weight_gradient(params, grads, "w", dweight)
    np.testing.assert_array_equal(grads["w"], dweight)
    np.testing.assert_array_equal(grads["w.lora_a"], [[30], [0]])
    np.testing.assert_array_equal(grads["w.lora_b"], [[10, 20, 0]])


@pytest.mark.parametrize("trained", [["w"], ["w.lora_a"], ["w.lora_b"], []])
def test_what_is_frozen_is_passed_over(trained):
    rng = np.random.default_rng(1)
    params, scales = adapted({"w.weight": rng.standard_normal((3, 4))}, rng)
    params = {name.replace(".weight", ""): x for name, x in {**params, **scales}.items()}
    whole = {name: np.zeros_like(params[name]) for name in ("w", "w.lora_a", "w.lora_b")}
    grads = {name: np.zeros_like(params[name]) for name in trained}
    for into in (whole, grads):
        add_weight_gradient(params, into, "w", np.ones((3, 4)))
    assert list(grads) == trained
    for name in grads:
        np.testing.assert_array_equal(grads[name], whole[name])


def test_float32_stays_float32():
    params, scales = adapted({"w.weight": np.ones((3, 4))}, np.random.default_rng(2))
    narrow = {name: x.astype(np.float32) for name, x in {**params, **scales}.items()}
    assert weight_of(narrow, "w.weight").dtype == np.float32
