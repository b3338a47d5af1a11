from __future__ import annotations

import itertools
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npformer.functional import scaled_dot_product_attention, scaled_dot_product_attention_backward

B, H, T, S, D_K, D_V = 2, 4, 3, 5, 6, 7


@pytest.fixture(params=[0, *(pytest.param(s, marks=pytest.mark.exhaustive) for s in range(1, 20))])
def rng(request):
    """One seed by default: a proof of it takes a second."""
    return np.random.default_rng(request.param)


def inputs(rng, h_kv=H, lead=(B,), bias=(H, T, S)):
    """A generic point; `bias` is its shape, or None for none."""
    given = {
        "q": rng.standard_normal((*lead, H, T, D_K)),
        "k": rng.standard_normal((*lead, h_kv, S, D_K)),
        "v": rng.standard_normal((*lead, h_kv, S, D_V)),
    }
    if bias is not None:
        given["bias"] = rng.standard_normal(bias)
    return given


def some_mask(rng, shape=(B, H, T, S)):
    """One padded key, one query with nothing to attend to, and holes."""
    mask = np.array(rng.random(shape) > 0.3)
    mask[..., -1] = False
    mask[0, ..., 1, :] = False
    return mask


def backward_without_bias(dout, cache, intermediates=None):
    return scaled_dot_product_attention_backward(dout, cache, intermediates)[:3]


def prove(proof, inputs, rng, **options):
    """The proof with dropout on, drawn alike every time; returns it."""

    def forward(**given):
        return scaled_dot_product_attention(**given, rng=np.random.default_rng(11), **options)

    backward = scaled_dot_product_attention_backward if "bias" in inputs else backward_without_bias
    return proof(forward, backward, inputs, rng)


def test_proof_with_everything_on(proof, rng):
    mask = some_mask(rng)
    given = inputs(rng, h_kv=2, bias=(H, 1, S))
    prove(proof, given, rng, mask=mask, causal=True, query_offset=2, dropout_p=0.3, scale=0.7).holds()


def test_proof_with_everything_of_gemma(proof, rng):
    """Softcap and a window beside all the rest."""
    mask = some_mask(rng)
    given = inputs(rng, h_kv=2, bias=(H, 1, S))
    options = {"mask": mask, "causal": True, "query_offset": 2, "window": 3, "softcap": 1.5, "scale": 0.7}
    prove(proof, given, rng, dropout_p=0.3, **options).holds()


@pytest.mark.parametrize("softcap", [0.3, 50.0])
def test_proof_of_softcap(proof, one_rng, softcap):
    prove(proof, inputs(one_rng, 2, lead=()), one_rng, softcap=softcap).holds()


@pytest.mark.parametrize(("window", "offset"), [(1, 1), (2, 4), (3, -3)])
def test_proof_of_windows(proof, one_rng, window, offset):
    """At offset 4 and -3 there are queries that see nothing."""
    prove(proof, inputs(one_rng, 2, lead=()), one_rng, window=window, query_offset=offset).holds()


def test_proof_with_everything_off(proof, rng):
    prove(proof, inputs(rng, lead=(), bias=None), rng).holds()


@pytest.mark.parametrize("h_kv", [1, 2, 4])
def test_proof_for_any_number_of_key_heads(proof, one_rng, h_kv):
    prove(proof, inputs(one_rng, h_kv), one_rng, mask=some_mask(one_rng), dropout_p=0.2).holds()


@pytest.mark.parametrize("bias", [(B, H, T, S), (B, 1, 1, S), (S,), (1, 1, T, S), (H, 1, S)])
def test_proof_for_a_bias_of_any_shape(proof, one_rng, bias):
    given = inputs(one_rng, 2, bias=bias)

    def forward(bias):
        return scaled_dot_product_attention(*list(given.values())[:3], bias, causal=True)

    def backward(dout, cache):
        return scaled_dot_product_attention_backward(dout, cache)[3]

    p = proof(forward, backward, {"bias": given["bias"]}, one_rng)
    p.differentiates()
    p.is_pure()


