from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from npformer.functional import log_softmax, log_softmax_backward, softmax, softmax_backward

OPS = {"softmax": (softmax, softmax_backward), "log_softmax": (log_softmax, log_softmax_backward)}


@pytest.fixture(params=OPS)
def op(request):
    return request.param


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_proof(op, axis, proof, rng):
    forward, backward = OPS[op]
    x = 2 * rng.standard_normal((3, 5, 4))
    proof(partial(forward, axis=axis), backward, {"x": x}, rng).holds()


def test_the_same_where_entries_tie(op, proof, rng):
    x = np.repeat(rng.standard_normal((4, 3)), 2, axis=-1)
    proof(*OPS[op], {"x": x}, rng).holds()


def test_the_same_where_one_entry_dominates(op, proof, rng):
    x = rng.standard_normal((3, 5))
    x[:, 2] += 9
    proof(*OPS[op], {"x": x}, rng).holds()


def test_a_wrong_backward_is_seen(proof, one_rng):
    x = {"x": one_rng.standard_normal((4, 5))}
    p = proof(softmax, softmax_backward, x, one_rng)
    for wrong in (
        lambda dout, c: dout * c.p,  # the sum forgotten
        lambda dout, c: c.p * (dout + (dout * c.p).sum(-1, keepdims=True)),
        lambda dout, c: c.p * (dout - (dout * c.p).sum()),  # over everything
        lambda dout, c: c.p * (dout - (dout * c.p).sum(0, keepdims=True)),  # over the wrong axis
        lambda dout, c: dout * c.p * (1 - c.p),  # the diagonal alone
        lambda dout, c: dout - (dout * c.p).sum(-1, keepdims=True),  # the outer p forgotten
    ):
        p.sees(wrong)
    p = proof(log_softmax, log_softmax_backward, x, one_rng)
    for wrong in (
        lambda dout, c: dout - np.exp(c.log_p),
        lambda dout, c: dout - np.exp(c.log_p) * dout,
        lambda dout, c: dout - np.exp(c.log_p) * dout.mean(-1, keepdims=True),
    ):
        p.sees(wrong)


def test_a_masked_entry_is_a_deleted_entry(op, one_rng):
    """-inf in a row has weight 0, gradient as if it were not there, and no NaN."""
    forward, backward = OPS[op]
    x, dout = one_rng.standard_normal((3, 6)), one_rng.standard_normal((3, 6))
    x[:, 4] = -np.inf
    dout[:, 4] = 0
    out, cache = forward(x)
    dx = backward(dout, cache)
    keep = [0, 1, 2, 3, 5]
    small, small_cache = forward(x[:, keep])
    np.testing.assert_allclose(out[:, keep], small, rtol=1e-15)
    np.testing.assert_allclose(dx[:, keep], backward(dout[:, keep], small_cache), rtol=1e-13)
    np.testing.assert_array_equal(out[:, 4], 0 if op == "softmax" else -np.inf)
    np.testing.assert_array_equal(dx[:, 4], 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_a_row_of_minus_infinities(op, dtype, one_rng):
    forward, backward = OPS[op]
    x = one_rng.standard_normal((2, 3, 4)).astype(dtype)
    x[1, 2] = -np.inf
    with np.errstate(all="raise"):
        out, cache = forward(x)
        dx = backward(one_rng.standard_normal(x.shape).astype(dtype), cache)
    np.testing.assert_array_equal(out[1, 2].real, 0 if op == "softmax" else -np.inf)
    np.testing.assert_array_equal(dx[1, 2], 0)
    assert out.dtype == dx.dtype == dtype
    assert np.isfinite(dx).all()
    np.testing.assert_allclose(out[0], forward(x[0])[0])


def test_where_one_entry_dominates_the_digits_stay(close_in_ulps):
    close_in_ulps(log_softmax([40.0, 0.0])[0], [-4.24835425529158899e-18, -40], 2)
    close_in_ulps(log_softmax([60.0, 0.0])[0], [-8.75651076269652034e-27, -60], 2)
    close_in_ulps(log_softmax(np.array([20, 0], np.float32))[0], [-2.0611536203143807e-9, -20], 2)
    cache = softmax([30.0, 0.0, 1.0])[1]
    close_in_ulps(
        softmax_backward([2.0, -1.0, 0.5], cache),
        [6.62278536171282805e-13, -2.80728689065045587e-13, -3.81549847106237218e-13],
        10,
    )
    cache = log_softmax([30.0, 0.0, 1.0])[1]
    close_in_ulps(
        log_softmax_backward([2.0, 0.0, 0.0], cache),
        [6.95885588851945946e-13, -1.87152459376738374e-13, -5.08733129475207572e-13],
        40,  # exp(-30) from a rounded -30
    )


def test_huge_numbers_do_not_overflow(op):
    forward, backward = OPS[op]
    for dtype, big in ((np.float32, 1e38), (np.float64, 1e300)):
        x = np.array([[big, 0, -big], [big, big, -big]], dtype)
        with np.errstate(all="raise", under="ignore"):
            out, cache = forward(x)
            dx = backward(np.ones_like(x), cache)
        expected = np.array([[1, 0, 0], [0.5, 0.5, 0]])
        np.testing.assert_allclose(out if op == "softmax" else np.exp(out), expected, rtol=1e-6)
        assert np.isfinite(dx).all()


shapes = array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=5)


