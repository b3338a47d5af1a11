"""Blocks: what composition can get wrong. Whole-model gradients are in tests/proof."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.nn import Embeddings, EncoderLayer, LayerNorm, Linear, SelfAttention

h = 1e-30


def generic(block_values, rng):
    return {
        k: rng.uniform(0.5, 1.5, v.shape) if "gamma" in k else rng.standard_normal(v.shape) / 3
        for k, v in block_values.items()
    }


def zeros(params):
    return {k: np.zeros_like(v) for k, v in params.items()}


@pytest.mark.parametrize("norm", ["post", "pre"])
@pytest.mark.parametrize("at", [None, np.array([1, 2, 8, 14, 19])])
@pytest.mark.parametrize("seed", [0, *(pytest.param(s, marks=pytest.mark.thorough) for s in (1, 2))])
def test_every_entry_of_an_encoder_layer_by_complex_step(norm, at, seed):
    rng = np.random.default_rng(seed)
    layer = EncoderLayer("layer", 6, 3, 10, norm=norm, dropout=0.2, rotary_base=30.0)
    params = generic(layer.init(rng, 1.0, 1.0), rng)
    x = rng.standard_normal((4, 5, 6))
    mask = rng.random((4, 1, 5, 5)) < 0.7
    mask[1, 0, 2] = False  # a row with nothing to attend to

    def forward(params, x):
        return layer.forward(params, x, mask, at, rng=np.random.default_rng(9))

    y, cache = forward(params, x)
    dy = rng.standard_normal(y.shape)
    grads = zeros(params)
    dx = layer.backward(params, dy, cache, grads)

    z = {k: v.astype(complex) for k, v in {"x": x, **params}.items()}

    def numeric(name, index):
        z[name][index] += 1j * h
        found = (forward(z, z["x"])[0].imag * dy).sum() / h
        z[name][index] = z[name][index].real
        return found

    for name, given in {"x": dx, **grads}.items():
        expected = np.array([numeric(name, index) for index in np.ndindex(given.shape)]).reshape(given.shape)
        scale = max(np.abs(expected).max(), 1e-3 * np.abs(dx).max())
        assert np.abs(given - expected).max() <= 1e-13 * scale * 10 ** (norm == "post"), name


def test_gradients_are_added_to_what_is_there_and_frozen_names_are_passed_over():
    rng = np.random.default_rng(0)
    block = Linear("linear", 3, 4)
    params = generic(block.init(rng, 1.0), rng)
    y, cache = block.forward(params, rng.standard_normal((2, 3)))
    dy = rng.standard_normal(y.shape)
    once, twice = zeros(params), zeros(params)
    block.backward(params, dy, cache, once)
    for _ in range(2):
        block.backward(params, dy, cache, twice)
    for name in params:
        np.testing.assert_allclose(twice[name], 2 * once[name], rtol=1e-15)
    only_bias = {"linear.bias": np.zeros(4)}
    block.backward(params, dy, cache, only_bias)
    np.testing.assert_array_equal(only_bias["linear.bias"], once["linear.bias"])


def test_a_block_used_twice_keeps_its_uses_apart():
    rng = np.random.default_rng(1)
    block = LayerNorm("norm", 5, 1e-5)
    params = generic(block.init(rng, 1.0), rng)
    x = rng.standard_normal((3, 5))
    y1, c1 = block.forward(params, x)
    y2, c2 = block.forward(params, y1)
    dy = rng.standard_normal(y2.shape)
    grads = zeros(params)
    block.backward(params, block.backward(params, dy, c2, grads), c1, grads)

    def loss(gamma):
        p = {**params, "norm.gamma": gamma}
        return (block.forward(p, block.forward(p, x)[0])[0] * dy).sum()

    for i in range(5):
        gamma = params["norm.gamma"].astype(complex)
        gamma[i] += 1j * h
        assert loss(gamma).imag / h == pytest.approx(grads["norm.gamma"][i], rel=1e-12)


def test_repeated_tokens_and_positions_accumulate():
    rng = np.random.default_rng(2)
    block = Embeddings("e", 7, 4, max_positions=6, normalise=False)
    params = generic(block.init(rng, 1.0), rng)
    ids = np.array([[3, 3, 5], [3, 6, 5]])
    segments = np.array([[0, 1, 1], [0, 0, 0]])
    x, cache = block.forward(params, ids, segments)
    dx = rng.standard_normal(x.shape)
    grads = zeros(params)
    block.backward(params, dx, cache, grads)
    np.testing.assert_allclose(grads["e.token"][3], dx[0, 0] + dx[0, 1] + dx[1, 0], rtol=1e-14)
    np.testing.assert_array_equal(grads["e.token"][[0, 1, 2, 4]], 0)
    np.testing.assert_allclose(grads["e.position"][:3], dx[0] + dx[1], rtol=1e-14)
    np.testing.assert_array_equal(grads["e.position"][3:], 0)
    np.testing.assert_allclose(grads["e.segment"][1], dx[0, 1] + dx[0, 2], rtol=1e-14)


@pytest.mark.parametrize(("n_heads", "base"), [(5, 100.0), (6, 1000.0)])
def test_neighbour_heads_begin_by_looking_at_a_neighbour(n_heads, base):
    T, d_head = 12, 32
    d_model = n_heads * d_head
    block = SelfAttention("a", d_model, n_heads, rotary_base=base)
    params = block.init(np.random.default_rng(0), 0.01, 0.01, n_heads - 1)
    x, t = np.random.default_rng(1).standard_normal((1, T, d_model)), np.arange(T)
    weights = block.forward(params, x)[1].attention.P[0]  # (h, T, T)
    for head, offset in enumerate([1, -1, 2, -2, 3][: n_heads - 1]):
        inside = t[(t + offset >= 0) & (t + offset < T)]
        assert (weights[head, inside].argmax(axis=-1) == inside + offset).all()
        assert weights[head, inside, inside + offset].min() > 0.5
    assert weights[-1].max() < 0.2  # the head that is left begins with about equal shares