@pytest.mark.parametrize("bias", [(1, T, 1), (H, 1, 1), (B, 1, 1, 1), (1,), ()])
def test_a_bias_that_is_the_same_for_all_keys_has_no_gradient(one_rng, bias):
    q, k, v, b = inputs(one_rng, 2, bias=bias).values()
    out, cache = scaled_dot_product_attention(q, k, v, b, causal=True)
    np.testing.assert_allclose(out, scaled_dot_product_attention(q, k, v, causal=True)[0], rtol=0, atol=1e-14)
    *others, dbias = scaled_dot_product_attention_backward(one_rng.standard_normal(out.shape), cache)
    assert dbias.shape == bias
    assert np.abs(dbias).max() <= 1e-14 * max(np.abs(g).max() for g in others)


@pytest.mark.parametrize("lead", [(), (2, 3)])
def test_proof_for_other_leading_axes(proof, one_rng, lead):
    prove(proof, inputs(one_rng, 2, lead), one_rng, causal=True).holds()


def test_proof_where_all_sizes_are_equal(proof, rng):
    equal = {name: rng.standard_normal((2, 2, 2, 2)) for name in ("q", "k", "v", "bias")}
    prove(proof, equal, rng, dropout_p=0.25).holds()


def test_proof_for_heads_that_are_views(proof, one_rng):
    """Heads split from (B, T, h · d) without a copy, as multi-head attention has them."""
    given = {
        name: x.swapaxes(1, 2).copy().swapaxes(1, 2) for name, x in inputs(one_rng, 2, bias=None).items()
    }
    p = prove(proof, given, one_rng, causal=True)
    p.holds()
    contiguous = prove(proof, {name: x.copy() for name, x in given.items()}, one_rng, causal=True)
    np.testing.assert_allclose(p.out, contiguous.out, rtol=0, atol=1e-15)


def test_a_wrong_backward_is_seen(proof, one_rng):
    given = inputs(one_rng, 2, lead=(), bias=(H, 1, S))
    p = prove(proof, given, one_rng, mask=some_mask(one_rng, (H, T, S)), dropout_p=0.3)
    right = scaled_dot_product_attention_backward
    root = np.sqrt(D_K)

    def changed(change):
        return lambda dout, c: change(*right(dout, c))

    p.sees(changed(lambda dq, dk, dv, db: (dq * root, dk, dv, db)))  # the scale missing
    p.sees(changed(lambda dq, dk, dv, db: (dq, dk / root, dv, db)))  # or applied twice
    p.sees(changed(lambda dq, dk, dv, db: (dq, dk, dv, db / T)))  # averaged, not summed
    p.sees(lambda dout, c: right(dout, c._replace(keep=None, dropout_p=0.0)))  # dropout left out
    p.sees(lambda dout, c: right(dout, c._replace(keep=c.keep[..., ::-1])))  # drawn again
    p.sees(lambda dout, c: right(dout, c._replace(dropout_p=0.0)))  # its scale forgotten
    p.sees(lambda dout, c: right(dout, c._replace(P=c.P * 1.01)))
    p.sees(lambda dout, c: right(dout, c._replace(k=c.k[::-1])))  # another group's keys


def test_a_wrong_backward_of_softcap_and_window_is_seen(proof, one_rng):
    given = inputs(one_rng, 2, lead=(), bias=(H, 1, S))
    p = prove(proof, given, one_rng, softcap=0.8, window=2)
    right = scaled_dot_product_attention_backward
    p.sees(lambda dout, c: right(dout, c._replace(cap=None)))  # the slope missing
    squared = p.cache.cap._replace(slope=p.cache.cap.slope**2)
    p.sees(lambda dout, c: right(dout, c._replace(cap=squared)))  # or applied twice
    for window in (1, 3, None):  # off by one, or ignored
        other = scaled_dot_product_attention(**given, softcap=0.8, window=window)[1]
        p.sees(lambda dout, c, P=other.P: right(dout, c._replace(P=P)))