@settings(max_examples=60, deadline=None)
@given(shapes, st.data())
def test_rows_along_any_axis(shape, data):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    x, dout = 3 * rng.standard_normal(shape), rng.standard_normal(shape)
    p, cache = softmax(x, axis)
    np.testing.assert_allclose(p.sum(axis), 1, rtol=1e-14)
    np.testing.assert_allclose(np.log(p), log_softmax(x, axis)[0], rtol=1e-12, atol=1e-14)
    for forward, backward in OPS.values():
        out, cache = forward(x, axis)
        shifted = forward(x + rng.standard_normal(np.take(x, [0], axis).shape), axis)[0]
        # a constant on a row changes nothing
        np.testing.assert_allclose(shifted, out, rtol=1e-13, atol=1e-14)
        dx = backward(dout, cache)
        assert dx.shape == shape
        np.testing.assert_allclose(dx.sum(axis), 0, atol=1e-14)  # and so the gradient has no such part
        last = backward(np.moveaxis(dout, axis, -1), forward(np.moveaxis(x, axis, -1))[1])
        np.testing.assert_allclose(np.moveaxis(dx, axis, -1), last, rtol=1e-12, atol=1e-15)
    # what is added to all of dout is not seen by softmax, whose weights sum to 1
    cache = softmax(x, axis)[1]
    np.testing.assert_allclose(softmax_backward(dout + 5, cache), softmax_backward(dout, cache), atol=1e-14)


def test_rows_do_not_mix(op, one_rng):
    forward, _ = OPS[op]
    x = one_rng.standard_normal((3, 4))
    changed = x.copy()
    changed[1] += one_rng.standard_normal(4)
    np.testing.assert_array_equal(forward(x)[0][[0, 2]], forward(changed)[0][[0, 2]])


def test_no_rows_at_all(op):
    out, cache = OPS[op][0](np.zeros((0, 3)))
    assert out.shape == OPS[op][1](np.zeros((0, 3)), cache).shape == (0, 3)


def test_bad_input_is_named(op):
    forward, backward = OPS[op]
    with pytest.raises(ValueError, match=rf"^{op}: axis: expected an axis in \[-2, 2\), got 2"):
        forward(np.ones((2, 3)), axis=2)
    with pytest.raises(ValueError, match=f"^{op}: axis"):
        forward(1.0)
    with pytest.raises(TypeError, match=f"^{op}: axis: expected an integer, got 1.0"):
        forward(np.ones((2, 3)), axis=1.0)
    with pytest.raises(ValueError, match=f"^{op}: x: expected at least one entry along axis 1"):
        forward(np.ones((2, 0)))
    with pytest.raises(TypeError, match=f"^{op}: x: .* dtype float16"):
        forward(np.ones(2, np.float16))
    cache = forward(np.ones((2, 3)))[1]
    with pytest.raises(ValueError, match=rf"^{op}_backward: dout: expected shape \(2, 3\)"):
        backward(np.ones((3, 2)), cache)
