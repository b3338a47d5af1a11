"""Forwards with mistakes that every gradient check passes, each found by its property."""

from __future__ import annotations

import numpy as np
import pytest

import npformer
from npformer import functional as F
from npformer.gradcheck.properties import (
    batch_independent,
    causal,
    masked_key_equals_deleted_key,
    permutation_equivariant,
    shift_invariant,
)

RNG = np.random.default_rng(2)
Q, K, V = RNG.standard_normal((2, 5, 3)), RNG.standard_normal((2, 5, 3)), RNG.standard_normal((2, 5, 4))
X = RNG.standard_normal((2, 5, 6))
POSITIONS = {"q": 1, "k": 1, "v": 1}


def attention(q, k, v, **more):
    return F.scaled_dot_product_attention(q, k, v, **more)


def heads_without_transpose(x):
    """Self-attention whose heads are split by a reshape alone: its gradient can be right all the same."""
    split = x.reshape(2, 2, 5, 3)
    out, _ = F.scaled_dot_product_attention(split, split, split)
    return out.reshape(x.shape)


def heads(x):
    split = x.reshape(2, 5, 2, 3).swapaxes(1, 2)
    out, _ = F.scaled_dot_product_attention(split, split, split)
    return out.swapaxes(1, 2).reshape(x.shape)


def test_permutation():
    permutation_equivariant(attention, {"q": Q, "k": K, "v": V}, POSITIONS, 1).raise_if_failed()
    permutation_equivariant(heads, {"x": X}, {"x": 1}, 1).raise_if_failed()
    found = permutation_equivariant(heads_without_transpose, {"x": X}, {"x": 1}, 1)
    assert not found.passed
    assert found.error > 0.01
    with pytest.raises(AssertionError, match="BROKEN. The output does not move"):
        found.raise_if_failed()


def test_the_mistake_that_permutation_finds_passes_the_gradient_check():
    def forward(x):
        split = x.reshape(2, 2, 5, 3)
        out, cache = F.scaled_dot_product_attention(split, split, split)
        return out.reshape(x.shape), (cache, x.shape)

    def backward(dout, cache):
        dq, dk, dv, _ = F.scaled_dot_product_attention_backward(dout.reshape(2, 2, 5, 3), cache[0])
        return (dq + dk + dv).reshape(cache[1])

    assert npformer.check(forward, backward, [X]).passed


def test_causality_bit_for_bit():
    inputs = {"q": Q, "k": K, "v": V}
    assert causal(lambda q, k, v: attention(q, k, v, causal=True), inputs, POSITIONS, 1).passed
    off_by_one = causal(lambda q, k, v: attention(q, k, v, causal=True, query_offset=1), inputs, POSITIONS, 1)
    assert not off_by_one.passed
    assert "position 0 changes with the input at position 1" in str(off_by_one)
    assert not causal(attention, inputs, POSITIONS, 1).passed


def test_rows_of_a_batch():
    gamma, beta = RNG.uniform(0.5, 1.5, 6), RNG.standard_normal(6)
    assert batch_independent(lambda x: F.layer_norm(x, gamma, beta), {"x": X}, {"x": 0}).passed
    over_the_batch = batch_independent(
        lambda x: (x - x.mean(axis=(0, 1))) / x.std(axis=(0, 1)), {"x": X}, {"x": 0}
    )
    assert not over_the_batch.passed
    assert not batch_independent(lambda x: F.softmax(x, axis=0), {"x": X}, {"x": 0}).passed


@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_shifts(axis):
    assert shift_invariant(lambda x: F.softmax(x, axis=axis), {"x": X}, "x", axis).passed
    assert not shift_invariant(lambda x: F.softmax(x, axis=axis)[0] * x, {"x": X}, "x", axis).passed
    other = {-1: 0, 0: 1, 1: -1}[axis]
    assert not shift_invariant(lambda x: F.softmax(x, axis=other), {"x": X}, "x", axis).passed


