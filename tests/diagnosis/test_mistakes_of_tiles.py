"""Mistakes of attention in tiles that are no line of the museum: caught, and named where that is possible."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import npformer
from npformer import gradcheck
from npformer.diagnosis import sample_inputs
from npformer.diagnosis.textbook.language import before_own_tile, last_tile, without_last
from npformer.functional import flash_attention, flash_attention_backward
from npformer.teaching.museum.ops import tiles

POINT = sample_inputs("flash_attention", 0, sizes={"B": 1, "d_k": 2, "d_v": 1})  # every tile, few numbers


def changed(right, wrong, count):
    """Forward and backward of the museum, with a text in them replaced wherever it stands."""
    source = inspect.getsource(tiles)
    assert source.count(right) == count
    names = {}
    exec(compile(source.replace(right, wrong), "<tiles>", "exec"), names)
    return names["flash_attention_forward"], names["flash_attention_backward"]


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("o = o * rescale + ", "o = o + "),  # what was summed under an older maximum stays as it was
        (
            "m_new = np.maximum(m, z.real.max(axis=-1, keepdims=True))",
            "m_new = z.real.max(axis=-1, keepdims=True)",
        ),
    ],
)
def test_a_forward_that_is_no_attention_is_not_passed(right, wrong):
    """But for the maximum, which may be any number so long as L is of the same: there all is right."""
    report = npformer.check(*changed(right, wrong, 1), POINT)
    assert report.passed == ("m_new" in right), str(report)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(  # drawn anew
            "np.random.default_rng([seed + 1, i, j]).random(z.shape) >= p", marks=pytest.mark.thorough
        ),
        "np.random.default_rng([seed, j, i]).random(z.shape) >= p",  # that of the tile across
    ],
)
def test_dropout_of_other_tiles_is_not_passed(wrong):
    forward, backward = changed("keep = kept(seed, i, j, z.shape, p)", f"keep = ({wrong}) / (1 - p)", 1)
    assert not gradcheck.check(forward, backward, POINT).passed  # (which asks nobody for the mistake's name)


@pytest.mark.parametrize(
    ("name", "wrong", "op"),
    [
        ("denominator-missing", lambda c: c._replace(log_l=0 * c.log_l), "flash_attention"),
        pytest.param(
            "maximum-missing", lambda c: c._replace(m=0 * c.m), None, marks=pytest.mark.thorough
        ),
        ("logarithm-missing", lambda c: c._replace(log_l=np.exp(c.log_l)), "flash_attention"),
    ],
)
def test_mistakes_in_the_ops_own_terms(name, wrong, op):
    """Of npformer's own backward, misled by what its cache holds; told or not which op it is."""
    rng = np.random.default_rng(0)
    inputs = {x: rng.standard_normal((5, 3)) for x in ("q", "k", "v")} | {"block_size": 2}

    def backward(dout, cache):
        return flash_attention_backward(dout, wrong(cache))[:3]

    assert npformer.check(flash_attention, backward, inputs, op=op).names == {name}


def test_the_words_of_the_textbook():
    x = np.arange(1.0, 26).reshape(5, 5)
    np.testing.assert_array_equal(before_own_tile(x, 2) != 0, np.arange(5) // 2 < np.arange(5)[:, None] // 2)
    np.testing.assert_array_equal(without_last(x, 2, -1)[:, :3], x[:, :3])
    assert not without_last(x, 2, -1)[:, 3:].any()
    np.testing.assert_array_equal(without_last(x, 2, -2), without_last(x.T, 2, -1).T)
    causal = np.tril(x)
    kept = last_tile(causal, 2) != 0
    t, s = np.nonzero(kept)
    np.testing.assert_array_equal(t // 2, s // 2)
    assert kept.sum() == 3 + 3 + 1
    np.testing.assert_array_equal(last_tile(x, 3), np.where(np.arange(5) >= 3, x, 0))
