from __future__ import annotations

import tracemalloc
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npformer.functional import (
    flash_attention,
    flash_attention_backward,
    scaled_dot_product_attention,
    scaled_dot_product_attention_backward,
)
from npformer.functional.flash_attention import whole_keep
from npformer.gradcheck import error_of
from npformer.nn.randomness import SequenceRandom

B, H, T, S, D_K, D_V = 2, 2, 3, 5, 3, 2
FORWARD, BACKWARD = 1e-14, 1e-13  # of the plain op


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


class Keeps:
    """Makes the plain op drop what a mask does not keep."""

    def __init__(self, keep):
        self.keep = keep

    def random(self, size=None, dtype=np.float64):
        assert self.keep.shape == size
        return self.keep.astype(dtype)


def backward_without_bias(dout, cache, intermediates=None):
    return flash_attention_backward(dout, cache, intermediates)[:3]


def prove(proof, inputs, rng, block_size=2, **options):
    """The proof with dropout drawn alike every time; returns it."""

    def forward(**given):
        return flash_attention(**given, rng=np.random.default_rng(11), block_size=block_size, **options)

    backward = flash_attention_backward if "bias" in inputs else backward_without_bias
    return proof(forward, backward, inputs, rng)


def assert_as_the_plain_one(q, k, v, bias, rng, block_size, **options):
    """Output and gradients are those of the plain op to FORWARD and BACKWARD of their scale."""
    out, cache = flash_attention(q, k, v, bias, rng=rng, block_size=block_size, **options)
    keep = whole_keep(cache)
    same = None if keep is None else Keeps(keep)
    expected, plain = scaled_dot_product_attention(q, k, v, bias, rng=same, **options)
    assert error_of(out, expected, 0.0) <= FORWARD
    dout = np.random.default_rng(5).standard_normal(out.shape)
    gradients = flash_attention_backward(dout, cache)
    exact = scaled_dot_product_attention_backward(dout, plain)
    scale = max(np.abs(g).max(initial=0.0) for g in exact if g is not None)
    for name, a, n in zip(("q", "k", "v", "bias"), gradients, exact, strict=True):
        if n is None:
            assert a is None
            continue
        assert a.shape == n.shape
        if name == "bias" and (
            bias.ndim == 0 or bias.shape[-1] == 1
        ):  # the same for all keys: known to be zero
            assert np.abs(a).max() <= 1e-14 * scale
        else:  # a bias that n scores share is a sum of n terms, each rounded
            terms = out[..., 0].size * k.shape[-2] / max(n.size, 1) if name == "bias" else 1
            assert error_of(a, n, scale * terms) <= BACKWARD, name
    return cache, plain


def test_proof_with_everything_on(proof, rng):
    given = inputs(rng, h_kv=1, lead=(), bias=(H, 1, S))
    options = {"causal": True, "query_offset": 2, "window": 4, "softcap": 1.5, "scale": 0.7, "dropout_p": 0.3}
    prove(proof, given, rng, block_size=(2, 3), mask=some_mask(rng, (H, T, S)), **options).holds()


def test_proof_with_everything_off(proof, rng):
    prove(proof, inputs(rng, lead=(), bias=None), rng).holds()


@pytest.mark.parametrize("bias", [(B, H, T, S), (B, 1, 1, S), (S,), (1, 1, T, S), (H, 1, S)])
def test_proof_for_a_bias_of_any_shape(proof, one_rng, bias):
    given = inputs(one_rng, 1, bias=bias)

    def forward(bias):
        return flash_attention(*list(given.values())[:3], bias, causal=True, block_size=2)

    def backward(dout, cache):
        return flash_attention_backward(dout, cache)[3]

    p = proof(forward, backward, {"bias": given["bias"]}, one_rng)
    assert p.errors()["bias"] <= 1e-13
    p.is_pure()


@pytest.mark.parametrize("lead", [(), (1, 2)])
def test_proof_for_other_leading_axes(proof, one_rng, lead):
    p = prove(proof, inputs(one_rng, 1, lead), one_rng, causal=True, dropout_p=0.2)
    assert max(p.errors().values()) <= 1e-13
    p.is_pure()


def test_proof_where_all_sizes_are_equal(proof, rng):
    equal = {name: rng.standard_normal((2, 2, 2, 2)) for name in ("q", "k", "v", "bias")}
    prove(proof, equal, rng, block_size=(2, 1), dropout_p=0.25).holds()


