from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from npformer.functional import (
    cross_entropy,
    cross_entropy_backward,
    log_softmax,
    log_softmax_backward,
)

TARGETS = np.array([[3, 0, -100, 3], [6, -100, 2, 1], [-100, -100, -100, -100]])  # some ignored, and a row


def op(targets=TARGETS, **options):
    return partial(cross_entropy, targets=targets, **options)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_proof(reduction, label_smoothing, proof, rng):
    logits = 2 * rng.standard_normal((3, 4, 7))
    options = {"reduction": reduction, "label_smoothing": label_smoothing}
    proof(op(**options), cross_entropy_backward, {"logits": logits}, rng).holds()


def test_the_same_where_the_target_dominates(proof, rng):
    logits = rng.standard_normal((5, 6))
    targets = rng.integers(0, 6, 5)
    logits[np.arange(5), targets] += 9
    proof(op(targets, reduction="sum"), cross_entropy_backward, {"logits": logits}, rng).holds()


def test_the_same_for_an_ignored_class(proof, rng):
    logits = rng.standard_normal((5, 6))
    targets = np.array([2, 0, 5, 2, 1])
    proof(op(targets, ignore_index=2), cross_entropy_backward, {"logits": logits}, rng).holds()


def test_a_wrong_backward_is_seen(proof, one_rng):
    logits = one_rng.standard_normal((3, 4, 7))
    p = proof(op(), cross_entropy_backward, {"logits": logits}, one_rng)
    valid = TARGETS != -100
    softmax = np.exp(log_softmax(logits)[0])
    one_hot = np.eye(7)[np.where(valid, TARGETS, 0)]
    right = (softmax - one_hot) * valid[..., None] / valid.sum()
    np.testing.assert_allclose(cross_entropy_backward(1.0, p.cache), right, rtol=1e-12, atol=1e-16)
    for wrong in (
        right * valid.sum(),  # 1/n forgotten
        right * valid.sum() / valid.size,  # ignored rows counted
        (softmax - one_hot) / valid.sum(),  # ignored rows get a gradient
        softmax * valid[..., None] / valid.sum(),  # one-hot forgotten
        -right,
    ):
        p.sees(lambda dout, cache, wrong=wrong: dout * wrong)
    p.sees(lambda dout, cache: right)  # upstream gradient ignored


