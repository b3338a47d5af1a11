from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npformer.functional import rms_norm, rms_norm_backward


def inputs(rng, shape=(2, 3, 5)):
    return {"x": rng.standard_normal(shape), "gamma": rng.uniform(0.5, 1.5, shape[-1])}


@pytest.mark.parametrize("shape", [(2, 3, 5), (4, 7), (9,), (4, 4, 4)])
def test_proof(proof, rng, shape):
    proof(rms_norm, rms_norm_backward, inputs(rng, shape), rng).holds()


def test_a_wrong_backward_is_seen(proof, one_rng):
    p = proof(rms_norm, rms_norm_backward, inputs(one_rng), one_rng)

    def wrongly(of_dx=lambda c, g: c.rrms * g, gamma=True, of_dgamma=lambda dout, c: dout * c.x_hat):
        def backward(dout, c):
            g = dout * c.gamma if gamma else dout
            return of_dx(c, g), of_dgamma(dout, c).sum(axis=(0, 1))

        return backward

    def right(c, g):
        return c.rrms * (g - c.x_hat * (g * c.x_hat).mean(-1, keepdims=True))

    assert max(p.errors(wrongly(right)).values()) < 1e-10
    p.sees(wrongly())  # the gradient through the mean square forgotten
    p.sees(wrongly(right, gamma=False))
    p.sees(wrongly(lambda c, g: right(c, g) / c.rrms))
    p.sees(wrongly(lambda c, g: c.rrms * (g - c.x_hat * (g * c.x_hat).sum(-1, keepdims=True))))
    p.sees(wrongly(lambda c, g: right(c, g - g.mean(-1, keepdims=True))))  # as in layer norm
    p.sees(wrongly(right, of_dgamma=lambda dout, c: dout * c.x_hat / c.rrms))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=3), st.integers(2, 6), st.floats(0.1, 1e3), st.integers(0, 99))
def test_rows_have_mean_square_one_whatever_their_scale(lead, d, factor, seed):
    rng = np.random.default_rng(seed)
    x, gamma = inputs(rng, (*lead, d)).values()
    out, cache = rms_norm(x, gamma, eps=0)
    np.testing.assert_allclose(((out / gamma) ** 2).mean(-1), 1, rtol=1e-13)
    np.testing.assert_allclose(rms_norm(factor * x, gamma, eps=0)[0], out, rtol=1e-12, atol=1e-15)
    dx, _ = rms_norm_backward(rng.standard_normal(out.shape), cache)
    np.testing.assert_allclose((dx * x).sum(-1), 0, atol=1e-13)  # along x nothing changes


def test_eps_is_inside_the_root(one_rng):
    out, cache = rms_norm(np.zeros((2, 3)), np.ones(3), eps=0.25)
    np.testing.assert_array_equal(out, 0)
    dout = one_rng.standard_normal((2, 3))
    np.testing.assert_allclose(rms_norm_backward(dout, cache)[0], 2 * dout)
    np.testing.assert_allclose(rms_norm([[3.0, 3.0]], [1, 1], eps=7)[0], [[0.75, 0.75]])


def test_rows_do_not_mix(one_rng):
    x, gamma = inputs(one_rng, (3, 4)).values()
    changed = x.copy()
    changed[1] += 1
    np.testing.assert_array_equal(rms_norm(x, gamma)[0][[0, 2]], rms_norm(changed, gamma)[0][[0, 2]])


def test_intermediates(one_rng):
    x, gamma = inputs(one_rng).values()
    out, cache = rms_norm(x, gamma)
    found: dict[str, np.ndarray] = {}
    gradients = rms_norm_backward(out, cache, found)
    np.testing.assert_array_equal(found["dx_hat"], out * gamma)
    assert not any(np.shares_memory(found["dx_hat"], g) for g in gradients)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"^rms_norm: gamma: expected shape \(3,\)"):
        rms_norm(np.ones((2, 3)), np.ones(2))
    with pytest.raises(ValueError, match="^rms_norm: eps: expected a finite number >= 0.0, got -1.0"):
        rms_norm(np.ones((2, 3)), np.ones(3), eps=-1)
    for x in (1.0, np.ones((2, 0))):
        with pytest.raises(ValueError, match="^rms_norm: x: expected shape"):
            rms_norm(x, np.ones(0))
    with pytest.raises(TypeError, match="^rms_norm: x: .* dtype <U1"):
        rms_norm(["a"], [1])
    with pytest.raises(ValueError, match="^rms_norm_backward: dout: expected shape"):
        rms_norm_backward(np.ones(3), rms_norm(np.ones((2, 3)), np.ones(3))[1])