def reference(q, k, v, bias, allowed, scale, softcap=None):
    """Attention by loops: one query of one head at a time, over the keys it may see."""
    group = q.shape[1] // k.shape[1]
    out = np.zeros((*q.shape[:-1], v.shape[-1]))
    for b, i, t in np.ndindex(*q.shape[:3]):
        seen = np.flatnonzero(allowed[b, i, t])
        if seen.size:
            z = scale * k[b, i // group, seen] @ q[b, i, t]
            z = (z if softcap is None else softcap * np.tanh(z / softcap)) + bias[b, i, t, seen]
            weights = np.exp(z - z.max())
            out[b, i, t] = weights @ v[b, i // group, seen] / weights.sum()
    return out


def allowed_by_hand(t, s, causal=False, offset=0, window=None):
    """Who sees whom, pair by pair."""
    allowed = np.zeros((t, s), bool)
    for query, key in np.ndindex(t, s):
        position = query + offset
        seen = key <= position if causal else True
        if window is not None:
            seen = seen and position - window < key < position + window
        allowed[query, key] = seen
    return allowed


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_every_shape_mask_and_grouping_agrees_with_loops(data):
    draw = data.draw
    size = st.integers(1, 4)
    b, h_kv, group, t, s, d_k, d_v = (draw(size) for _ in range(7))
    s = draw(st.sampled_from([s, 0]))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    q = rng.standard_normal((b, h_kv * group, t, d_k))
    k, v = rng.standard_normal((b, h_kv, s, d_k)), rng.standard_normal((b, h_kv, s, d_v))
    full = (b, h_kv * group, t, s)
    broadcast = st.tuples(*(st.sampled_from([n, 1]) for n in full)).flatmap(
        lambda shape: st.integers(0, 4).map(lambda skip: shape[skip:])
    )
    mask = rng.random(draw(broadcast)) > draw(st.sampled_from([0.0, 0.4, 1.0]))
    bias = rng.standard_normal(draw(broadcast))
    causal, offset = draw(st.booleans()), draw(st.integers(-2, 3))
    scale = draw(st.sampled_from([None, 0.3, -1.0]))
    window, softcap = draw(st.none() | st.integers(1, 5)), draw(st.sampled_from([None, 0.7, 3.0]))
    options = {"causal": causal, "query_offset": offset, "window": window, "scale": scale, "softcap": softcap}

    out, cache = scaled_dot_product_attention(q, k, v, bias, mask=mask, **options)
    allowed = np.broadcast_to(mask, full) & allowed_by_hand(t, s, causal, offset, window)
    scale = 1 / np.sqrt(d_k) if scale is None else scale
    expected = reference(q, k, v, np.broadcast_to(bias, full), allowed, scale, softcap)
    np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-13)

    found: dict[str, np.ndarray] = {}
    dout = rng.standard_normal(out.shape)
    gradients = scaled_dot_product_attention_backward(dout, cache, found)
    for x, dx in zip((q, k, v, bias), gradients, strict=True):
        assert dx.shape == x.shape
        assert np.isfinite(dx).all()
    nothing = ~allowed.any(axis=-1)
    assert not out[nothing].any()
    assert not gradients[0][nothing].any()
    assert not found["dS"][~allowed].any()
    # a shift of all scores of a query changes nothing
    np.testing.assert_allclose(found["dS"].sum(axis=-1), 0, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_rows_with_nothing_to_attend_to(dtype, one_rng):
    q, k, v, bias = (x.astype(dtype) for x in inputs(one_rng).values())
    mask = np.ones((B, H, T, S), bool)
    mask[1, 2, 0] = False
    dout = one_rng.standard_normal((B, H, T, D_V)).astype(dtype)
    with np.errstate(all="raise", under="ignore"):
        out, cache = scaled_dot_product_attention(q, k, v, bias, mask=mask)
        gradients = scaled_dot_product_attention_backward(dout, cache)
        assert not out[1, 2, 0].any()
        assert not gradients[0][1, 2, 0].any()
        _, cache = scaled_dot_product_attention(q[:1], k[:1], v[:1], bias)
        of_the_first = scaled_dot_product_attention_backward(dout[:1], cache)[3]
        np.testing.assert_array_equal(gradients[3][2, 0], of_the_first[2, 0])  # the second adds nothing to it
        assert all(np.isfinite(g).all() for g in (out, *gradients))
        # nothing at all may be seen
        out, cache = scaled_dot_product_attention(q, k, v, bias, mask=False)
        gradients = scaled_dot_product_attention_backward(dout, cache)
        assert not any(g.any() for g in (out, *gradients))
        assert all(g.dtype == dtype for g in (out, *gradients))
        # the same by a bias of -inf
        closed = np.where(mask, bias, -np.inf).astype(dtype)
        out, cache = scaled_dot_product_attention(q, k, v, closed)
        expected, expected_cache = scaled_dot_product_attention(q, k, v, bias, mask=mask)
        np.testing.assert_array_equal(out, expected)
        a = scaled_dot_product_attention_backward(dout, cache)
        n = scaled_dot_product_attention_backward(dout, expected_cache)
        for x, y in zip(a[:3], n[:3], strict=True):
            np.testing.assert_array_equal(x, y)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 6), st.integers(1, 6), st.integers(1, 8), st.integers(-3, 8), st.booleans(), st.booleans()
)
def test_a_window_is_the_mask_built_by_hand(t, s, window, offset, causal, padded):
    """To the bit, gradients too; with causality it is the last `window` keys."""
    rng = np.random.default_rng(t + 7 * s)
    q, k, v = (rng.standard_normal((2, n, 3)) for n in (t, s, s))
    mask = rng.random((2, 1, s)) < 0.7 if padded else np.ones((t, s), bool)
    out, cache = scaled_dot_product_attention(
        q, k, v, mask=mask, causal=causal, query_offset=offset, window=window
    )
    by_hand = allowed_by_hand(t, s, causal, offset, window)
    expected, expected_cache = scaled_dot_product_attention(q, k, v, mask=mask & by_hand)
    np.testing.assert_array_equal(out, expected)
    dout = rng.standard_normal(out.shape)
    for g, n in zip(
        backward_without_bias(dout, cache), backward_without_bias(dout, expected_cache), strict=True
    ):
        np.testing.assert_array_equal(g, n)
    if causal:
        last = [list(range(max(p - window + 1, 0), min(p + 1, s))) for p in range(offset, offset + t)]
        assert [list(np.flatnonzero(row)) for row in by_hand] == last


