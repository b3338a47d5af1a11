from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npformer.functional import linear, linear_backward


def without_bias(dout, cache):
    return linear_backward(dout, cache)[:2]


def inputs(rng, lead=(2, 3), d_in=4, d_out=5):
    return {
        "x": rng.standard_normal((*lead, d_in)),
        "weight": rng.standard_normal((d_in, d_out)) / np.sqrt(d_in),
        "bias": rng.standard_normal(d_out),
    }


def test_proof(proof, rng):
    proof(linear, linear_backward, inputs(rng), rng).holds()


@pytest.mark.parametrize("lead", [(), (7,), (2, 3, 2)])
def test_proof_for_any_leading_axes(proof, one_rng, lead):
    proof(linear, linear_backward, inputs(one_rng, lead), one_rng).holds()


def test_proof_where_all_sizes_are_equal(proof, rng):
    proof(linear, linear_backward, inputs(rng, (3, 3), 3, 3), rng).holds()


def test_proof_without_bias(proof, rng):
    given = inputs(rng)
    del given["bias"]
    p = proof(linear, without_bias, given, rng)
    p.holds()
    assert linear_backward(p.dout, p.cache)[2] is None


def test_a_wrong_backward_is_seen(proof, one_rng):
    p = proof(linear, linear_backward, inputs(one_rng, (6,), 3, 3), one_rng)
    for wrong in (
        lambda dx, dw, db: (dx, dw.T, db),
        lambda dx, dw, db: (dx, dw, db / 6),
        lambda dx, dw, db: (dx, dw, p.dout[0]),
        lambda dx, dw, db: (p.dout @ p.inputs["weight"], dw, db),
    ):
        p.sees(lambda dout, cache, wrong=wrong: wrong(*linear_backward(dout, cache)))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 3), max_size=3),
    st.integers(0, 4),
    st.integers(0, 4),
    st.booleans(),
    st.integers(0, 99),
)
def test_every_shape_agrees_with_a_loop_over_rows(lead, d_in, d_out, has_bias, seed):
    rng = np.random.default_rng(seed)
    x, w, b = inputs(rng, lead, max(d_in, 1), d_out).values()
    x, w = x[..., :d_in], w[:d_in]  # also empty, also strided
    out, cache = linear(x, w, b if has_bias else None)
    dout = rng.standard_normal(out.shape)
    dx, dw, db = linear_backward(dout, cache)
    expected_dw, expected_db = np.zeros(w.shape), np.zeros(b.shape)
    for r in np.ndindex(*lead):
        np.testing.assert_allclose(out[r], x[r] @ w + (b if has_bias else 0), rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(dx[r], w @ dout[r], rtol=1e-13, atol=1e-14)
        expected_dw += np.outer(x[r], dout[r])
        expected_db += dout[r]
    np.testing.assert_allclose(dw, expected_dw, rtol=1e-12, atol=1e-14)
    if has_bias:
        np.testing.assert_allclose(db, expected_db, rtol=1e-12, atol=1e-14)
    else:
        assert db is None


def test_strided_inputs_and_views_of_one_vector(one_rng):
    """Parameters of a model are views of one vector, inputs may be transposed."""
    flat = one_rng.standard_normal(3 * 4 + 4)
    w, b = flat[:12].reshape(3, 4), flat[12:]
    x = one_rng.standard_normal((3, 5)).T
    out, cache = linear(x, w, b)
    np.testing.assert_allclose(out, x @ w + b, rtol=1e-14)
    gradients = linear_backward(out, cache)
    assert not any(np.shares_memory(g, y) for g in gradients for y in (flat, x, out))


def test_mixed_dtypes_promote(one_rng):
    given = inputs(one_rng)
    for wide in given:
        mixed = {name: v if name == wide else v.astype(np.float32) for name, v in given.items()}
        out, cache = linear(**mixed)
        assert out.dtype == np.float64, wide
        assert all(g.dtype == np.float64 for g in linear_backward(out, cache))
    assert linear([[1, 2]], [[1], [1]], [True])[0].dtype == np.float64


def test_bad_input_is_named():
    x, w, b = np.ones((2, 3)), np.ones((3, 4)), np.ones(4)
    with pytest.raises(ValueError, match=r"^linear: x: expected shape \(\.\.\., d_in\), got shape \(\)"):
        linear(1.0, w)
    with pytest.raises(ValueError, match=r"^linear: weight: expected shape \(3, d_out\), got shape \(4, 3\)"):
        linear(x, w.T)
    with pytest.raises(ValueError, match=r"^linear: weight: .* got shape \(3,\)"):
        linear(x, w[:, 0])
    with pytest.raises(
        ValueError, match=r"^linear: bias: expected shape \(4,\) = \(d_out,\), got shape \(1,\)"
    ):
        linear(x, w, b[:1])
    with pytest.raises(TypeError, match="^linear: weight: .* dtype float16"):
        linear(x, w.astype(np.float16))
    cache = linear(x, w, b)[1]
    with pytest.raises(ValueError, match=r"^linear_backward: dout: expected shape \(2, 4\)"):
        linear_backward(np.ones(4), cache)
