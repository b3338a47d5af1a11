from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from npformer.functional import mse_loss, mse_loss_backward


def point(rng, shape=(3, 5)):
    return {"input": rng.standard_normal(shape), "target": rng.standard_normal(shape)}


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_proof(reduction, proof, rng):
    proof(partial(mse_loss, reduction=reduction), mse_loss_backward, point(rng), rng).holds()


def test_a_wrong_backward_is_seen(proof, one_rng):
    p = proof(mse_loss, mse_loss_backward, point(one_rng), one_rng)
    # the 2, the 1/N, a sign, the target's path, both signs
    for a, b in ((0.5, 0.5), (15, 15), (1, -1), (1, 0), (-1, -1)):

        def wrong(dout, cache, a=a, b=b):
            dinput, dtarget = mse_loss_backward(dout, cache)
            return a * dinput, b * dtarget

        p.sees(wrong)


def test_values(one_rng):
    x, y = point(one_rng).values()
    losses = (x - y) ** 2
    for reduction, expected in (("none", losses), ("sum", losses.sum()), ("mean", losses.mean())):
        out, _ = mse_loss(x, y, reduction=reduction)
        assert out.shape == np.shape(expected)
        np.testing.assert_allclose(out, expected, rtol=1e-15)


def test_nothing_at_all_is_zero():
    out, cache = mse_loss(np.zeros((0, 3)), np.zeros((0, 3)))
    assert out == 0
    assert [g.shape for g in mse_loss_backward(1.0, cache)] == [(0, 3), (0, 3)]


def test_a_python_number_as_cotangent_keeps_float32():
    x = np.ones(3, np.float32)
    assert {g.dtype for g in mse_loss_backward(1.0, mse_loss(x, 2 * x)[1])} == {np.dtype(np.float32)}


@settings(max_examples=30, deadline=None)
@given(
    array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
    st.sampled_from(["mean", "sum", "none"]),
    st.integers(0, 999),
)
def test_any_shape_and_the_symmetry(shape, reduction, seed):
    rng = np.random.default_rng(seed)
    x, y = point(rng, shape).values()
    out, cache = mse_loss(x, y, reduction=reduction)
    np.testing.assert_array_equal(mse_loss(y, x, reduction=reduction)[0], out)
    dx, dy = mse_loss_backward(rng.standard_normal(out.shape), cache)
    assert np.shape(dx) == np.shape(dy) == shape
    np.testing.assert_array_equal(dx, -dy)


def test_bad_input_is_named():
    x = np.ones((2, 3))
    with pytest.raises(ValueError, match=r"^mse_loss: target: expected shape \(2, 3\)"):
        mse_loss(x, np.ones(3))  # not broadcast
    with pytest.raises(TypeError, match="^mse_loss: input: .* dtype float16"):
        mse_loss(x.astype(np.float16), x)
    with pytest.raises(TypeError, match="^mse_loss: target: .* dtype object"):
        mse_loss([1.0], [None])
    with pytest.raises(ValueError, match="^mse_loss: reduction"):
        mse_loss(x, x, reduction="batch")
    cache = mse_loss(x, x)[1]
    with pytest.raises(ValueError, match=r"^mse_loss_backward: dout: expected shape \(\)"):
        mse_loss_backward(x, cache)