def test_a_window_as_wide_as_everything_is_no_window(one_rng):
    x = inputs(one_rng, 2)
    for causal in (True, False):
        out, cache = scaled_dot_product_attention(**x, causal=causal, query_offset=1)
        for window in (T + S, 2**31, 2**62, 10**30):
            wide, wide_cache = scaled_dot_product_attention(**x, causal=causal, query_offset=1, window=window)
            np.testing.assert_array_equal(wide, out)
            np.testing.assert_array_equal(wide_cache.P, cache.P)


def test_a_high_softcap_is_none_and_scores_stay_below_a_low_one(one_rng):
    x = inputs(one_rng, 2)
    out, cache = scaled_dot_product_attention(**x, causal=True, query_offset=2)
    gradients = scaled_dot_product_attention_backward(out, cache)
    errors = []
    for softcap in (1e2, 1e3, 1e4, 1e9):
        high, high_cache = scaled_dot_product_attention(**x, causal=True, query_offset=2, softcap=softcap)
        high_gradients = scaled_dot_product_attention_backward(out, high_cache)
        pairs = zip((high, *high_gradients), (out, *gradients), strict=True)
        errors.append(max(np.abs(a - b).max() for a, b in pairs))
    assert all(later < earlier / 50 for earlier, later in itertools.pairwise(errors[:3]))  # as 1 / softcap²
    assert errors[-1] < 1e-14
    q, k, v = (100 * y for y in list(x.values())[:3])
    P = scaled_dot_product_attention(q, k, v, softcap=2.0)[1].P
    assert np.ptp(np.log(P), axis=-1).max() <= 4 + 1e-12
    assert np.ptp(np.log(P), axis=-1).max() > 3.9