@pytest.mark.parametrize("eps", [0.0, 0.3])
def test_it_is_log_softmax_at_the_targets(eps, one_rng):
    logits = one_rng.standard_normal((3, 4, 7))
    valid = TARGETS != -100
    y = (1 - eps) * np.eye(7)[np.where(valid, TARGETS, 0)] + eps / 7
    y *= valid[..., None]
    log_p, cache = log_softmax(logits)
    losses = -(y * log_p).sum(-1)
    total = losses.sum()
    for reduction, expected in (("none", losses), ("sum", total), ("mean", total / valid.sum())):
        out, ce_cache = op(reduction=reduction, label_smoothing=eps)(logits)
        assert out.shape == np.shape(expected)
        np.testing.assert_allclose(out, expected, rtol=1e-14)
    dlogits = cross_entropy_backward(1.0, ce_cache)
    expected = log_softmax_backward(-y / valid.sum(), cache)
    np.testing.assert_allclose(dlogits, expected, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_nothing_to_predict_is_zero_with_zero_gradient(reduction, one_rng):
    for logits, targets in (
        (one_rng.standard_normal((2, 3)), [-100, -100]),
        (np.full((2, 3), np.nan), [-100, -100]),  # what stands in ignored rows does not matter
        (np.zeros((0, 3)), []),
    ):
        out, cache = cross_entropy(logits, targets, reduction=reduction)
        np.testing.assert_array_equal(out, np.zeros(out.shape))
        dlogits = cross_entropy_backward(np.ones(out.shape), cache)
        np.testing.assert_array_equal(dlogits, np.zeros(logits.shape))


def test_an_ignored_row_changes_nothing(one_rng):
    logits = one_rng.standard_normal((4, 5))
    out, cache = cross_entropy(logits, [1, -100, 4, 0])
    fewer, fewer_cache = cross_entropy(logits[[0, 2, 3]], [1, 4, 0])
    np.testing.assert_allclose(out, fewer, rtol=1e-15)
    dlogits = cross_entropy_backward(1.0, cache)
    np.testing.assert_allclose(dlogits[[0, 2, 3]], cross_entropy_backward(1.0, fewer_cache), rtol=1e-15)
    np.testing.assert_array_equal(dlogits[1], 0)


def test_any_class_may_be_the_ignored_one(one_rng):
    logits = one_rng.standard_normal((4, 5))
    out, cache = cross_entropy(logits, [1, 2, 4, 2], ignore_index=2)
    expected, expected_cache = cross_entropy(logits, [1, -100, 4, -100])
    np.testing.assert_array_equal(out, expected)
    dlogits = cross_entropy_backward(1.0, cache)
    np.testing.assert_array_equal(dlogits, cross_entropy_backward(1.0, expected_cache))


@pytest.mark.parametrize(
    ("dtype", "top", "loss", "p"),
    [
        (np.float32, 20, 2.0611536203143807e-9, 2.0611536181902e-9),
        (np.float64, 40, 4.24835425529158899e-18, 4.24835425529158898e-18),
        (np.float64, 60, 8.75651076269652034e-27, 8.75651076269652034e-27),
    ],
)
def test_where_one_logit_dominates_the_digits_stay(dtype, top, loss, p, close_in_ulps):
    out, cache = cross_entropy(np.array([top, 0], dtype), 0)
    close_in_ulps(out, loss, 2)
    close_in_ulps(cross_entropy_backward(1.0, cache), [-p, p], 2)
    out, cache = cross_entropy(np.array([top, 0], dtype), 1)  # and the other way round
    close_in_ulps(out, top, 2)
    close_in_ulps(cross_entropy_backward(1.0, cache), [1, -1], 2)


def test_masked_classes(one_rng):
    """A logit of -inf is a class that is not there; as a target it costs infinitely much."""
    logits = one_rng.standard_normal((2, 4))
    logits[:, 2] = -np.inf
    out, cache = cross_entropy(logits, [3, 0])
    dlogits = cross_entropy_backward(1.0, cache)
    fewer, fewer_cache = cross_entropy(logits[:, [0, 1, 3]], [2, 0])
    np.testing.assert_allclose(out, fewer, rtol=1e-15)
    fewer_dlogits = cross_entropy_backward(1.0, fewer_cache)
    np.testing.assert_allclose(dlogits[:, [0, 1, 3]], fewer_dlogits, rtol=1e-14)
    np.testing.assert_array_equal(dlogits[:, 2], 0)
    assert cross_entropy(logits, [2, 0])[0] == np.inf


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_a_row_of_minus_infinities(dtype):
    logits = np.array([[-np.inf, -np.inf], [1, 2]], dtype)
    with np.errstate(all="raise"):
        out, cache = cross_entropy(logits, [1, 0], reduction="none")
        dlogits = cross_entropy_backward(np.ones(2, dtype), cache)
    assert out.real[0] == np.inf
    np.testing.assert_array_equal(dlogits[0], 0)
    np.testing.assert_allclose(dlogits[1], [-1 / (1 + np.exp(-1)), 1 / (1 + np.exp(-1))], rtol=1e-6)


def test_huge_logits_do_not_overflow():
    for dtype, big in ((np.float32, 1e38), (np.float64, 1e300)):
        with np.errstate(all="raise", under="ignore"):
            out, cache = cross_entropy(np.array([[big, 0, -big]], dtype), [0])
            dlogits = cross_entropy_backward(1.0, cache)
        assert out == 0
        np.testing.assert_array_equal(dlogits, np.zeros((1, 3)))


def test_a_python_number_as_cotangent_keeps_float32(one_rng):
    cache = cross_entropy(one_rng.standard_normal((2, 3)).astype(np.float32), [0, 1])[1]
    assert cross_entropy_backward(1.0, cache).dtype == np.float32
    assert cross_entropy_backward(1, cache).dtype == np.float32
    assert cross_entropy_backward(np.float64(1), cache).dtype == np.float64  # as NumPy promotes


@settings(max_examples=60, deadline=None)
@given(
    array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    st.integers(1, 6),
    st.sampled_from(["mean", "sum", "none"]),
    st.sampled_from([0.0, 0.2]),
    st.integers(0, 999),
)
def test_any_shape_and_the_properties(rows, V, reduction, eps, seed):
    rng = np.random.default_rng(seed)
    logits = 3 * rng.standard_normal((*rows, V))
    targets = np.where(rng.random(rows) < 0.3, -100, rng.integers(0, V, rows))
    options = {"reduction": reduction, "label_smoothing": eps}
    out, cache = cross_entropy(logits, targets, **options)
    assert out.shape == (rows if reduction == "none" else ())
    assert (out >= 0).all()
    dlogits = cross_entropy_backward(rng.standard_normal(out.shape), cache)
    assert dlogits.shape == logits.shape
    np.testing.assert_allclose(dlogits.sum(-1), np.zeros(rows), atol=1e-14)
    np.testing.assert_array_equal(dlogits[targets == -100], 0)
    shifted = cross_entropy(logits + rng.standard_normal((*rows, 1)), targets, **options)[0]
    np.testing.assert_allclose(shifted, out, rtol=1e-13, atol=1e-14)
    order = rng.permutation(V)  # classes renamed
    renamed = np.where(targets == -100, -100, np.argsort(order)[np.maximum(targets, 0)])
    np.testing.assert_allclose(
        cross_entropy(logits[..., order], renamed, **options)[0], out, rtol=1e-13, atol=1e-14
    )


def test_micro_batches_sum_to_the_whole(one_rng):
    """With reduction "sum" and one divisor for all, cutting the batch changes nothing."""
    logits = one_rng.standard_normal((6, 5))
    targets = np.array([0, -100, 3, 4, -100, 1])
    whole = cross_entropy_backward(1.0, cross_entropy(logits, targets)[1])
    parts = [
        cross_entropy_backward(1 / 4, cross_entropy(logits[cut], targets[cut], reduction="sum")[1])
        for cut in (slice(0, 2), slice(2, 6))
    ]
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-15)


