from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npformer.functional import layer_norm, layer_norm_backward


def inputs(rng, shape=(2, 3, 5)):
    d = shape[-1]
    return {
        "x": rng.standard_normal(shape),
        "gamma": rng.uniform(0.5, 1.5, d),
        "beta": 0.3 * rng.standard_normal(d),
    }


@pytest.mark.parametrize("shape", [(2, 3, 5), (4, 7), (6,), (4, 4, 4)])
def test_proof(proof, rng, shape):
    proof(layer_norm, layer_norm_backward, inputs(rng, shape), rng).holds()


def test_a_wrong_backward_is_seen(proof, one_rng):
    p = proof(layer_norm, layer_norm_backward, inputs(one_rng), one_rng)

    def mean(x):
        return x.mean(-1, keepdims=True)

    def wrongly(of_dx, of_dgamma=lambda dout, c: dout * c.x_hat, of_dbeta=lambda x: x.sum(axis=(0, 1))):
        return lambda dout, c: (of_dx(dout, c), of_dgamma(dout, c).sum(axis=(0, 1)), of_dbeta(dout))

    def right(dout, c):
        g = dout * c.gamma
        return c.rstd * (g - mean(g) - c.x_hat * mean(g * c.x_hat))

    assert max(p.errors(wrongly(right)).values()) < 1e-10
    for wrong in (
        lambda dout, c: right(dout / c.gamma, c),  # gamma forgotten
        lambda dout, c: c.gamma * right(dout / c.gamma, c),  # gamma outside the sums
        lambda dout, c: right(dout, c) / c.rstd,
        lambda dout, c: right(dout, c) + c.rstd * mean(dout * c.gamma),  # through the mean
        lambda dout, c: (
            right(dout, c) + c.rstd * c.x_hat * mean(dout * c.gamma * c.x_hat)
        ),  # through the variance
        lambda dout, c: (
            c.rstd * (dout * c.gamma - mean(dout * c.gamma) + c.x_hat * mean(dout * c.gamma * c.x_hat))
        ),
    ):
        p.sees(wrongly(wrong))
    p.sees(wrongly(right, of_dgamma=lambda dout, c: dout * c.x_hat / c.rstd))
    p.sees(wrongly(right, of_dbeta=lambda x: x.mean(axis=(0, 1))))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=3), st.integers(3, 6), st.floats(-5, 5), st.integers(0, 99))
def test_a_shift_changes_nothing(lead, d, shift, seed):
    rng = np.random.default_rng(seed)
    x, gamma, beta = inputs(rng, (*lead, d)).values()
    out, cache = layer_norm(x, gamma, beta)
    np.testing.assert_allclose(layer_norm(x + shift, gamma, beta)[0], out, rtol=0, atol=1e-11)
    x_hat = (out - beta) / gamma
    np.testing.assert_allclose(x_hat.mean(-1), 0, atol=1e-13)
    dout = rng.standard_normal(out.shape)
    dx, dgamma, dbeta = layer_norm_backward(dout, cache)
    np.testing.assert_allclose(dx.sum(-1), 0, atol=1e-13 * max(1, np.abs(dx).max(initial=0)))
    np.testing.assert_allclose(dbeta, dout.reshape(-1, d).sum(0), atol=1e-13)


def test_rows_do_not_mix(one_rng):
    x, gamma, beta = inputs(one_rng, (3, 4)).values()
    changed = x.copy()
    changed[1] += one_rng.standard_normal(4)
    np.testing.assert_array_equal(
        layer_norm(x, gamma, beta)[0][[0, 2]], layer_norm(changed, gamma, beta)[0][[0, 2]]
    )


def test_a_large_mean_costs_no_more_digits_than_the_input_has_lost(one_rng):
    """x = mean + noise with the noise known exactly: centring once is off by 1e-4 of it, twice is not."""
    noise = np.round(one_rng.standard_normal((4, 63)) * 2**10) / 2**10
    gamma, beta = np.ones(63), np.zeros(63)
    for mean in (2.0**14, 2.0**33):
        x = mean + noise
        assert np.array_equal(x - mean, noise)
        exact = layer_norm(noise, gamma, beta)[0]
        np.testing.assert_allclose(layer_norm(x, gamma, beta)[0], exact, rtol=0, atol=1e-14)


def test_eps_is_inside_the_root():
    np.testing.assert_allclose(layer_norm([[-3.0, 3.0]], [1, 1], [0, 0], eps=7)[0], [[-0.75, 0.75]])
    assert not layer_norm(np.full((2, 3), 5.0), np.ones(3), np.zeros(3))[0].any()


def test_intermediates(one_rng):
    x, gamma, beta = inputs(one_rng).values()
    out, cache = layer_norm(x, gamma, beta)
    found: dict[str, np.ndarray] = {}
    gradients = layer_norm_backward(out, cache, found)
    np.testing.assert_array_equal(found["dx_hat"], out * gamma)
    assert not any(np.shares_memory(found["dx_hat"], g) for g in gradients)


def test_bad_input_is_named():
    x, one = np.ones((2, 3)), np.ones(3)
    with pytest.raises(
        ValueError, match=r"^layer_norm: gamma: expected shape \(3,\) = \(d,\), got shape \(2,\)"
    ):
        layer_norm(x, one[:2], one)
    with pytest.raises(ValueError, match=r"^layer_norm: beta: expected shape \(3,\)"):
        layer_norm(x, one, np.ones((1, 3)))
    with pytest.raises(ValueError, match="^layer_norm: eps: expected a finite number >= 0.0, got -1.0"):
        layer_norm(x, one, one, eps=-1)
    with pytest.raises(TypeError, match="^layer_norm: eps: expected a real number, got 'small'"):
        layer_norm(x, one, one, eps="small")
    for bad in (1.0, np.ones((2, 0))):
        with pytest.raises(ValueError, match="^layer_norm: x: expected shape"):
            layer_norm(bad, one, one)
    with pytest.raises(ValueError, match="^layer_norm_backward: dout: expected shape"):
        layer_norm_backward(np.ones(3), layer_norm(x, one, one)[1])