def test_the_softcap_comes_before_bias_and_mask(one_rng):
    q, k, v = inputs(one_rng, bias=None).values()
    bias = np.zeros(S)
    bias[0] = -1e9  # a mask by hand: a cap after it would let it through
    out = scaled_dot_product_attention(q, k, v, bias, softcap=1.0)[0]
    expected = scaled_dot_product_attention(q, k[:, :, 1:], v[:, :, 1:], softcap=1.0)[0]
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-15)
    out = scaled_dot_product_attention(q, k, v, mask=np.arange(S) > 0, softcap=1.0)[0]
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-15)


def test_digits_stay_where_the_softcap_is_saturated(close_in_ulps):
    """Scores 20, 0 and 40 softcaps high: 1 - tanh² would be 0 there."""
    q, k, v = (np.array(x, np.float64) for x in ([[1]], [[20], [0], [40]], [[2], [-1], [0.5]]))
    found: dict[str, np.ndarray] = {}
    _, cache = scaled_dot_product_attention(q, k, v, softcap=1.0)
    _, dk, _, _ = scaled_dot_product_attention_backward(np.ones((1, 1)), cache, found)
    slope = 4 / (np.exp([20.0, 0.0, 40.0]) + np.exp([-20.0, 0.0, -40.0])) ** 2
    close_in_ulps(dk[:, 0], found["dS"][0] * slope, 10)
    assert (dk != 0).all()


def test_nothing_more_is_kept_without_softcap(one_rng):
    x = inputs(one_rng)
    assert scaled_dot_product_attention(**x)[1].cap is None
    cap = scaled_dot_product_attention(**x, softcap=2.0)[1].cap
    assert sum(array.size for array in cap) == B * H * T * S


def test_no_keys_and_no_queries(one_rng):
    q, k, v = inputs(one_rng, bias=None).values()
    for t, s in ((T, 0), (0, S), (0, 0)):
        given = q[:, :, :t], k[:, :, :s], v[:, :, :s]
        out, cache = scaled_dot_product_attention(*given, causal=True, window=2, softcap=1.0)
        assert out.shape == (B, H, t, D_V)
        assert not out.any()
        for x, dx in zip(given, backward_without_bias(np.ones_like(out), cache), strict=True):
            assert dx.shape == x.shape
            assert not dx.any()


def test_permuted_queries_and_keys(one_rng):
    """Permuting the queries permutes the outputs; permuting keys and values together changes nothing."""
    q, k, v = inputs(one_rng, 2, bias=None).values()
    rows, columns = one_rng.permutation(T), one_rng.permutation(S)
    out, cache = scaled_dot_product_attention(q, k, v)
    moved, moved_cache = scaled_dot_product_attention(q[:, :, rows], k[:, :, columns], v[:, :, columns])
    np.testing.assert_allclose(moved, out[:, :, rows], rtol=0, atol=1e-15)
    dout = one_rng.standard_normal(out.shape)
    dq, dk, dv = backward_without_bias(dout, cache)
    moved_dq, moved_dk, moved_dv = backward_without_bias(dout[:, :, rows], moved_cache)
    np.testing.assert_allclose(moved_dq, dq[:, :, rows], rtol=0, atol=1e-14)
    np.testing.assert_allclose(moved_dk, dk[:, :, columns], rtol=0, atol=1e-14)
    np.testing.assert_allclose(moved_dv, dv[:, :, columns], rtol=0, atol=1e-14)