def test_proof_for_heads_that_are_views(proof, one_rng):
    """Heads split from (B, T, h · d) without a copy, as multi-head attention has them."""
    given = {
        name: x.swapaxes(1, 2).copy().swapaxes(1, 2) for name, x in inputs(one_rng, 1, bias=None).items()
    }
    p = prove(proof, given, one_rng, causal=True)
    assert max(p.errors().values()) <= 1e-13
    p.is_pure()
    contiguous = prove(proof, {name: x.copy() for name, x in given.items()}, one_rng, causal=True)
    np.testing.assert_allclose(p.out, contiguous.out, rtol=0, atol=1e-15)


def is_seen_by(p, wrong):
    """The complex step tells each of some wrong backwards from the right one."""
    assert max(p.errors().values()) <= 1e-13
    for name, backward in wrong.items():
        assert max(p.errors(backward).values()) > 1e-3, name


def test_a_wrong_backward_is_seen(proof, one_rng):
    given = inputs(one_rng, 2, lead=(), bias=(H, 1, S))
    mask = some_mask(one_rng, (H, T, S))
    p = prove(proof, given, one_rng, mask=mask, dropout_p=0.3, softcap=2.0, window=4)
    right = flash_attention_backward
    root = np.sqrt(D_K)

    def changed(change):
        return lambda dout, c: change(*right(dout, c))

    def misled(**change):
        return lambda dout, c: right(dout, c._replace(**{name: f(c) for name, f in change.items()}))

    wrong = {
        "the scale missing": changed(lambda dq, dk, dv, db: (dq * root, dk, dv, db)),
        "the scale applied twice": changed(lambda dq, dk, dv, db: (dq, dk / root, dv, db)),
        "averaged, not summed": changed(lambda dq, dk, dv, db: (dq, dk, dv, db / T)),
        "dropout left out": misled(seeds=lambda c: None),
        "dropout drawn anew": misled(seeds=lambda c: c.seeds + np.uint64(1)),
        "dropout of another p": misled(dropout_p=lambda c: 0.31),
        "L is the maximum alone": misled(log_l=lambda c: 0 * c.log_l),
        "L without its logarithm": misled(log_l=lambda c: np.exp(c.log_l)),
        "L without the maximum": misled(m=lambda c: 0 * c.m),
        "no mask": misled(mask=lambda c: None),
        "no softcap": misled(softcap=lambda c: None),
        "another window": misled(reach=lambda c: c.reach._replace(behind=1)),
        "another head's keys": misled(k=lambda c: c.k[::-1]),
    }
    is_seen_by(p, wrong)


def test_a_wrong_D_is_seen(proof, one_rng):
    """Where no key has so much weight that Σ P (dP - D) is summed: it would take the mistake out again."""
    given = inputs(one_rng, 2, lead=(), bias=None)
    given["q"] *= 0.1
    p = prove(proof, given, one_rng)
    assert np.exp(-p.cache.log_l).max() < 0.9
    is_seen_by(
        p,
        {
            "missing": lambda dout, c: backward_without_bias(dout, c._replace(out=0 * c.out)),
            "from dO · dO": lambda dout, c: backward_without_bias(dout, c._replace(out=dout)),
        },
    )


@st.composite
def points(draw):
    """Everything that can be asked of attention, at sizes that the blocks do not divide."""
    size = st.integers(1, 7)
    b, h_kv, group, d_k, d_v = (draw(st.integers(1, 3)) for _ in range(5))
    t, s = draw(size), draw(st.integers(0, 9))
    rng = np.random.default_rng(draw(st.integers(0, 9999)))
    sharp = draw(st.sampled_from([0.5, 1.0, 10.0]))  # at 10 one key has nearly all the weight
    q = sharp * rng.standard_normal((b, h_kv * group, t, d_k))
    k, v = rng.standard_normal((b, h_kv, s, d_k)), rng.standard_normal((b, h_kv, s, d_v))
    full = (b, h_kv * group, t, s)
    broadcast = st.tuples(*(st.sampled_from([n, 1]) for n in full)).flatmap(
        lambda shape: st.integers(0, 4).map(lambda skip: shape[skip:])
    )
    options = {
        "causal": draw(st.booleans()),
        "query_offset": draw(st.integers(-2, 4)),
        "window": draw(st.none() | st.integers(1, 6)),
        "scale": draw(st.sampled_from([None, 0.3, -1.0])),
        "softcap": draw(st.sampled_from([None, 0.8, 5.0])),
        "dropout_p": draw(st.sampled_from([0.0, 0.4])),
    }
    if draw(st.booleans()):
        options["mask"] = rng.random(draw(broadcast)) > draw(st.sampled_from([0.0, 0.4, 1.0]))
    bias = rng.standard_normal(draw(broadcast)) if draw(st.booleans()) else None
    block = draw(st.tuples(size, size) | size)
    return q, k, v, bias, rng, block, options


