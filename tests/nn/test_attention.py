"""Self-attention with every option: its gradients, and `step` with keys and values kept equals the whole."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.nn import KeyValues, SelfAttention

B, T, D = 2, 5, 6
OPTIONS = {
    "plain": {},
    "no bias": {"bias": False},
    "shared keys, rotary": {"n_kv_heads": 1, "rotary_base": 30.0},
    "interleaved": {"rotary_base": 30.0, "rotary_interleaved": True, "d_head": 4},
    "ALiBi, window": {"alibi": True, "window": 2},
    "soft cap, query-key norm": {"softcap": 1.5, "qk_norm": True},
    "everything": {
        "n_kv_heads": 1, "rotary_base": 9.0, "alibi": True, "window": 3, "softcap": 2.0, "qk_norm": True
    },
}  # fmt: skip


@pytest.fixture(params=OPTIONS.values(), ids=OPTIONS.keys())
def case(request, generic_block):
    rng = np.random.default_rng(0)
    options = dict(request.param)
    n_heads = 3 if "rotary_base" in options and "d_head" not in options else 2
    block = SelfAttention("a", D, n_heads, **options)
    params = generic_block(block.init(rng, 1.0, 1.0), rng)
    return block, params, rng.standard_normal((B, T, D))


def test_every_gradient_by_complex_step(case, block_error):
    block, params, x = case
    positions = np.array([[0, 1, 2, 3, 4], [0, 0, 0, 1, 2]])
    mask = np.ones((B, 1, 1, T), dtype=bool)
    mask[1, ..., :2] = False
    block.dropout = 0.2
    error = block_error(
        lambda p, x: block.forward(
            p, x, mask, rng=np.random.default_rng(1), causal=True, positions=positions
        ),
        params,
        {"x": x},
        lambda p, dy, cache, grads: (block.backward(p, dy, cache, grads),),
    )
    assert error <= 1e-12


@pytest.mark.parametrize("cuts", [[1, 2, 3, 4], [3], [2, 3]])
def test_step_equals_forward(case, cuts):
    block, params, x = case
    mask = np.ones((B, 1, 1, T), dtype=bool)
    mask[1, ..., :2] = False  # padded on the left
    positions = np.array([[0, 1, 2, 3, 4], [0, 0, 0, 1, 2]])
    whole, _ = block.forward(params, x, mask, causal=True, positions=positions)
    store = KeyValues(*np.zeros((2, B, block.n_kv_heads, T + 2, block.d_head)))
    for start, stop in zip([0, *cuts], [*cuts, T], strict=True):
        some = block.step(params, x[:, start:stop], store, start, mask[..., :stop], positions[:, start:stop])
        np.testing.assert_allclose(some, whole[:, start:stop], rtol=0, atol=1e-13)


def test_weights_are_collected_and_change_nothing(case):
    block, params, x = case
    collected = {}
    y, _ = block.forward(params, x, causal=True, collected=collected)
    np.testing.assert_array_equal(y, block.forward(params, x, causal=True)[0])
    np.testing.assert_array_equal(collected["a"], y)
    weights = collected["a.weights"]
    np.testing.assert_allclose(weights.sum(axis=-1), 1.0, rtol=1e-14)
    assert not np.triu(weights, 1).any()
    if block.window is not None:
        assert not np.tril(weights, -block.window).any()
