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


def with_negatives(rng, n=5, d=4, m=3):
    return {**point(rng, n, d), "negatives": rng.standard_normal((m, d))}


def of_pairs(dout, cache):
    """The backward without negatives: two gradients."""
    *gradients, none = info_nce_backward(dout, cache)
    assert none is None
    return tuple(gradients)


@pytest.mark.parametrize("temperature", [0.05, 0.3, 1.0])
def test_proof(temperature, proof, rng):
    proof(partial(info_nce, temperature=temperature), of_pairs, point(rng), rng).holds()


def test_proof_with_equal_sizes(proof, rng):
    proof(partial(info_nce, temperature=0.5), of_pairs, point(rng, 4, 4), rng).holds()


@pytest.mark.parametrize("m", [1, 3, 5])
def test_proof_with_hard_negatives(m, proof, rng):
    at = with_negatives(rng, m=m)
    proof(partial(info_nce, temperature=0.3), info_nce_backward, at, rng).holds()


def test_a_wrong_backward_of_hard_negatives_is_seen(proof, one_rng):
    at = with_negatives(one_rng, 4, 4, 4)
    p = proof(partial(info_nce, temperature=0.3), info_nce_backward, at, one_rng)
    for wrong in (
        lambda dout, c: (*info_nce_backward(dout, c)[:2], np.zeros((4, 4))),  # as if they were constants
        lambda dout, c: tuple(info_nce_backward(dout, c)[i] for i in (0, 2, 1)),
        lambda dout, c: (info_nce_backward(dout, without_negatives(c))[0], *info_nce_backward(dout, c)[1:]),
    ):
        p.sees(wrong)


def without_negatives(c):
    """What a backward sees that has forgotten that the negatives are in the denominators."""
    N = len(c.q_hat)
    loss = c.loss._replace(exp_d=c.loss.exp_d[:, :N], shape=(N, N))
    return c._replace(k_hat=c.k_hat[:N], one_over_k=c.one_over_k[:N], loss=loss)


def test_hard_negatives_by_the_definition(one_rng):
    q, k, n = with_negatives(one_rng).values()
    cosine = np.array([[a @ b / np.sqrt((a @ a) * (b @ b)) for b in (*k, *n)] for a in q])
    p = np.exp(cosine / 0.1)
    expected = -np.log(np.diag(p) / p.sum(axis=1)).mean()
    out, cache = info_nce(q, k, temperature=0.1, negatives=n)
    np.testing.assert_allclose(out, expected, rtol=1e-13)
    assert [g.shape for g in info_nce_backward(1.0, cache)] == [q.shape, k.shape, n.shape]


def test_negatives_that_are_similar_to_nothing_count_as_cosine_0(one_rng):
    q, k = point(one_rng).values()
    out, cache = info_nce(q, k, temperature=0.3, negatives=np.zeros((2, 4)))
    cosine = (q / np.linalg.norm(q, axis=1, keepdims=True)) @ (k / np.linalg.norm(k, axis=1, keepdims=True)).T
    p = np.exp(cosine / 0.3)
    np.testing.assert_allclose(out, -np.log(np.diag(p) / (p.sum(axis=1) + 2)).mean(), rtol=1e-13)
    assert not info_nce_backward(1.0, cache)[2].any()


def test_without_negatives_there_is_no_third_gradient(one_rng):
    assert info_nce_backward(1.0, info_nce(**point(one_rng))[1])[2] is None


def unnormalised(dout, c):
    """The backward of a product that forgets that the rows were normalised."""
    return (c.one_over_q * seen_of(dout, c)["dq_hat"], c.one_over_k * seen_of(dout, c)["dk_hat"])


def seen_of(dout, cache):
    seen: dict[str, np.ndarray] = {}
    info_nce_backward(dout, cache, intermediates=seen)
    return seen


def test_a_wrong_backward_is_seen(proof, one_rng):
    p = proof(partial(info_nce, temperature=0.3), of_pairs, point(one_rng, 4, 4), one_rng)
    for wrong in (
        unnormalised,
        lambda dout, c: of_pairs(dout, c)[::-1],
        lambda dout, c: tuple(0.3 * g for g in of_pairs(dout, c)),  # the temperature
        lambda dout, c: (of_pairs(dout, c)[0], np.zeros((4, 4))),
        lambda dout, c: of_pairs(dout, c._replace(k_hat=c.q_hat)),
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
    for g, e in zip(of_pairs(1.0, cache), of_pairs(1.0, exact_cache), strict=True):
        np.testing.assert_allclose(g, e, rtol=1.2e-7, atol=1e-30)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_of_zeros_are_similar_to_nothing(dtype, one_rng):
    q, k = (x.astype(dtype) for x in point(one_rng).values())
    q[1] = 0
    k[4] = 0
    with np.errstate(all="raise"):
        out, cache = info_nce(q, k, temperature=0.3)
        dq, dk = of_pairs(1.0, cache)
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
                dq, _ = of_pairs(1.0, cache)
            np.testing.assert_allclose(out, expected, rtol=10 * np.finfo(dtype).eps)
            assert np.isfinite(dq).all()
            assert dq.any()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 999))
def test_properties(n, d, seed):
    rng = np.random.default_rng(seed)
    q, k = point(rng, n, d).values()
    out, cache = info_nce(q, k, temperature=0.5)
    dq, dk = of_pairs(1.0, cache)
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
    for bad in (np.ones(2), np.ones((0, 2)), np.ones((3, 3))):
        with pytest.raises(ValueError, match=r"^info_nce: negatives: expected shape \(M, 2\) with M >= 1"):
            info_nce(x, x, negatives=bad)
    for bad in (0, -1, np.inf, np.nan):
        with pytest.raises(ValueError, match="^info_nce: temperature"):
            info_nce(x, x, temperature=bad)
    with pytest.raises(TypeError, match="^info_nce: temperature"):
        info_nce(x, x, temperature=None)
    with pytest.raises(TypeError, match="^info_nce: keys: .* dtype float16"):
        info_nce(x, x.astype(np.float16))
    with pytest.raises(ValueError, match=r"^info_nce_backward: dout: expected shape \(\)"):
        info_nce_backward(np.ones(3), info_nce(x, x)[1])