@settings(max_examples=150, deadline=None)
@given(points())
def test_it_is_the_plain_op(point):
    *given_arrays, options = point
    assert_as_the_plain_one(*given_arrays, **options)


def test_it_is_the_plain_op_at_length(one_rng):
    q, k, v = (one_rng.standard_normal((2, h, n, 16)) for h, n in ((4, 150), (2, 200), (2, 200)))
    bias = one_rng.standard_normal((4, 1, 200))
    mask = one_rng.random((2, 1, 1, 200)) > 0.2
    options = {"mask": mask, "causal": True, "query_offset": 40, "window": 90, "dropout_p": 0.1}
    for block_size in (64, (37, 128)):
        rng = np.random.default_rng(0)
        assert_as_the_plain_one(q, k, v, bias, rng, block_size, softcap=20.0, **options)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_rows_with_nothing_to_attend_to(dtype, one_rng):
    q, k, v, bias = (x.astype(dtype) for x in inputs(one_rng).values())
    mask = np.ones((B, H, T, S), bool)
    mask[1, 1, 0] = False
    dout = one_rng.standard_normal((B, H, T, D_V)).astype(dtype)
    attend = partial(flash_attention, q, k, v, block_size=(2, 3))
    with np.errstate(all="raise", under="ignore"):
        out, cache = attend(bias, mask=mask)
        gradients = flash_attention_backward(dout, cache)
        assert not out[1, 1, 0].any()
        assert not gradients[0][1, 1, 0].any()
        assert all(np.isfinite(g).all() for g in (out, *gradients))
        # nothing at all may be seen, by a mask or because everything is ahead or out of the window
        for nothing in (
            {"mask": False},
            {"causal": True, "query_offset": -3},
            {"window": 1, "query_offset": 9},
        ):
            out, cache = attend(bias, **nothing)
            gradients = flash_attention_backward(dout, cache)
            assert not any(g.any() for g in (out, *gradients))
            assert all(g.dtype == dtype for g in (out, *gradients))
        # the same by a bias of -inf
        closed = np.where(mask, bias, -np.inf).astype(dtype)
        out, cache = attend(closed)
        expected, expected_cache = attend(bias, mask=mask)
        np.testing.assert_array_equal(out, expected)
        a = flash_attention_backward(dout, cache)
        n = flash_attention_backward(dout, expected_cache)
        for x, y in zip(a[:3], n[:3], strict=True):
            np.testing.assert_array_equal(x, y)


def test_a_query_whose_first_tiles_show_it_nothing(one_rng):
    """Its maximum is -inf until the last tile: exp(-inf - (-inf)) must not come of it."""
    q, k, v, bias = inputs(one_rng).values()
    late = np.arange(S) == S - 1
    for dtype in (np.float64, np.complex128):
        given_arrays = [x.astype(dtype) for x in (q, k, v, bias)]
        with np.errstate(all="raise", under="ignore"):
            out, cache = flash_attention(
                *given_arrays, mask=late | (np.arange(T) > 0)[:, None], block_size=(3, 1)
            )
            gradients = flash_attention_backward(np.ones_like(out), cache)
        np.testing.assert_array_equal(out[:, :, 0], v[:, :, -1])
        assert all(np.isfinite(g).all() for g in gradients)


def test_no_keys_and_no_queries(one_rng):
    q, k, v = inputs(one_rng, bias=None).values()
    for t, s in ((T, 0), (0, S), (0, 0)):
        given_arrays = q[:, :, :t], k[:, :, :s], v[:, :, :s]
        out, cache = flash_attention(*given_arrays, causal=True)
        assert out.shape == (B, H, t, D_V)
        assert not out.any()
        for x, dx in zip(given_arrays, backward_without_bias(np.ones_like(out), cache), strict=True):
            assert dx.shape == x.shape
            assert not dx.any()


