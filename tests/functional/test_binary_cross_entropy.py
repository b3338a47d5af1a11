from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from npformer.functional import binary_cross_entropy_with_logits as bce
from npformer.functional import binary_cross_entropy_with_logits_backward as bce_backward
from npformer.functional import cross_entropy, cross_entropy_backward, sigmoid


def soft_targets(rng, shape):
    """Probabilities, some of them exactly 0 and 1."""
    return np.clip(rng.uniform(-0.3, 1.3, shape), 0, 1)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_proof(reduction, weighted, proof, rng):
    x = 2 * rng.standard_normal((3, 5))
    targets = soft_targets(rng, x.shape)
    weight = rng.uniform(0.5, 2, 5) if weighted else None

    def forward(logits):
        like = logits.real.dtype  # float32 targets beside float32 logits
        w = None if weight is None else weight.astype(like)
        return bce(logits, targets.astype(like), weight=w, reduction=reduction)

    proof(forward, bce_backward, {"logits": x}, rng).holds()


def test_a_wrong_backward_is_seen(proof, one_rng):
    x, weight = one_rng.standard_normal((3, 5)), one_rng.uniform(0.5, 2, 5)
    y = soft_targets(one_rng, x.shape)
    p = proof(partial(bce, targets=y, weight=weight), bce_backward, {"logits": x}, one_rng)
    s = sigmoid(x)[0]
    right = weight * (s - y) / x.size
    np.testing.assert_allclose(bce_backward(1.0, p.cache), right, rtol=1e-13)
    for wrong in (
        right * x.size,
        right / weight,
        -right,
        right * s * (1 - s),  # as if the loss were a squared error
        weight * s / x.size,  # targets forgotten
    ):
        p.sees(lambda dout, cache, wrong=wrong: dout * wrong)


def test_values_by_the_textbook_formula(one_rng):
    x, y, w = one_rng.standard_normal((3, 5)), one_rng.random((3, 5)), one_rng.random((3, 1))
    p = 1 / (1 + np.exp(-x))
    losses = -w * (y * np.log(p) + (1 - y) * np.log(1 - p))
    for reduction, expected in (("none", losses), ("sum", losses.sum()), ("mean", losses.mean())):
        out, _ = bce(x, y, weight=w, reduction=reduction)
        assert out.shape == np.shape(expected)
        np.testing.assert_allclose(out, expected, rtol=1e-13)


def test_it_is_cross_entropy_over_two_classes(one_rng):
    x = 5 * one_rng.standard_normal(6)
    y = one_rng.integers(0, 2, 6)
    out, cache = bce(x, y)
    expected, ce_cache = cross_entropy(np.stack([0 * x, x], -1), y)
    np.testing.assert_allclose(out, expected, rtol=1e-14)
    dlogits = cross_entropy_backward(1.0, ce_cache)[:, 1]
    np.testing.assert_allclose(bce_backward(1.0, cache), dlogits, rtol=1e-13)


def test_the_tails_keep_their_digits(close_in_ulps):
    tail = 4.24835425529158896e-18  # σ(-40), and log1p(exp(-40)) to 17 digits
    for dtype in (np.float32, np.float64):
        x = np.array([40, -40, 40, -40], dtype)
        out, cache = bce(x, [1, 0, 0, 1], reduction="none")
        close_in_ulps(out, [tail, tail, 40, 40], 2)
        close_in_ulps(bce_backward(np.ones(4, dtype), cache), [-tail, tail, 1, -1], 2)


def test_a_target_just_below_one_keeps_its_digits(close_in_ulps):
    short = 2.0**-50  # x - x·y would be good to some 13 % here
    out, cache = bce([100.0], [1 - short], reduction="sum")
    close_in_ulps(out, 100 * short, 2)
    close_in_ulps(bce_backward(1.0, cache), [short], 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_huge_logits_do_not_overflow(dtype):
    big = 1e38 if dtype == np.float32 else 1e300
    x = np.array([big, -big, big, -big], dtype)
    with np.errstate(all="raise", under="ignore"):
        out, cache = bce(x, [1, 0, 0, 1], reduction="none")
        dlogits = bce_backward(np.ones_like(x), cache)
    np.testing.assert_array_equal(out, [0, 0, x[0], x[0]])
    np.testing.assert_array_equal(dlogits, [0, 0, 1, -1])


def test_labels_take_the_precision_of_the_logits():
    x = np.ones(3, np.float32)
    for labels in ([1, 0, 1], np.array([True, False, True]), np.array([1, 0, 1], np.uint8)):
        out, cache = bce(x, labels, weight=[1, 2, 3])
        assert out.dtype == bce_backward(1.0, cache).dtype == np.float32
    assert bce(x, np.array([1.0, 0.0, 1.0]))[0].dtype == np.float64  # as NumPy promotes


def test_nothing_at_all_is_zero():
    out, cache = bce(np.zeros((0, 3)), np.zeros((0, 3)))
    assert out == 0
    assert bce_backward(1.0, cache).shape == (0, 3)


@settings(max_examples=40, deadline=None)
@given(
    array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
    st.sampled_from(["mean", "sum", "none"]),
    st.integers(0, 999),
)
def test_any_shape_and_the_symmetry(shape, reduction, seed):
    rng = np.random.default_rng(seed)
    x, y = 3 * rng.standard_normal(shape), soft_targets(rng, shape)
    out, cache = bce(x, y, reduction=reduction)
    mirrored, mirrored_cache = bce(-x, 1 - y, reduction=reduction)  # yes and no exchanged
    assert out.shape == (shape if reduction == "none" else ())
    np.testing.assert_allclose(mirrored, out, rtol=1e-13)
    dout = rng.standard_normal(out.shape)
    dx = bce_backward(dout, cache)
    assert np.shape(dx) == shape
    np.testing.assert_allclose(bce_backward(dout, mirrored_cache), -dx, rtol=1e-12, atol=1e-15)


def test_bad_input_is_named():
    op = "binary_cross_entropy_with_logits"
    x = np.ones((2, 3))
    with pytest.raises(ValueError, match=rf"^{op}: targets: expected shape \(2, 3\)"):
        bce(x, [1, 0, 1])
    for bad in (1.5, -0.1, np.nan):
        with pytest.raises(ValueError, match=rf"^{op}: targets: .* probabilities in \[0, 1\], got {bad}"):
            bce(x, [[1, 0, 1], [0, bad, 1]])
    with pytest.raises(TypeError, match=f"^{op}: targets: expected real numbers"):
        bce(x, x + 0j)
    with pytest.raises(ValueError, match=f"^{op}: weight: expected a shape that broadcasts"):
        bce(x, x, weight=np.ones(2))
    with pytest.raises(TypeError, match=f"^{op}: logits: .* dtype float16"):
        bce(x.astype(np.float16), x)
    with pytest.raises(ValueError, match=f"^{op}: reduction: .* got 'max'"):
        bce(x, x, reduction="max")
    cache = bce(x, x)[1]
    with pytest.raises(ValueError, match=rf"^{op}_backward: dout: expected shape \(\)"):
        bce_backward(x, cache)
