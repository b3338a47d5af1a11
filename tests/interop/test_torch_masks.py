"""PyTorch's masks become npformer's."""

from __future__ import annotations

import re

import numpy as np
import pytest

from npformer.interop.torch_masks import scores_of_masks

SHAPE = (2, 3, 4, 5)  # B, h, T, S


def translate(attention=None, padding=None, shape=SHAPE, dtype=np.float64):
    mask, bias = scores_of_masks("op", shape, dtype, ("attn_mask", attention), ("padding", padding))
    return (None if x is None else np.broadcast_to(x, shape) for x in (mask, bias))


def test_booleans_are_turned_around_and_combined():
    rng = np.random.default_rng(0)
    attention, by_head, padding = (rng.random(shape) < 0.4 for shape in ((4, 5), (6, 4, 5), (2, 5)))
    assert tuple(translate()) == (None, None)
    mask, bias = translate(attention, padding)
    other, _ = translate(by_head, padding)
    assert bias is None
    for b, head, t, s in np.ndindex(SHAPE):
        assert mask[b, head, t, s] == (not attention[t, s] and not padding[b, s])
        assert other[b, head, t, s] == (not by_head[3 * b + head, t, s] and not padding[b, s])


def test_floats_are_added_and_minus_infinity_forbids():
    rng = np.random.default_rng(1)
    attention, padding = rng.standard_normal((4, 5)), rng.standard_normal((2, 5))
    attention[1, 2], padding[1, 3] = -np.inf, -np.inf
    mask, bias = translate(attention, padding, dtype=np.float32)
    assert bias.dtype == np.float32
    total = np.broadcast_to(attention[None, None] + padding[:, None, None], SHAPE)
    np.testing.assert_array_equal(mask, total > -np.inf)
    np.testing.assert_allclose(bias[mask], total[mask], rtol=1e-6)
    assert np.isfinite(bias).all()


def test_a_float_mask_of_zeros_and_minus_infinities_adds_nothing():
    causal = np.where(np.triu(np.ones((4, 5), bool), 1), -np.inf, 0.0)
    mask, bias = translate(causal)
    assert bias is None
    np.testing.assert_array_equal(mask[1, 2], causal == 0)


def test_one_sequence_alone_has_a_padding_mask_of_one_axis():
    mask, _ = translate(padding=np.array([False, True]), shape=(1, 1, 2, 2))
    np.testing.assert_array_equal(mask[0, 0], [[True, False]] * 2)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"attention": np.ones((5, 4), bool)},
            ValueError,
            "attn_mask: expected shape (4, 5) or (6, 4, 5), got (5, 4)",
        ),
        ({"padding": np.ones(5, bool)}, ValueError, "padding: expected shape (2, 5), got (5,)"),
        (
            {"attention": np.where(np.eye(4, 5) > 0, np.nan, 0.0)},
            ValueError,
            "attn_mask: expected numbers or -inf, got NaN or +inf among them",
        ),
        (
            {"padding": np.full((2, 5), np.inf, np.float32)},
            ValueError,
            "padding: expected numbers or -inf, got NaN or +inf among them",
        ),
        (
            {"padding": np.ones((2, 5), int)},
            TypeError,
            "padding: expected an array or tensor of float32, float64 or bool, got dtype int64",
        ),
    ],
)
def test_mistakes(arguments, error, message):
    with pytest.raises(error, match=re.escape(f"op: {message}")):
        translate(**arguments)