@pytest.mark.parametrize("options", [{"causal": True}, {"window": 2}, {"mask": np.arange(9) < 3}])
def test_tiles_in_which_nobody_sees_anything_are_not_computed(one_rng, options):
    """NaN in their keys and values would spread to everything."""
    q, k, v = one_rng.standard_normal((3, B, H, 9, 4))
    first = {name: x[..., :3, :] for name, x in (("q", q), ("k", k), ("v", v))}
    k[..., 4:, :] = v[..., 4:, :] = np.nan
    out, cache = flash_attention(first["q"], k, v, block_size=(3, 2), **options)
    dout = one_rng.standard_normal(out.shape)
    dq, dk, dv = backward_without_bias(dout, cache)
    assert all(np.isfinite(x).all() for x in (out, dq, dk, dv))
    assert not dk[..., 4:, :].any()
    assert not dv[..., 4:, :].any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_future_leaves_the_past_alone_to_the_bit(dtype, one_rng):
    x = one_rng.standard_normal((3, B, H, 9, 8)).astype(dtype)
    attend = partial(flash_attention, causal=True, block_size=(4, 3))
    out, cache = attend(*x)
    changed = x.copy()
    changed[..., 5:, :] = 100 * one_rng.standard_normal((3, B, H, 4, 8))
    late, late_cache = attend(*changed)
    np.testing.assert_array_equal(late[:, :, :5], out[:, :, :5])
    assert not np.array_equal(late[:, :, 5:], out[:, :, 5:])
    dout = one_rng.standard_normal(out.shape).astype(dtype)
    dout[:, :, 5:] = 0  # a loss on the past gives the future no gradient
    for g, late_g in zip(
        backward_without_bias(dout, cache), backward_without_bias(dout, late_cache), strict=True
    ):
        assert not g[:, :, 5:].any()
        np.testing.assert_array_equal(g[:, :, :5], late_g[:, :, :5])


def test_no_query_depends_on_its_neighbours_to_the_bit(one_rng):
    """One that sees a single key is corrected for the rounding of D, and another in its tile is not."""
    q, k, v = inputs(one_rng, bias=None).values()
    mask = np.ones((T, S), bool)
    mask[0, 1:] = False
    dout = one_rng.standard_normal((B, H, T, D_V))
    out, cache = flash_attention(0.1 * q, k, v, mask=mask)
    free, free_cache = flash_attention(0.1 * q, k, v)
    np.testing.assert_array_equal(out[:, :, 1:], free[:, :, 1:])
    dq, free_dq = flash_attention_backward(dout, cache)[0], flash_attention_backward(dout, free_cache)[0]
    np.testing.assert_array_equal(dq[:, :, 1:], free_dq[:, :, 1:])
    assert not dq[:, :, 0].any()


def test_digits_stay_where_one_key_has_nearly_all_the_weight(close_in_ulps):
    """Scores 30, 0 and 1: the rounding of D, dO · O, must not pass for the gradient."""
    for block_size in (1, 2, 3):
        for dtype in (np.float64, np.float32):
            q, k, v = (np.array(x, dtype) for x in ([[1]], [[30], [0], [1]], [[2], [-1], [0.5]]))
            _, cache = flash_attention(q, k, v, np.zeros(3, dtype), block_size=block_size)
            dq, _, _, dS = flash_attention_backward(np.ones((1, 1), dtype), cache)
            exact = [6.62278536171282805e-13, -2.80728689065045587e-13, -3.81549847106237218e-13]
            close_in_ulps(dS, exact, 10)
            close_in_ulps(dq[0, 0], 30 * exact[0] + exact[2], 10)


def test_one_key_has_a_score_without_a_gradient(one_rng):
    """To the bit, though D = dO · O is summed in another order than dP."""
    q, k, v = one_rng.standard_normal((3, 50, 40))
    out, cache = flash_attention(q, k, v, window=1, block_size=16)
    np.testing.assert_array_equal(out, v)
    dq, dk, dv = backward_without_bias(out, cache)
    assert not dq.any()
    assert not dk.any()
    np.testing.assert_array_equal(dv, out)


@pytest.mark.parametrize("shift", [1e4, -1e4])
def test_large_scores_cost_no_digits(shift, one_rng):
    """A sum of m and log l would round the weights at 1e-12: it has the digits of m alone."""
    q, k, v, bias = inputs(one_rng, 1).values()
    assert_as_the_plain_one(q, k, v, bias + shift, None, 2)


