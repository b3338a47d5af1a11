"""One layer of a decoder: its gradients, `at`, and `step`."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.nn import DecoderLayer, KeyValues

B, T, S, D = 2, 4, 3, 6
AT = np.array([1, 2, 5, 7])


def make(generic_block, cross, norm, **options):
    rng = np.random.default_rng(0)
    layer = DecoderLayer("d", D, 3, 5, cross=cross, norm=norm, **options)
    params = generic_block(layer.init(rng, 1.0, 1.0), rng)
    return layer, params, rng.standard_normal((B, T, D)), rng.standard_normal((B, S, D))


@pytest.mark.parametrize(
    ("cross", "norm", "at"), [(False, "pre", AT), (True, "pre", None), (True, "post", AT)]
)
def test_every_gradient_by_complex_step(cross, norm, at, generic_block, block_error):
    layer, params, x, memory = make(generic_block, cross, norm, dropout=0.2)
    memory_mask = np.ones((B, 1, 1, S), dtype=bool)
    memory_mask[0, ..., 2] = False

    def forward(p, x, memory=None):
        options = {"memory": memory, "memory_mask": memory_mask} if cross else {}
        return layer.forward(p, x, None, at, rng=np.random.default_rng(1), **options)

    def backward(p, dy, cache, grads):
        dmemory = np.zeros_like(memory)
        dx = layer.backward(p, dy, cache, grads, dmemory if cross else None)
        return (dx, dmemory) if cross else (dx,)

    inputs = {"x": x, "memory": memory} if cross else {"x": x}
    assert block_error(forward, params, inputs, backward) <= 1e-12


@pytest.mark.parametrize("cross", [False, True])
@pytest.mark.parametrize("norm", ["pre", "post"])
def test_step_and_at_equal_the_whole(cross, norm, generic_block):
    options = {} if cross else {"activation": "swiglu", "norm_type": "rms_norm", "bias": False, "alibi": True}
    layer, params, x, memory = make(generic_block, cross, norm, **options)
    whole, _ = layer.forward(params, x, memory=memory if cross else None)
    some, cache = layer.forward(params, x, None, AT, False, memory=memory if cross else None)
    np.testing.assert_allclose(some, whole.reshape(-1, D)[AT], rtol=0, atol=1e-14)
    assert cache is None
    store = KeyValues(*np.zeros((2, B, 3, T, 2)))
    projected = layer.cross_attention.branch.project(params, memory) if cross else None
    for t in range(T):
        y = layer.step(params, x[:, t : t + 1], store, t, memory=projected)
        np.testing.assert_allclose(y, whole[:, t : t + 1], rtol=0, atol=1e-13)


def test_nothing_comes_from_later_tokens(generic_block):
    layer, params, x, _ = make(generic_block, False, "pre")
    whole, _ = layer.forward(params, x)
    moved = x.copy()
    moved[:, 2:] *= -1.5
    np.testing.assert_array_equal(layer.forward(params, moved)[0][:, :2], whole[:, :2])
    seen, _ = layer.forward(params, moved, causal=False)
    assert np.abs(seen[:, :2] - layer.forward(params, x, causal=False)[0][:, :2]).max() > 1e-3
