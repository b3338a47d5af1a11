"""Attention to a memory: its gradient is added, what is masked is as good as not there."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.nn import CrossAttention

B, T, S, D = 2, 3, 5, 6


@pytest.fixture
def case(generic_block):
    rng = np.random.default_rng(0)
    block = CrossAttention("cross", D, 3, 0.2)
    params = generic_block(block.init(rng, 1.0, 1.0), rng)
    mask = np.ones((B, 1, 1, S), dtype=bool)
    mask[0, ..., 3:] = False
    return block, params, rng.standard_normal((B, T, D)), rng.standard_normal((B, S, D)), mask


@pytest.mark.parametrize("at", [None, np.array([0, 2, 4])])
def test_every_gradient_by_complex_step(case, at, block_error):
    block, params, x, memory, mask = case

    def backward(p, dy, cache, grads):
        dmemory = np.zeros_like(memory)
        return block.backward(p, dy, cache, grads, dmemory), dmemory

    error = block_error(
        lambda p, x, memory: block.forward(p, x, memory, mask, at, rng=np.random.default_rng(1)),
        params,
        {"x": x, "memory": memory},
        backward,
    )
    assert error <= 1e-12


def test_the_memorys_gradient_is_added_to_what_is_there(case):
    block, params, x, memory, mask = case
    y, cache = block.forward(params, x, memory, mask)
    grads = {name: np.zeros_like(value) for name, value in params.items()}
    once, more = np.zeros_like(memory), np.ones_like(memory)
    for dmemory in (once, more):
        block.backward(params, np.ones_like(y), cache, grads, dmemory)
    np.testing.assert_allclose(more, 1 + once, rtol=1e-14)
    np.testing.assert_array_equal(once[0, 3:], 0)  # nobody looked there


def test_masked_is_deleted(case):
    block, params, x, memory, mask = case
    masked, _ = block.forward(params, x[:1], memory[:1], mask[:1])
    deleted, _ = block.forward(params, x[:1], memory[:1, :3])
    np.testing.assert_allclose(masked, deleted, rtol=0, atol=1e-14)


def test_step_equals_forward(case):
    block, params, x, memory, mask = case
    whole, _ = block.forward(params, x, memory, mask)
    store = block.project(params, memory)
    for t in range(T):
        some = block.step(params, x[:, t : t + 1], store, mask)
        np.testing.assert_allclose(some, whole[:, t : t + 1], rtol=0, atol=1e-14)


def test_weights_are_collected(case):
    block, params, x, memory, mask = case
    collected = {}
    y, _ = block.forward(params, x, memory, mask, collected=collected)
    np.testing.assert_array_equal(collected["cross"], y)
    weights = collected["cross.weights"]
    assert weights.shape == (B, 3, T, S)
    np.testing.assert_allclose(weights.sum(axis=-1), 1.0, rtol=1e-14)
    np.testing.assert_array_equal(weights[0, ..., 3:], 0)
