"""A model's input: positions that are given, and the scale of the tokens."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.functional import sinusoidal_positions
from npformer.nn import Embeddings

IDS = np.array([[3, 3, 5], [6, 3, 5]])
GIVEN = np.array([[0, 0, 1], [0, 1, 2]])


def make(n_segments=0, normalise=False, **options):
    return Embeddings("e", 7, 4, max_positions=6, n_segments=n_segments, normalise=normalise, **options)


@pytest.mark.parametrize("positions", ["learned", "sinusoidal", None])
@pytest.mark.parametrize("given", [None, GIVEN])
@pytest.mark.parametrize("scale", [1.0, 2.5])
@pytest.mark.parametrize("d_embedding", [None, 6])
def test_every_gradient_by_complex_step(positions, given, scale, d_embedding, generic_block, block_error):
    rng = np.random.default_rng(0)
    block = make(positions=positions, scale=scale, dropout=0.3, d_embedding=d_embedding)
    params = generic_block(block.init(rng, 1.0), rng)

    def backward(p, dy, cache, grads):
        block.backward(p, dy, cache, grads)
        return ()

    error = block_error(
        lambda p: block.forward(p, IDS, rng=np.random.default_rng(1), positions=given), params, {}, backward
    )
    assert error <= 1e-14


@pytest.mark.parametrize("positions", ["learned", "sinusoidal"])
def test_the_sum_is_of_scaled_tokens_and_the_positions_given(positions, generic_block):
    rng = np.random.default_rng(1)
    block = make(positions=positions, scale=3.0)
    params = generic_block(block.init(rng, 1.0), rng)
    table = params["e.position"] if positions == "learned" else sinusoidal_positions(6, 4)
    x, _ = block.forward(params, IDS, positions=GIVEN)
    np.testing.assert_allclose(x, 3.0 * params["e.token"][IDS] + table[GIVEN], rtol=1e-15)
    x, cache = block.forward(params, IDS, keep=False)
    np.testing.assert_allclose(x, 3.0 * params["e.token"][IDS] + table[:3], rtol=1e-15)
    assert cache is None


def test_only_the_positions_given_are_computed_to_the_bit_of_all(monkeypatch):
    block = make(positions="sinusoidal")
    params = {"e.token": np.zeros((7, 4))}
    whole, _ = block.forward(params, np.zeros((1, 6), int))
    rows = []

    def counted(length, *others):
        rows.append(length)
        return sinusoidal_positions(length, *others)

    monkeypatch.setattr("npformer.nn.embeddings.sinusoidal_positions", counted)
    for given in ([[5]], [[4], [2]], [[0, 0, 1, 2]], np.zeros((0, 3), int)):
        x, _ = block.forward(params, np.zeros_like(given), positions=np.array(given))
        np.testing.assert_array_equal(x, whole[0][given])
    assert rows == [1, 3, 3, 3]


@pytest.mark.parametrize("normalise", [False, True])
def test_a_width_of_their_own_is_mapped_behind_the_norm(normalise, generic_block):
    rng = np.random.default_rng(2)
    block = make(n_segments=2, normalise=normalise, d_embedding=3)
    params = generic_block(block.init(rng, 1.0), rng)
    shapes = {name: x.shape for name, x in params.items()}
    assert shapes["e.token"] == (7, 3)
    assert shapes["e.position"] == (6, 3)
    assert shapes["e.segment"] == (2, 3)
    assert shapes["e.projection.weight"] == (3, 4)
    x = params["e.token"][IDS] + params["e.position"][:3] + params["e.segment"][0]
    if normalise:
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        x = x * params["e.norm.gamma"] + params["e.norm.beta"]
    expected = x @ params["e.projection.weight"] + params["e.projection.bias"]
    np.testing.assert_allclose(block.forward(params, IDS)[0], expected, rtol=1e-12)


def test_the_width_of_the_layers_needs_no_map():
    assert make(d_embedding=4).init(np.random.default_rng(0), 1.0).keys() == {"e.token", "e.position"}


def test_float32_stays(generic_block):
    block = make(positions="sinusoidal", scale=1.5)
    params = {k: v.astype(np.float32) for k, v in block.init(np.random.default_rng(0), 1.0).items()}
    assert block.forward(params, IDS)[0].dtype == np.float32
