from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from npformer.functional import silu, silu_backward, swiglu, swiglu_backward


def point(rng, shape=(2, 3, 5)):
    return {"gate": 2 * rng.standard_normal(shape), "up": rng.standard_normal(shape)}


def test_proof(proof, rng):
    proof(swiglu, swiglu_backward, point(rng), rng).holds()


def test_a_wrong_backward_is_seen(proof, one_rng):
    p = proof(swiglu, swiglu_backward, point(one_rng), one_rng)

    def gate_factor_forgotten(dout, cache):
        return dout * cache.slope, dout * cache.s

    def up_meets_the_gate_itself(dout, cache):
        return dout * cache.up * cache.slope, dout * p.inputs["gate"]

    def swapped(dout, cache):
        return swiglu_backward(dout, cache)[::-1]

    for wrong in (gate_factor_forgotten, up_meets_the_gate_itself, swapped):
        p.sees(wrong)


def test_it_is_silu_times_up(one_rng):
    gate, up = point(one_rng).values()
    s, silu_cache = silu(gate)
    out, cache = swiglu(gate, up)
    np.testing.assert_array_equal(out, s * up)
    dgate, dup = swiglu_backward(np.ones_like(gate), cache)
    np.testing.assert_allclose(dgate, silu_backward(up, silu_cache), rtol=1e-15)
    np.testing.assert_array_equal(dup, s)


def test_intermediates(one_rng):
    gate, up = point(one_rng).values()
    dout = one_rng.standard_normal(gate.shape)
    seen: dict[str, np.ndarray] = {}
    swiglu_backward(dout, swiglu(gate, up)[1], intermediates=seen)
    assert list(seen) == ["ds"]
    np.testing.assert_array_equal(seen["ds"], dout * up)


def test_the_tails(close_in_ulps):
    for dtype in (np.float32, np.float64):
        out, cache = swiglu(np.array([-40, -1e20], dtype), np.array([3, 3], dtype))
        dgate, dup = swiglu_backward(np.ones(2, dtype), cache)
        close_in_ulps(out[0], 3 * -1.69934170211663559e-16, 4)
        close_in_ulps(dgate[0], 3 * -1.65685815956371969e-16, 4)
        assert out[1] == dgate[1] == dup[1] == 0


@settings(max_examples=30, deadline=None)
@given(array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4), st.integers(0, 99))
def test_any_shape(shape, seed):
    rng = np.random.default_rng(seed)
    gate, up = rng.standard_normal(shape), rng.standard_normal(shape)
    out, cache = swiglu(gate, up)
    assert np.shape(out) == shape
    assert [np.shape(g) for g in swiglu_backward(np.ones(shape), cache)] == [shape, shape]
    np.testing.assert_allclose(swiglu(gate, 3 * up)[0], 3 * out, rtol=1e-15)  # linear in up


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"^swiglu: up: expected shape \(2, 3\) = the shape of gate, got"):
        swiglu(np.ones((2, 3)), np.ones(3))
    with pytest.raises(TypeError, match="^swiglu: gate: expected .* dtype object"):
        swiglu([None], [1.0])
    with pytest.raises(TypeError, match="^swiglu: up: expected .* dtype float16"):
        swiglu([1.0], np.ones(1, np.float16))
    cache = swiglu(np.ones((2, 3)), np.ones((2, 3)))[1]
    with pytest.raises(ValueError, match=r"^swiglu_backward: dout: expected shape \(2, 3\)"):
        swiglu_backward(np.ones((2, 1)), cache)