def test_huge_scores_do_not_overflow(one_rng):
    for dtype, big in ((np.float32, 1e18), (np.float64, 1e150)):
        q, k, v = (x.astype(dtype) for x in inputs(one_rng, bias=None).values())
        with np.errstate(all="raise", under="ignore"):
            out, cache = flash_attention(big * q, big * k, v, block_size=2)
            gradients = backward_without_bias(np.ones_like(out), cache)
        assert all(np.isfinite(x).all() for x in (out, *gradients))


def test_dropout_does_not_depend_on_tiles_or_on_company(one_rng):
    q, k, v = inputs(one_rng, 1, bias=None).values()

    def attend(rows, **options):
        rng = SequenceRandom([np.random.default_rng([b, 3]) for b in range(B)[rows]])
        return flash_attention(q[rows], k[rows], v[rows], dropout_p=0.4, rng=rng, **options)

    whole, cache = attend(slice(None), block_size=64)
    for block_size in (1, 2, (3, 4)):
        out, other = attend(slice(None), block_size=block_size)
        np.testing.assert_allclose(out, whole, rtol=0, atol=1e-15)
        np.testing.assert_array_equal(whole_keep(other), whole_keep(cache))
    last, last_cache = attend(slice(1, None), block_size=64)
    np.testing.assert_array_equal(last, whole[1:])
    np.testing.assert_array_equal(whole_keep(last_cache), whole_keep(cache)[1:])
    assert attend(slice(None))[1].seeds[0, 0] != cache.seeds[1, 0]
    everything = flash_attention(q, k, v, dropout_p=1.0, rng=np.random.default_rng(0))
    assert not everything[0].any()
    assert not any(g.any() for g in backward_without_bias(q[..., :1] * v[:, :1, :1], everything[1]))


def test_the_generator_is_asked_once_for_a_seed_per_head(one_rng):
    q, k, v = inputs(one_rng, 1, bias=None).values()
    asked = []

    class Asked:
        def random(self, size=None, dtype=None):
            asked.append((size, dtype))
            return np.full(size, 0.25, dtype)

    _, cache = flash_attention(q, k, v, dropout_p=0.4, rng=Asked())
    backward_without_bias(np.ones((B, H, T, D_V)), cache)
    assert asked == [((B, H), np.float64)]
    assert flash_attention(q, k, v, dropout_p=0.0, rng=Asked())[1].seeds is None


def test_intermediates(one_rng):
    q, k, v, bias = inputs(one_rng).values()
    mask = some_mask(one_rng)
    rng = np.random.default_rng(1)
    _, cache = flash_attention(q, k, v, bias, mask=mask, dropout_p=0.4, rng=rng, block_size=2)
    dout = one_rng.standard_normal(cache.out.shape)
    found: dict[str, np.ndarray] = {}
    gradients = flash_attention_backward(dout, cache, found)
    with np.errstate(divide="ignore"):
        Z = np.where(mask, q @ k.swapaxes(-1, -2) / np.sqrt(D_K) + bias, -np.inf)
        L = np.log(np.exp(Z).sum(axis=-1, keepdims=True))
    np.testing.assert_allclose(found["L"], np.where(np.isfinite(L), L, 0), rtol=0, atol=1e-14)
    plain: dict[str, np.ndarray] = {}
    _, same = scaled_dot_product_attention(
        q, k, v, bias, mask=mask, dropout_p=0.4, rng=Keeps(whole_keep(cache))
    )
    scaled_dot_product_attention_backward(dout, same, plain)
    D = (same.P * plain["dP"]).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(found["D"], D, rtol=0, atol=1e-14)
    assert not any(np.shares_memory(x, g) for x in found.values() for g in gradients)
    assert not any(np.shares_memory(x, y) for x in found.values() for y in (cache.m, cache.log_l))


def test_outputs_and_gradients_are_laid_out_as_the_inputs(one_rng):
    """So that heads split by a view are joined by a view."""
    q, k, v = one_rng.standard_normal((3, B, T, H, D_K)).swapaxes(2, 3)
    out, cache = flash_attention(q, k, v, block_size=2)
    for x in (out, *backward_without_bias(out, cache)):
        assert x.swapaxes(1, 2).flags.c_contiguous


