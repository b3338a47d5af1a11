"""What layers can have or lack: biases, biases of norms, a bias on the scores, dropout of the activations."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.nn import DecoderLayer, EncoderLayer, LayerNorm, SelfAttention

h = 1e-30
B, T, S, D = 2, 4, 3, 6


def generic(values, rng):
    return {
        name: rng.uniform(0.5, 1.5, x.shape) if "gamma" in name else rng.standard_normal(x.shape) / 2
        for name, x in values.items()
    }


AT = np.array([1, 2, 6])


@pytest.mark.parametrize(
    ("norm", "activation", "at"), [("post", "relu", AT), ("pre", "swiglu", None), ("post", "swiglu", AT)]
)
def test_a_decoder_layer_without_biases_by_complex_step(norm, activation, at):
    rng = np.random.default_rng(0)
    layer = DecoderLayer(
        "layer", D, 2, 5, cross=True, activation=activation, norm=norm, bias=False, norm_bias=False,
        dropout=0.2, activation_dropout=0.3,
    )  # fmt: skip
    params = generic(layer.init(rng, 1.0, 1.0), rng)
    assert not any(name.endswith(("bias", "beta")) for name in params)
    x, memory = rng.standard_normal((B, T, D)), rng.standard_normal((B, S, D))
    options = {
        "causal": False,
        "bias": rng.standard_normal((2, T, T)),
        "memory_bias": rng.standard_normal((B, 1, T, S)),
        "memory_mask": np.array([True, True, False]),
    }

    def forward(params, x, memory):
        return layer.forward(params, x, None, at, rng=np.random.default_rng(9), memory=memory, **options)

    y, cache = forward(params, x, memory)
    dy, dmemory = rng.standard_normal(y.shape), np.zeros_like(memory)
    grads = {name: np.zeros_like(value) for name, value in params.items()}
    dx = layer.backward(params, dy, cache, grads, dmemory)
    given = {"x": dx, "memory": dmemory, **grads}
    arrays = {"x": x, "memory": memory, **params}
    largest = max(np.abs(g).max() for g in given.values())
    z = {key: value.astype(complex) for key, value in arrays.items()}
    for name, gradient in given.items():
        expected = np.empty_like(gradient)
        for index in np.ndindex(gradient.shape):
            z[name][index] += 1j * h
            expected[index] = (forward(z, z["x"], z["memory"])[0].imag * dy).sum() / h
            z[name][index] = z[name][index].real
        scale = max(np.abs(expected).max(), 1e-3 * largest)
        assert np.abs(gradient - expected).max() <= 1e-12 * scale, name


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_an_encoder_layer_without_biases_is_one_whose_biases_are_zero(norm):
    rng = np.random.default_rng(1)
    bare = EncoderLayer("layer", D, 3, 5, norm=norm, bias=False, norm_bias=False)
    full = EncoderLayer("layer", D, 3, 5, norm=norm)
    params = generic(bare.init(rng, 1.0, 1.0), rng)
    padded = full.init(rng, 1.0, 1.0) | params  # whose biases begin at 0
    x, dy = rng.standard_normal((2, B, T, D))
    bias = rng.standard_normal((3, T, T))
    results = []
    for layer, values in ((bare, params), (full, padded)):
        grads = {name: np.zeros_like(value) for name, value in params.items()}
        y, cache = layer.forward(values, x, bias=bias)
        results.append([y, layer.backward(values, dy, cache, grads), *grads.values()])
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.abs(results[0][0] - bare.forward(params, x)[0]).max() > 1e-3  # the bias on the scores counts


def test_a_bias_on_the_scores_is_added_to_the_distances():
    rng = np.random.default_rng(2)
    block = SelfAttention("a", D, 2, alibi=True)
    params = generic(block.init(rng, 1.0, 1.0), rng)
    x = rng.standard_normal((B, T, D))
    forbidden = np.where(np.eye(T, dtype=bool), -1e4, 0.0)
    with_both, cache = block.forward(params, x, bias=forbidden)
    by_mask, _ = block.forward(params, x, ~np.eye(T, dtype=bool))
    np.testing.assert_allclose(with_both, by_mask, rtol=1e-13, atol=1e-14)
    block.backward(params, with_both, cache, {})


def test_activations_are_dropped_only_with_a_generator_and_where_the_output_is_wanted():
    rng = np.random.default_rng(3)
    layer = EncoderLayer("layer", D, 2, 5, activation_dropout=0.5)
    params = generic(layer.init(rng, 1.0, 1.0), rng)
    x, at = rng.standard_normal((B, T, D)), np.array([0, 3, 5])
    still, _ = layer.forward(params, x)
    moved, _ = layer.forward(params, x, rng=np.random.default_rng(4))
    assert np.abs(moved - still).max() > 1e-2
    there, _ = layer.forward(params, x, at=at, rng=np.random.default_rng(4))
    np.testing.assert_allclose(there, moved.reshape(-1, D)[at], rtol=1e-12)


def test_a_norm_without_beta_has_no_name_for_it():
    block = LayerNorm("norm", 4, 1e-5, bias=False)
    assert list(block.init(np.random.default_rng(0), 1.0)) == ["norm.gamma"]
