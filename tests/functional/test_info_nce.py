from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npformer.functional import cross_entropy, info_nce, info_nce_backward


def point(rng, n=6, d=4):
    queries = rng.standard_normal((n, d))
    return {"queries": queries, "keys": queries + 0.7 * rng.standard_normal((n, d))}


@pytest.mark.parametrize("temperature", [0.05, 0.3, 1.0])
def test_proof(temperature, proof, rng):
    proof(partial(info_nce, temperature=temperature), info_nce_backward, point(rng), rng).holds()


def test_proof_with_equal_sizes(proof, rng):
    proof(partial(info_nce, temperature=0.5), info_nce_backward, point(rng, 4, 4), rng).holds()


def unnormalised(dout, c):
    """The backward of a product that forgets that the rows were normalised."""
    return (c.one_over_q * seen_of(dout, c)["dq_hat"], c.one_over_k * seen_of(dout, c)["dk_hat"])


def seen_of(dout, cache):
    seen: dict[str, np.ndarray] = {}
    info_nce_backward(dout, cache, intermediates=seen)
    return seen


def test_a_wrong_backward_is_seen(proof, one_rng):
    p = proof(partial(info_nce, temperature=0.3), info_nce_backward, point(one_rng, 4, 4), one_rng)
    for wrong in (
        unnormalised,
        lambda dout, c: info_nce_backward(dout, c)[::-1],
        lambda dout, c: tuple(0.3 * g for g in info_nce_backward(dout, c)),  # the temperature
        lambda dout, c: (info_nce_backward(dout, c)[0], np.zeros((4, 4))),
        lambda dout, c: info_nce_backward(dout, c._replace(k_hat=c.q_hat)),
    ):
        p.sees(wrong)


def test_value_by_the_definition(one_rng):
    q, k = point(one_rng).values()
    cosine = np.array([[a @ b / np.sqrt((a @ a) * (b @ b)) for b in k] for a in q])
    p = np.exp(cosine / 0.1)
    expected = -np.log(np.diag(p) / p.sum(axis=1)).mean()
    np.testing.assert_allclose(info_nce(q, k, temperature=0.1)[0], expected, rtol=1e-13)
    np.testing.assert_allclose(info_nce(q, k)[0], cross_entropy(cosine / 0.05, np.arange(6))[0], rtol=1e-12)


def test_intermediates(one_rng):
    _, cache = info_nce(**point(one_rng))
    seen = seen_of(1.0, cache)
    assert set(seen) == {"dS", "dq_hat", "dk_hat"}
    np.testing.assert_allclose(seen["dS"].sum(axis=1), 0, atol=1e-15)
    np.testing.assert_allclose(seen["dS"] @ cache.k_hat / 0.05, seen["dq_hat"], rtol=1e-15)


def test_a_small_temperature_does_not_multiply_float32_rounding(rng):
    narrow = {name: x.astype(np.float32) for name, x in point(rng).items()}
    wide = {name: x.astype(np.float64) for name, x in narrow.items()}
    out, cache = info_nce(**narrow, temperature=0.01)
    exact, exact_cache = info_nce(**wide, temperature=0.01)
    np.testing.assert_allclose(out, exact, rtol=1.2e-7)
    for g, e in zip(info_nce_backward(1.0, cache), info_nce_backward(1.0, exact_cache), strict=True):
        np.testing.assert_allclose(g, e, rtol=1.2e-7, atol=1e-30)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_of_zeros_are_similar_to_nothing(dtype, one_rng):
    q, k = (x.astype(dtype) for x in point(one_rng).values())
    q[1] = 0
    k[4] = 0
    with np.errstate(all="raise"):
        out, cache = info_nce(q, k, temperature=0.3)
        dq, dk = info_nce_backward(1.0, cache)
    assert out.dtype == dq.dtype == dk.dtype == dtype
    assert np.isfinite(out)
    assert np.isfinite(dq).all()
    assert np.isfinite(dk).all()
    np.testing.assert_array_equal(dq[1], 0)
    np.testing.assert_array_equal(dk[4], 0)
    assert np.abs(dq[[0, 2, 3, 4, 5]]).max(axis=1).min() > 0
    losses = [info_nce(np.where(np.arange(6)[:, None] == 1, 0, q), k, temperature=0.3)[0]]
    np.testing.assert_array_equal(losses, out)


def test_the_length_of_a_row_does_not_matter_however_extreme(one_rng):
    q, k = point(one_rng).values()
    for dtype, scales in ((np.float32, (1e-30, 1e30)), (np.float64, (1e-200, 1e200))):
        a, b = q.astype(dtype), k.astype(dtype)
        expected = info_nce(a, b, temperature=0.3)[0]
        for scale in scales:
            with np.errstate(all="raise", under="ignore"):
                out, cache = info_nce(a * dtype(scale), b, temperature=0.3)
                dq, _ = info_nce_backward(1.0, cache)
            np.testing.assert_allclose(out, expected, rtol=10 * np.finfo(dtype).eps)
            assert np.isfinite(dq).all()
            assert dq.any()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 999))
def test_properties(n, d, seed):
    rng = np.random.default_rng(seed)
    q, k = point(rng, n, d).values()
    out, cache = info_nce(q, k, temperature=0.5)
    dq, dk = info_nce_backward(1.0, cache)
    assert dq.shape == dk.shape == (n, d)
    scale = 1 / min(np.sqrt((q * q).sum(-1)).min(), np.sqrt((k * k).sum(-1)).min())
    np.testing.assert_allclose((dq * q).sum(-1) / np.sqrt((q * q).sum(-1)), 0, atol=1e-14 * scale)
    np.testing.assert_allclose((dk * k).sum(-1) / np.sqrt((k * k).sum(-1)), 0, atol=1e-14 * scale)
    order = rng.permutation(n)  # the order of the pairs does not matter
    np.testing.assert_allclose(info_nce(q[order], k[order], temperature=0.5)[0], out, rtol=1e-13, atol=1e-15)
    if n == 1:
        assert out == 0  # one pair has no negatives


def test_bad_input_is_named():
    x = np.ones((3, 2))
    for bad in (np.ones(3), np.ones((0, 2)), np.ones((3, 0)), np.ones((2, 3, 2))):
        with pytest.raises(ValueError, match=r"^info_nce: queries: expected shape \(N, d\)"):
            info_nce(bad, bad)
    with pytest.raises(ValueError, match=r"^info_nce: keys: expected shape \(3, 2\)"):
        info_nce(x, np.ones((4, 2)))
    for bad in (0, -1, np.inf, np.nan):
        with pytest.raises(ValueError, match="^info_nce: temperature"):
            info_nce(x, x, temperature=bad)
    with pytest.raises(TypeError, match="^info_nce: temperature"):
        info_nce(x, x, temperature=None)
    with pytest.raises(TypeError, match="^info_nce: keys: .* dtype float16"):
        info_nce(x, x.astype(np.float16))
    with pytest.raises(ValueError, match=r"^info_nce_backward: dout: expected shape \(\)"):
        info_nce_backward(np.ones(3), info_nce(x, x)[1])