def test_masked_keys():
    inputs = {"q": Q, "k": K, "v": V, "mask": RNG.random((2, 5, 5)) < 0.8}
    found = masked_key_equals_deleted_key(attention, inputs, "mask", {"k": 1, "v": 1})
    found.raise_if_failed()

    def masked_after(q, k, v, mask):
        p, _ = F.softmax(q @ k.swapaxes(-1, -2))
        return (p * mask) @ v  # the masked keys keep their share of the sum

    assert not masked_key_equals_deleted_key(masked_after, inputs, "mask", {"k": 1, "v": 1}).passed
    with pytest.raises(TypeError, match="expected booleans, got dtype float64"):
        masked_key_equals_deleted_key(
            attention, {**inputs, "mask": np.ones((2, 5, 5))}, "mask", {"k": 1, "v": 1}
        )


def test_shapes_nan_and_bad_axes():
    nan = batch_independent(lambda x: np.where(len(x) > 1, np.nan, x), {"x": X}, {"x": 0})
    assert not nan.passed
    assert nan.error == np.inf
    shapes = batch_independent(lambda x: np.concatenate([x, x[:1]]), {"x": X}, {"x": 0})
    assert "shapes (3, 5, 6) and (4, 5, 6)" in str(shapes)
    with pytest.raises(ValueError, match="expected axes of one length, got"):
        permutation_equivariant(attention, {"q": Q, "k": K[:, :4], "v": V}, POSITIONS, 1)
    with pytest.raises(ValueError, match="length 2 or more, got 1"):
        causal(attention, {"q": Q[:, :1], "k": K[:, :1], "v": V[:, :1]}, POSITIONS, 1)


def test_a_leak_behind_a_norm_is_seen():
    def normed(x):
        centred = x - x.mean(-1, keepdims=True)
        hat = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
        return np.broadcast_to(hat.sum(0), hat.shape)  # every position sees all

    x = np.random.default_rng(0).standard_normal((4, 6))
    assert not causal(normed, {"x": x}, over={"x": 0}, out_axis=0).passed


def test_a_leak_of_ids_that_end_alike_is_seen():
    table = np.random.default_rng(0).standard_normal((10, 6))

    def sees_the_last(ids):
        return table[ids] + table[ids][-1]

    ids = np.array([1, 4, 2, 3, 3])
    assert not causal(sees_the_last, {"ids": ids}, over={"ids": 0}, out_axis=0).passed
    assert causal(lambda ids: table[ids], {"ids": ids}, over={"ids": 0}, out_axis=0).passed


def test_float32_may_round_as_float32_does():
    x = np.random.default_rng(0).standard_normal((7, 300)).astype(np.float32)
    w = np.random.default_rng(1).standard_normal((300, 40)).astype(np.float32)
    assert batch_independent(lambda x: x @ w, {"x": x}, over={"x": 0}).passed


def test_a_convolution_is_not_permutation_equivariant_though_a_turn_moves_it_along():
    x = np.random.default_rng(0).standard_normal((5, 4))
    for f in (
        lambda x: np.roll(x, 1, axis=0),
        lambda x: x + 0.5 * np.roll(x, 1, 0) + 0.5 * np.roll(x, -1, 0),
    ):
        assert not permutation_equivariant(f, {"x": x}, over={"x": 0}, out_axis=0).passed
    assert permutation_equivariant(lambda x: x, {"x": x[:2]}, over={"x": 0}, out_axis=0).passed


def test_what_cannot_be_changed_is_told_in_place_of_a_property_that_was_not_tried():
    def sees_the_last(ids, x):
        return x * (1 + ids[-1])

    x = np.random.default_rng(0).standard_normal(4)
    point = {"ids": np.array([3, 3, 3, 3]), "x": x}
    for over in ({"ids": 0}, {"ids": 0, "x": 0}):
        with pytest.raises(ValueError, match="expected ids with values that can be changed"):
            causal(sees_the_last, point, over=over, out_axis=0)
    with pytest.raises(ValueError, match="expected x with"):
        causal(sees_the_last, {**point, "x": 1e20 * x}, over={"x": 0}, out_axis=0)
    all_true = {**point, "ids": np.ones(4, bool)}  # a truth value has another
    assert not causal(sees_the_last, all_true, over={"ids": 0, "x": 0}, out_axis=0).passed