def test_a_masked_key_is_a_deleted_key(one_rng):
    q, k, v = inputs(one_rng, 2, bias=None).values()
    kept = np.array([True, False, True, True, False])
    out, cache = scaled_dot_product_attention(q, k, v, mask=kept)
    small, small_cache = scaled_dot_product_attention(q, k[:, :, kept], v[:, :, kept])
    np.testing.assert_allclose(out, small, rtol=0, atol=1e-15)
    dout = one_rng.standard_normal(out.shape)
    dq, dk, dv = backward_without_bias(dout, cache)
    small_dq, small_dk, small_dv = backward_without_bias(dout, small_cache)
    np.testing.assert_allclose(dq, small_dq, rtol=0, atol=1e-14)
    np.testing.assert_allclose(dk[:, :, kept], small_dk, rtol=0, atol=1e-14)
    np.testing.assert_allclose(dv[:, :, kept], small_dv, rtol=0, atol=1e-14)
    assert not dk[:, :, ~kept].any()
    assert not dv[:, :, ~kept].any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_future_leaves_the_past_alone_to_the_bit(dtype, one_rng):
    x = one_rng.standard_normal((3, B, H, 9, 8)).astype(dtype)
    out, cache = scaled_dot_product_attention(*x, causal=True)
    changed = x.copy()
    changed[..., 5:, :] = 100 * one_rng.standard_normal((3, B, H, 4, 8))
    late, late_cache = scaled_dot_product_attention(*changed, causal=True)
    np.testing.assert_array_equal(late[:, :, :5], out[:, :, :5])
    assert not np.array_equal(late[:, :, 5:], out[:, :, 5:])
    dout = one_rng.standard_normal(out.shape).astype(dtype)
    dout[:, :, 5:] = 0  # a loss on the past gives the future no gradient
    for g, late_g in zip(
        backward_without_bias(dout, cache), backward_without_bias(dout, late_cache), strict=True
    ):
        assert not g[:, :, 5:].any()
        np.testing.assert_array_equal(g[:, :, :5], late_g[:, :, :5])


def test_causal_with_an_offset_is_the_end_of_the_whole(one_rng):
    """The last queries alone, told where they stand, get what they get among all queries."""
    q, k, v = one_rng.standard_normal((3, B, H, 6, 4))
    whole = scaled_dot_product_attention(q, k, v, causal=True)[0]
    end = scaled_dot_product_attention(q[:, :, 4:], k, v, causal=True, query_offset=4)[0]
    np.testing.assert_allclose(end, whole[:, :, 4:], rtol=0, atol=1e-15)
    seen = scaled_dot_product_attention(q, k, v, causal=True, query_offset=-2)[1].P != 0
    np.testing.assert_array_equal(seen[0, 0], np.tri(6, 6, -2, bool))


def test_rows_of_the_batch_and_heads_do_not_mix(one_rng):
    x = inputs(one_rng, bias=None)
    out, cache = scaled_dot_product_attention(**x)
    dout = one_rng.standard_normal(out.shape)
    gradients = backward_without_bias(dout, cache)
    for b, i in np.ndindex(B, H):
        own, own_cache = scaled_dot_product_attention(*(y[b, i] for y in x.values()))  # without any head axis
        np.testing.assert_array_equal(own, out[b, i])
        for g, own_g in zip(gradients, backward_without_bias(dout[b, i], own_cache), strict=True):
            np.testing.assert_allclose(own_g, g[b, i], rtol=0, atol=1e-15)


def test_shared_heads_are_repeated_heads(one_rng):
    q, k, v, bias = inputs(one_rng, 2).values()
    out, cache = scaled_dot_product_attention(q, k, v, bias)
    full, full_cache = scaled_dot_product_attention(q, k.repeat(2, axis=1), v.repeat(2, axis=1), bias)
    np.testing.assert_allclose(out, full, rtol=0, atol=1e-15)
    dout = one_rng.standard_normal(out.shape)
    dq, dk, dv, dbias = scaled_dot_product_attention_backward(dout, cache)
    full_dq, full_dk, full_dv, full_dbias = scaled_dot_product_attention_backward(dout, full_cache)
    np.testing.assert_allclose(dq, full_dq, rtol=0, atol=1e-14)
    np.testing.assert_allclose(dbias, full_dbias, rtol=0, atol=1e-14)
    np.testing.assert_allclose(dk, full_dk.reshape(B, 2, 2, S, D_K).sum(2), rtol=0, atol=1e-14)
    np.testing.assert_allclose(dv, full_dv.reshape(B, 2, 2, S, D_V).sum(2), rtol=0, atol=1e-14)


def test_equal_keys_share_the_weight_and_one_key_takes_all(one_rng):
    q, k, v = inputs(one_rng, bias=None).values()
    out = scaled_dot_product_attention(q, np.ones_like(k), v)[0]
    np.testing.assert_allclose(
        out, np.broadcast_to(v.mean(axis=2, keepdims=True), out.shape), rtol=0, atol=1e-15
    )
    alone = scaled_dot_product_attention(q, k[:, :, :1], v[:, :, :1])[0]
    np.testing.assert_array_equal(alone, np.broadcast_to(v[:, :, :1], alone.shape))