@pytest.mark.parametrize(
    "options", [{}, {"causal": True}, {"window": 100}, {"dropout_p": 0.1}, {"softcap": 5.0}]
)
def test_memory_does_not_grow_with_the_product_of_the_lengths(options, one_rng):
    """One array of T x S would be 8 MiB; all that there is besides inputs and outputs is an eighth of it."""
    n, d = 1024, 4
    q, k, v = one_rng.standard_normal((3, 1, n, d))
    bias, mask = one_rng.standard_normal(n), np.arange(n) < n - 9
    attend = partial(flash_attention, q, k, v, bias, mask=mask, rng=np.random.default_rng(0))
    tracemalloc.start()
    try:
        out, cache = attend(**options)
        forward = tracemalloc.get_traced_memory()[1] - out.nbytes
        tracemalloc.reset_peak()
        gradients = flash_attention_backward(out, cache)
        backward = tracemalloc.get_traced_memory()[1] - out.nbytes - sum(g.nbytes for g in gradients)
    finally:
        tracemalloc.stop()
    assert max(forward, backward) < n * n, (forward, backward)
    held = [x for x in cache if isinstance(x, np.ndarray)]
    assert max(x.size for x in held) == n * d


def test_mixed_dtypes_promote(one_rng):
    given_arrays = inputs(one_rng)
    for wide in given_arrays:
        mixed = {name: x if name == wide else x.astype(np.float32) for name, x in given_arrays.items()}
        out, cache = flash_attention(**mixed)
        assert out.dtype == np.float64, wide
        assert all(g.dtype == np.float64 for g in flash_attention_backward(out, cache)), wide
    narrow = {name: x.astype(np.float32) for name, x in given_arrays.items()}
    out, cache = flash_attention(
        **narrow, scale=np.float64(0.5), softcap=np.float64(3), dropout_p=0.1, rng=one_rng
    )
    assert out.dtype == np.float32
    assert all(g.dtype == np.float32 for g in flash_attention_backward(out, cache))
    assert all(g.dtype == np.float64 for g in flash_attention_backward(out.astype(np.float64), cache))


def test_bad_input_is_named(one_rng):
    q, k, v, bias = inputs(one_rng, 1).values()
    op = "^flash_attention"
    attend = partial(flash_attention, q, k, v)
    with pytest.raises(ValueError, match=rf"{op}: q: expected shape \(\.\.\., h, T, d_k\), got shape \(3,\)"):
        flash_attention(q[0, 0, 0], k, v)
    with pytest.raises(ValueError, match=rf"{op}: k: expected .* h a multiple of h_kv"):
        flash_attention(q, np.ones((B, 3, S, D_K)), v)
    with pytest.raises(ValueError, match=rf"{op}: v: expected shape"):
        flash_attention(q, k, v[:, :, :4])
    with pytest.raises(ValueError, match=rf"{op}: bias: expected a shape that broadcasts to \(2, 2, 3, 5\)"):
        attend(bias[:, :2])
    with pytest.raises(TypeError, match=rf"{op}: mask: expected booleans"):
        attend(mask=np.ones((T, S)))
    with pytest.raises(TypeError, match=rf"{op}: query_offset: expected an integer, got 1\.5"):
        attend(query_offset=1.5)
    with pytest.raises(ValueError, match=rf"{op}: window: expected an integer >= 1, got 0"):
        attend(window=0)
    with pytest.raises(ValueError, match=rf"{op}: softcap: expected a number > 0, got 0"):
        attend(softcap=0)
    with pytest.raises(ValueError, match=rf"{op}: scale: expected a finite number, got nan"):
        attend(scale=float("nan"))
    with pytest.raises(ValueError, match=rf"{op}: dropout_p: expected a finite number >= 0\.0 and <= 1\.0"):
        attend(dropout_p=1.1)
    with pytest.raises(TypeError, match=rf"{op}: rng: expected a numpy\.random\.Generator, got NoneType"):
        attend(dropout_p=0.1)
    for bad in (0, (3, 0), (-1, 4)):
        with pytest.raises(ValueError, match=rf"{op}: block_size: expected an integer >= 1, got"):
            attend(block_size=bad)
    assert attend(block_size=np.array([2, 3]))[1].block == attend(block_size=[2, 3])[1].block == (2, 3)
    for bad in (2.0, True, (1, 2, 3), "64", (2, 1.5)):
        with pytest.raises(TypeError, match=rf"{op}: block_size: expected an integer"):
            attend(block_size=bad)
    with pytest.raises(ValueError, match=rf"{op}_backward: dout: expected shape \(2, 2, 3, 2\)"):
        flash_attention_backward(q, attend()[1])