def test_views_and_small_integers_are_taken_as_they_are(one_rng):
    logits = one_rng.standard_normal((7, 4, 3)).transpose(2, 1, 0)
    targets = np.array([[1, 0, 6, 2]] * 3, np.uint8)
    out, cache = cross_entropy(logits, targets)
    np.testing.assert_array_equal(out, cross_entropy(logits.copy(), targets.tolist())[0])
    assert cross_entropy_backward(1.0, cache).shape == (3, 4, 7)


def test_bad_input_is_named():
    logits = np.ones((2, 3))
    with pytest.raises(ValueError, match=r"^cross_entropy: targets: expected ids in \[0, 3\) or -100, got 3"):
        cross_entropy(logits, [0, 3])
    with pytest.raises(ValueError, match=r"^cross_entropy: targets: .* got -1 at \(1,\)"):
        cross_entropy(logits, [0, -1])
    with pytest.raises(ValueError, match=r"^cross_entropy: targets: .* or 9, got -100"):
        cross_entropy(logits, [0, -100], ignore_index=9)
    with pytest.raises(TypeError, match="^cross_entropy: targets: expected integers"):
        cross_entropy(logits, [0.0, 1.0])
    with pytest.raises(ValueError, match=r"^cross_entropy: targets: expected shape \(2,\)"):
        cross_entropy(logits, [[0], [1]])
    for bad in (np.ones((2, 0)), 1.0):
        with pytest.raises(ValueError, match=r"^cross_entropy: logits: expected shape \(..., V\)"):
            cross_entropy(bad, [0, 0])
    with pytest.raises(TypeError, match="^cross_entropy: logits: .* dtype float16"):
        cross_entropy(logits.astype(np.float16), [0, 1])
    for reduction in ("average", None, ["mean"]):
        with pytest.raises(ValueError, match="^cross_entropy: reduction: expected 'mean', 'sum' or 'none'"):
            cross_entropy(logits, [0, 1], reduction=reduction)
    for eps in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="^cross_entropy: label_smoothing"):
            cross_entropy(logits, [0, 1], label_smoothing=eps)
    with pytest.raises(TypeError, match="^cross_entropy: label_smoothing"):
        cross_entropy(logits, [0, 1], label_smoothing="much")
    for ignore_index in (0.5, None, True):
        with pytest.raises(TypeError, match="^cross_entropy: ignore_index: expected an integer"):
            cross_entropy(logits, [0, 1], ignore_index=ignore_index)
    cache = cross_entropy(logits, [0, 1])[1]
    with pytest.raises(ValueError, match=r"^cross_entropy_backward: dout: expected shape \(\)"):
        cross_entropy_backward(np.ones(2), cache)