def test_digits_stay_where_one_key_has_nearly_all_the_weight(close_in_ulps):
    """Scores 30, 0 and 1: the rounding of a row's mean gradient must not pass for the gradient."""
    for dtype, ulps in ((np.float64, 10), (np.float32, 10)):
        q, k, v = (np.array(x, dtype) for x in ([[1]], [[30], [0], [1]], [[2], [-1], [0.5]]))
        found: dict[str, np.ndarray] = {}
        _, cache = scaled_dot_product_attention(q, k, v)
        dq, *_ = scaled_dot_product_attention_backward(np.ones((1, 1), dtype), cache, found)
        exact = [6.62278536171282805e-13, -2.80728689065045587e-13, -3.81549847106237218e-13]
        close_in_ulps(found["dS"][0], exact, ulps)
        close_in_ulps(dq[0, 0], 30 * exact[0] + exact[2], ulps)


@pytest.mark.parametrize("shift", [1e4, -1e4])
def test_only_differences_of_scores_count(shift, one_rng):
    q, k, v = inputs(one_rng, bias=None).values()
    out = scaled_dot_product_attention(q, k, v)[0]
    with np.errstate(all="raise", under="ignore"):
        shifted = scaled_dot_product_attention(q, k, v, shift)[0]
    np.testing.assert_allclose(shifted, out, rtol=0, atol=1e-10)


def test_huge_scores_do_not_overflow(one_rng):
    for dtype, big in ((np.float32, 1e18), (np.float64, 1e150)):
        q, k, v = (x.astype(dtype) for x in inputs(one_rng, bias=None).values())
        with np.errstate(all="raise", under="ignore"):
            out, cache = scaled_dot_product_attention(big * q, big * k, v)
            gradients = backward_without_bias(np.ones_like(out), cache)
        assert all(np.isfinite(x).all() for x in (out, *gradients))


def test_weights_are_dropped_as_the_generator_says(one_rng):
    q, k, v = inputs(one_rng, 2, bias=None).values()
    out, cache = scaled_dot_product_attention(q, k, v, dropout_p=0.4, rng=np.random.default_rng(1))
    keep = np.random.default_rng(1).random((B, H, T, S), dtype=np.float32) >= 0.4
    np.testing.assert_array_equal(cache.keep, keep)
    expected = (cache.P * keep / 0.6) @ v.repeat(2, axis=1)
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-14)
    assert not scaled_dot_product_attention(q, k, v, dropout_p=1.0, rng=np.random.default_rng(1))[0].any()


def test_intermediates(one_rng):
    q, k, v, bias = inputs(one_rng, bias=(B, H, T, S)).values()  # of the full shape dbias could be dS itself
    out, cache = scaled_dot_product_attention(q, k, v, bias, dropout_p=0.4, rng=np.random.default_rng(1))
    dout = one_rng.standard_normal(out.shape)
    found: dict[str, np.ndarray] = {}
    gradients = scaled_dot_product_attention_backward(dout, cache, found)
    dP = (dout @ v.swapaxes(-1, -2)) * cache.keep / 0.6
    np.testing.assert_allclose(found["dP"], dP, rtol=1e-13, atol=1e-15)
    dS = cache.P * (dP - (cache.P * dP).sum(-1, keepdims=True))
    np.testing.assert_allclose(found["dS"], dS, rtol=0, atol=1e-14)
    assert not any(np.shares_memory(x, g) for x in found.values() for g in gradients)
    # with softcap it is still the gradient of what the softmax sees, and so that of the bias
    out, cache = scaled_dot_product_attention(q, k, v, bias, softcap=0.5)
    *_, dbias = scaled_dot_product_attention_backward(dout, cache, found)
    np.testing.assert_array_equal(found["dS"], dbias)


def test_outputs_and_gradients_are_laid_out_as_the_inputs(one_rng):
    """So that heads split by a view are joined by a view."""
    q, k, v = one_rng.standard_normal((3, B, T, H, D_K)).swapaxes(2, 3)
    out, cache = scaled_dot_product_attention(q, k, v)
    for x in (out, *backward_without_bias(out, cache)):
        assert x.swapaxes(1, 2).flags.c_contiguous


def test_mixed_dtypes_promote(one_rng):
    given = inputs(one_rng)
    for wide in given:
        mixed = {name: x if name == wide else x.astype(np.float32) for name, x in given.items()}
        out, cache = scaled_dot_product_attention(**mixed)
        assert out.dtype == np.float64, wide
        assert all(g.dtype == np.float64 for g in scaled_dot_product_attention_backward(out, cache)), wide
    narrow = {name: x.astype(np.float32) for name, x in given.items()}
    out, cache = scaled_dot_product_attention(**narrow, scale=np.float64(0.5))
    assert out.dtype == np.float32
    gradients = scaled_dot_product_attention_backward(out.astype(np.float64), cache)
    assert all(g.dtype == np.float64 for g in gradients)


def test_bad_input_is_named(one_rng):
    q, k, v, bias = inputs(one_rng, 2).values()
    op = "^scaled_dot_product_attention"
    attend = partial(scaled_dot_product_attention, q, k, v)
    with pytest.raises(ValueError, match=rf"{op}: q: expected shape \(\.\.\., h, T, d_k\), got shape \(6,\)"):
        scaled_dot_product_attention(q[0, 0, 0], k, v)
    for bad in (k[:, :, :, :5], k[:1], k[0], np.ones((B, 3, S, D_K)), np.ones((B, 0, S, D_K)), q[0, 0, 0]):
        with pytest.raises(ValueError, match=rf"{op}: k: expected .* h a multiple of h_kv"):
            scaled_dot_product_attention(q, bad, v)
    for bad in (v[:, :, :4], v[:, :1], v[0]):
        with pytest.raises(ValueError, match=rf"{op}: v: expected shape"):
            scaled_dot_product_attention(q, k, bad)
    with pytest.raises(ValueError, match=rf"{op}: bias: expected a shape that broadcasts to \(2, 4, 3, 5\)"):
        attend(bias[:, :2])
    with pytest.raises(ValueError, match=rf"{op}: mask: expected a shape that broadcasts to \(2, 4, 3, 5\)"):
        attend(mask=np.ones((T, S + 1), bool))
    with pytest.raises(TypeError, match=rf"{op}: mask: expected booleans"):
        attend(mask=np.ones((T, S)))
    with pytest.raises(TypeError, match=rf"{op}: query_offset: expected an integer, got 1\.5"):
        attend(causal=True, query_offset=1.5)
    with pytest.raises(ValueError, match=rf"{op}: dropout_p: expected a finite number >= 0\.0 and <= 1\.0"):
        attend(dropout_p=1.1)
    with pytest.raises(TypeError, match=rf"{op}: rng: expected a numpy\.random\.Generator, got NoneType"):
        attend(dropout_p=0.1)
    with pytest.raises(ValueError, match=rf"{op}: scale: expected a finite number, got nan"):
        attend(scale=float("nan"))
    for bad in (0, -3):
        with pytest.raises(ValueError, match=rf"{op}: window: expected an integer >= 1, got {bad}$"):
            attend(window=bad)
    for bad in (2.0, True):
        with pytest.raises(TypeError, match=rf"{op}: window: expected an integer, got {bad}"):
            attend(window=bad)
    with pytest.raises(ValueError, match=rf"{op}: softcap: expected a number > 0, got 0\.0"):
        attend(softcap=0)
    for bad in (-1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=rf"{op}: softcap: expected a finite number >= 0\.0, got {bad}"):
            attend(softcap=bad)
    with pytest.raises(TypeError, match=rf"{op}: softcap: expected a real number, got 'high'"):
        attend(softcap="high")
    with pytest.raises(TypeError, match=rf"{op}: v: .* dtype float16"):
        scaled_dot_product_attention(q, k, v.astype(np.float16))
    with pytest.raises(ValueError, match=rf"{op}_backward: dout: expected shape \(2, 4, 3, 7\)"):
        scaled_dot_product_attention_backward(q, attend()[1])
