from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npformer.functional import (
    alibi,
    linear,
    multi_head_attention,
    multi_head_attention_backward,
    rms_norm,
    rotary,
    scaled_dot_product_attention,
)
from npformer.functional.multi_head_attention import split_heads

B, H, T, S = 2, 4, 3, 5
LINEAR = ("x_q", "x_kv", "w_q", "w_k", "w_v", "w_o", "b_q", "b_k", "b_v", "b_o")
NAMES = (*LINEAR, "bias", "gamma_q", "gamma_k")


@pytest.fixture(params=[0, *(pytest.param(s, marks=pytest.mark.exhaustive) for s in range(1, 20))])
def rng(request):
    """One seed by default: a proof of it takes a second."""
    return np.random.default_rng(request.param)


def inputs(rng, d_model=6, d_kv=7, d_k=2, d_v=3, d_out=5, h_kv=H, lead=(B,), is_self=False, normed=False):
    """A generic point by name, of pairwise different sizes; `normed` has bias and query-key norm too."""
    d_kv = d_model if is_self else d_kv
    shapes = {
        "x_q": (*lead, T, d_model),
        "x_kv": (*lead, S, d_kv),
        "w_q": (d_model, H * d_k),
        "w_k": (d_kv, h_kv * d_k),
        "w_v": (d_kv, h_kv * d_v),
        "w_o": (H * d_v, d_out),
        "b_q": (H * d_k,),
        "b_k": (h_kv * d_k,),
        "b_v": (h_kv * d_v,),
        "b_o": (d_out,),
    }
    given = {
        name: rng.standard_normal(shape) / (np.sqrt(shape[0]) if name[0] == "w" else 1)
        for name, shape in shapes.items()
    }
    if is_self:
        del given["x_kv"]
    if normed:
        given["bias"] = rng.standard_normal((H, 1, T if is_self else S))
        given |= {name: rng.uniform(0.5, 1.5, d_k) for name in ("gamma_q", "gamma_k")}
    return given


def padding(lead=(B,), keys=S):
    """The last key of the first sequence is padding, and its second query sees nothing."""
    mask = np.ones((*lead, 1, T, keys), bool)
    mask[0, ..., -1] = False
    mask[0, ..., 1, :] = False
    return mask


def prove(proof, inputs, rng, held=(), **options):
    """The proof; inputs named in `held` are held constant, absent ones are None. Dropout is drawn alike."""
    constant = {name: inputs[name] for name in held}
    varied = {name: x for name, x in inputs.items() if name not in held}

    def forward(**given):
        # what is held constant must not widen the float32 run
        narrow = any(x.dtype == np.float32 for x in given.values())
        held = {name: x.astype(np.float32) if narrow else x for name, x in constant.items()}
        given = {**dict.fromkeys(NAMES), **held, **given}
        return multi_head_attention(**given, n_heads=H, rng=np.random.default_rng(11), **options)

    def backward(dout, cache):
        gradients = dict(zip(NAMES, multi_head_attention_backward(dout, cache), strict=True))
        assert {name for name, g in gradients.items() if g is not None} == set(inputs)
        return tuple(gradients[name] for name in varied)

    return proof(forward, backward, varied, rng)


# Without rotation, norm and softcap the key bias has no gradient, and no error relative to one: it has a test
# of its own below.
KEY_BIAS = ("b_k",)


def test_proof_of_cross_attention(proof, rng):
    prove(proof, inputs(rng), rng, KEY_BIAS, mask=padding(), dropout_p=0.3).holds()


def test_proof_of_self_attention(proof, rng):
    prove(proof, inputs(rng, is_self=True), rng, KEY_BIAS, causal=True, dropout_p=0.3).holds()


def test_proof_with_rotary_positions(proof, rng):
    """Here the key bias does have a gradient."""
    given = inputs(rng, d_k=4, is_self=True)
    options = {"positions_q": np.arange(T), "positions_kv": np.arange(T), "rotary_base": 10.0}
    prove(proof, given, rng, mask=padding(keys=T), **options).holds()


def test_proof_with_everything_on(proof, rng):
    given = inputs(rng, d_model=3, d_k=4, d_v=1, d_out=2, h_kv=2, is_self=True, normed=True)
    options = {"causal": True, "window": 2, "softcap": 1.5, "scale": 0.4, "norm_eps": 0.1, "dropout_p": 0.2}
    options |= {"positions_q": np.arange(T), "positions_kv": np.arange(T), "rotary_interleaved": True}
    prove(proof, given, rng, rotary_base=10.0, **options).holds()


def test_proof_of_query_key_norm_across(proof, one_rng):
    given = inputs(one_rng, d_model=3, d_kv=4, d_k=3, d_v=1, d_out=2, normed=True)
    prove(proof, given, one_rng, mask=padding()).holds()


def test_proof_with_positions_of_each_sequence(proof, one_rng):
    options = {
        "positions_q": np.array([[4, 5, 6], [0, 2.5, 1]]),
        "positions_kv": np.arange(B * S).reshape(B, S),
        "rotary_base": 20.0,
    }
    prove(proof, inputs(one_rng, h_kv=2), one_rng, dropout_p=0.2, **options).holds()


@pytest.mark.parametrize("at", [[4, 0, 5], [1], [2, 2, 0, 2], []])
def test_proof_at_some_positions(proof, one_rng, at):
    p = prove(proof, inputs(one_rng, is_self=True), one_rng, KEY_BIAS, causal=True, dropout_p=0.2, at=at)
    assert p.out.shape == (len(at), 5)
    if at:
        p.holds()
    else:
        assert not any(g.any() for g in p.gradients().values())


@pytest.mark.parametrize("h_kv", [1, 2])
def test_proof_with_shared_keys_and_values(proof, one_rng, h_kv):
    prove(proof, inputs(one_rng, h_kv=h_kv), one_rng, KEY_BIAS, mask=padding(), dropout_p=0.3).holds()


@pytest.mark.parametrize("lead", [(), (2, 3)])
def test_proof_for_other_leading_axes(proof, one_rng, lead):
    prove(proof, inputs(one_rng, lead=lead), one_rng, KEY_BIAS, causal=True, query_offset=2).holds()


@pytest.mark.parametrize("absent", [("b_q", "b_k", "b_v", "b_o"), ("b_k",), ("b_q", "b_o")])
def test_proof_without_biases(proof, one_rng, absent):
    given = {name: x for name, x in inputs(one_rng).items() if name not in absent}
    prove(proof, given, one_rng, set(KEY_BIAS) - set(absent)).holds()


def test_proof_where_all_sizes_are_equal(proof, one_rng):
    given = {name: one_rng.standard_normal((4,) * (2 if name[0] == "w" else 1)) / 2 for name in LINEAR[2:]}
    given = {"x_q": one_rng.standard_normal((4, 4, 4)), "x_kv": one_rng.standard_normal((4, 4, 4)), **given}
    prove(proof, given, one_rng, KEY_BIAS).holds()


def test_the_key_bias_has_no_gradient(rng):
    """It shifts all scores of a query alike. Rotated, capped or normalised, it no longer does."""
    given = inputs(rng, h_kv=2)
    out, cache = multi_head_attention(**given, n_heads=H, mask=padding(), dropout_p=0.3, rng=rng)
    gradients = multi_head_attention_backward(rng.standard_normal(out.shape), cache)
    db_k = gradients[NAMES.index("b_k")]
    assert np.abs(db_k).max() <= 1e-14 * max(np.abs(g).max() for g in gradients if g is not None)
    for moved in (
        {"positions_q": np.arange(T), "positions_kv": np.arange(S)},
        {"softcap": 1.0},
        {"gamma_q": np.ones(2), "gamma_k": np.ones(2)},
    ):
        out, cache = multi_head_attention(**given, n_heads=H, **moved)
        db_k = multi_head_attention_backward(rng.standard_normal(out.shape), cache)[NAMES.index("b_k")]
        assert np.abs(db_k).max() > 1e-3, moved


def test_a_wrong_backward_is_seen(proof, one_rng):
    given = inputs(one_rng, d_model=6, d_k=3, d_v=3, d_out=6, is_self=True)
    p = prove(proof, given, one_rng, KEY_BIAS, causal=True)
    right = p.backward
    names = list(p.inputs)

    def swapped(dout, cache):
        g = dict(zip(names, right(dout, cache), strict=True))
        return tuple({**g, "w_q": g["w_k"], "w_k": g["w_q"]}.values())

    def values_path_missing(dout, cache):
        own = cache._replace(v=cache.v._replace(weight=0 * cache.v.weight))
        return right(dout, own)

    def heads_joined_without_the_transpose(dout, cache):
        g = list(right(dout, cache))
        O = cache.o.x.reshape(B, T, H, 3).swapaxes(1, 2)  # (B, h, T, d_v)
        g[names.index("w_o")] = O.reshape(-1, cache.o.weight.shape[0]).T @ dout.reshape(-1, dout.shape[-1])
        return tuple(g)

    def keys_projected_untransposed(dout, cache):
        wrong = cache.k._replace(weight=np.roll(cache.k.weight, 1, axis=0))
        return right(dout, cache._replace(k=wrong))

    for wrong in (
        swapped,
        values_path_missing,
        heads_joined_without_the_transpose,
        keys_projected_untransposed,
    ):
        p.sees(wrong)


def test_a_wrong_backward_of_the_norm_is_seen(proof, one_rng):
    given = inputs(one_rng, d_model=3, d_k=4, d_v=2, d_out=2, h_kv=2, is_self=True, normed=True)
    positions = {"positions_q": np.arange(T), "positions_kv": np.arange(T), "rotary_interleaved": True}
    held = ("x_q", "w_v", "w_o", "b_v", "b_o", "bias")
    p = prove(proof, given, one_rng, held, **positions)
    right = p.backward

    def changed(field, **changes):
        return lambda dout, c: right(dout, c._replace(**{field: getattr(c, field)._replace(**changes)}))

    for field in ("q_norm", "k_norm"):
        p.sees(changed(field, x_hat=0 * getattr(p.cache, field).x_hat))  # the mean square a constant
        p.sees(changed(field, gamma=np.ones(4)))  # gamma forgotten
        p.sees(changed(field, rrms=1.0))  # not divided
    p.sees(changed("q_rotary", interleaved=False))  # neighbours turned as halves
    p.sees(changed("k_rotary", interleaved=False))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_shape_agrees_with_head_by_head(data):
    size = st.integers(1, 3)
    b, t, s, h_kv, group, half, d_v, d_model, d_kv, d_out = (data.draw(size) for _ in range(10))
    d_k, h = 2 * half, h_kv * group
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    x_q, x_kv = rng.standard_normal((b, t, d_model)), rng.standard_normal((b, s, d_kv))
    shapes = (d_model, h * d_k), (d_kv, h_kv * d_k), (d_kv, h_kv * d_v), (h * d_v, d_out)
    w_q, w_k, w_v, w_o = (rng.standard_normal(shape) for shape in shapes)
    mask = rng.random((b, data.draw(st.sampled_from([1, h])), t, s)) > 0.3
    positions = data.draw(st.sampled_from([None, (np.arange(t), np.arange(s) + 3)]))
    interleaved, normed = data.draw(st.booleans()), data.draw(st.booleans())
    at = data.draw(st.none() | st.lists(st.integers(0, b * t - 1), max_size=4))
    options = {"rotary_interleaved": interleaved, "norm_eps": 0.5}
    if positions is not None:
        options |= {"positions_q": positions[0], "positions_kv": positions[1]}
    bias = rng.standard_normal((h, t, s)) if data.draw(st.booleans()) else None
    gammas = {name: rng.uniform(0.5, 1.5, d_k) for name in ("gamma_q", "gamma_k")} if normed else {}
    attention = {
        "window": data.draw(st.none() | st.integers(1, 3)),
        "softcap": data.draw(st.none() | st.just(0.8)),
        "scale": data.draw(st.none() | st.just(0.6)),
    }
    options |= gammas | attention
    out, cache = multi_head_attention(
        x_q, x_kv, w_q, w_k, w_v, w_o, bias=bias, n_heads=h, mask=mask, at=at, **options
    )

    heads = []
    for i in range(h):
        j = i // group
        Q = x_q @ w_q[:, i * d_k : (i + 1) * d_k]
        K = x_kv @ w_k[:, j * d_k : (j + 1) * d_k]
        V = x_kv @ w_v[:, j * d_v : (j + 1) * d_v]
        if normed:
            Q, K = rms_norm(Q, gammas["gamma_q"], 0.5)[0], rms_norm(K, gammas["gamma_k"], 0.5)[0]
        if positions is not None:
            Q = rotary(Q, positions[0], interleaved=interleaved)[0]
            K = rotary(K, positions[1], interleaved=interleaved)[0]
        own_mask = mask[:, i if mask.shape[1] == h else 0]
        own_bias = None if bias is None else bias[i]
        heads.append(scaled_dot_product_attention(Q, K, V, own_bias, mask=own_mask, **attention)[0])
    expected = linear(np.concatenate(heads, axis=-1), w_o)[0]
    if at is not None:
        expected = expected.reshape(b * t, d_out)[at]
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-12)
    gradients = multi_head_attention_backward(rng.standard_normal(out.shape), cache)
    for x, g in zip((x_q, x_kv, w_q, w_k, w_v, w_o), gradients, strict=False):
        assert g.shape == x.shape
        assert np.isfinite(g).all()
    assert gradients[6:10] == (None,) * 4
    for x, g in zip((bias, *(gammas.get(name) for name in NAMES[11:])), gradients[10:], strict=True):
        assert (g is None) == (x is None)
        assert g is None or g.shape == x.shape


def test_every_option_reaches_the_attention(one_rng):
    """The same by its steps, with all heads at once. Two pairs of features, or the base would not matter."""
    given = inputs(one_rng, d_k=4, h_kv=2)
    options = {"causal": True, "query_offset": 1, "mask": padding(), "dropout_p": 0.3}
    options |= {"window": 2, "softcap": 0.9, "scale": 0.8, "bias": alibi(H, T, S, 1)}
    positions = {"positions_q": np.arange(T) + 4, "positions_kv": np.arange(S), "rotary_base": 5.0}
    out, _ = multi_head_attention(**given, n_heads=H, **options, **positions, rng=np.random.default_rng(1))
    Q = split_heads(given["x_q"] @ given["w_q"] + given["b_q"], H)
    K = split_heads(given["x_kv"] @ given["w_k"] + given["b_k"], 2)
    V = split_heads(given["x_kv"] @ given["w_v"] + given["b_v"], 2)
    Q, K = rotary(Q, np.arange(T) + 4, 5.0)[0], rotary(K, np.arange(S), 5.0)[0]
    O = scaled_dot_product_attention(Q, K, V, **options, rng=np.random.default_rng(1))[0]
    expected = O.swapaxes(1, 2).reshape(B, T, -1) @ given["w_o"] + given["b_o"]
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-14)


def test_self_attention_is_cross_attention_to_itself(one_rng):
    given = inputs(one_rng, is_self=True)
    x = given["x_q"]
    options = {"n_heads": H, "causal": True}
    out, cache = multi_head_attention(x_kv=None, **given, **options)
    cross, cross_cache = multi_head_attention(x_kv=x.copy(), **given, **options)
    np.testing.assert_array_equal(out, cross)
    dout = one_rng.standard_normal(out.shape)
    dx, nothing, *rest = multi_head_attention_backward(dout, cache)
    dx_q, dx_kv, *cross_rest = multi_head_attention_backward(dout, cross_cache)
    assert nothing is None
    np.testing.assert_array_equal(dx, dx_q + dx_kv)
    assert rest[-3:] == [None] * 3
    for g, cross_g in zip(rest[:-3], cross_rest[:-3], strict=True):
        np.testing.assert_array_equal(g, cross_g)


def test_some_positions_are_those_positions_of_all(one_rng):
    given = inputs(one_rng, is_self=True)
    at = np.array([5, 1, 3])
    all_of_it, cache = multi_head_attention(x_kv=None, **given, n_heads=H)
    some, some_cache = multi_head_attention(x_kv=None, **given, n_heads=H, at=at)
    np.testing.assert_allclose(some, all_of_it.reshape(B * T, -1)[at], rtol=0, atol=1e-15)
    dout = np.zeros_like(all_of_it)
    dout.reshape(B * T, -1)[at] = dsome = one_rng.standard_normal(some.shape)
    for g, some_g in zip(
        multi_head_attention_backward(dout, cache),
        multi_head_attention_backward(dsome, some_cache),
        strict=True,
    ):
        if g is not None:
            np.testing.assert_allclose(some_g, g, rtol=0, atol=1e-13)


def test_permuted_positions(one_rng):
    """Without positions, attention does not know the order; with rotary positions it does."""
    given = inputs(one_rng, is_self=True)
    order = np.array([2, 0, 1])
    moved = {**given, "x_q": given["x_q"][:, order]}
    out = multi_head_attention(x_kv=None, **given, n_heads=H)[0]
    np.testing.assert_allclose(
        multi_head_attention(x_kv=None, **moved, n_heads=H)[0], out[:, order], rtol=0, atol=1e-14
    )
    here = {"positions_q": np.arange(T), "positions_kv": np.arange(T)}
    out = multi_head_attention(x_kv=None, **given, n_heads=H, **here)[0]
    assert np.abs(multi_head_attention(x_kv=None, **moved, n_heads=H, **here)[0] - out[:, order]).max() > 1e-3
    there = {"positions_q": order, "positions_kv": order}
    np.testing.assert_allclose(
        multi_head_attention(x_kv=None, **moved, n_heads=H, **there)[0], out[:, order], rtol=0, atol=1e-14
    )


def test_a_masked_key_is_a_deleted_key(one_rng):
    given = inputs(one_rng)
    kept = np.array([True, True, False, True, False])
    out, cache = multi_head_attention(**given, n_heads=H, mask=kept)
    small, small_cache = multi_head_attention(**{**given, "x_kv": given["x_kv"][:, kept]}, n_heads=H)
    np.testing.assert_allclose(out, small, rtol=0, atol=1e-14)
    dout = one_rng.standard_normal(out.shape)
    gradients = dict(zip(NAMES, multi_head_attention_backward(dout, cache), strict=True))
    small_gradients = dict(zip(NAMES, multi_head_attention_backward(dout, small_cache), strict=True))
    assert not gradients["x_kv"][:, ~kept].any()
    gradients["x_kv"] = gradients["x_kv"][:, kept]
    for name in LINEAR:
        np.testing.assert_allclose(gradients[name], small_gradients[name], rtol=0, atol=1e-13, err_msg=name)


def test_the_future_leaves_the_past_alone_to_the_bit(one_rng):
    given = inputs(one_rng, is_self=True)
    out = multi_head_attention(x_kv=None, **given, n_heads=H, causal=True)[0]
    given["x_q"] = given["x_q"].copy()
    given["x_q"][:, 2] += one_rng.standard_normal(6)
    changed = multi_head_attention(x_kv=None, **given, n_heads=H, causal=True)[0]
    np.testing.assert_array_equal(changed[:, :2], out[:, :2])
    assert not np.array_equal(changed[:, 2], out[:, 2])


def test_rows_of_the_batch_do_not_mix(one_rng):
    given = inputs(one_rng)
    out = multi_head_attention(**given, n_heads=H)[0]
    for name, moved in (("x_q", [0]), ("x_kv", [0])):
        changed = {**given, name: given[name].copy()}
        changed[name][0] += 1
        other = multi_head_attention(**changed, n_heads=H)[0]
        np.testing.assert_array_equal(np.delete(other, moved, axis=0), np.delete(out, moved, axis=0))
        assert not np.array_equal(other[0], out[0])


def test_a_row_with_nothing_to_attend_to_gives_the_output_bias(one_rng):
    given = inputs(one_rng)
    out, cache = multi_head_attention(**given, n_heads=H, mask=padding())
    np.testing.assert_array_equal(out[0, 1], given["b_o"])
    gradients = multi_head_attention_backward(np.ones_like(out), cache)
    assert all(np.isfinite(g).all() for g in gradients if g is not None)
    assert not gradients[0][0, 1].any()


def test_intermediates_are_the_gradients_of_the_steps(one_rng):
    given = inputs(one_rng, h_kv=2)
    positions = {"positions_q": np.arange(T), "positions_kv": np.arange(S)}
    for options in ({}, positions):
        out, cache = multi_head_attention(**given, n_heads=H, **options)
        dout = one_rng.standard_normal(out.shape)
        found: dict[str, np.ndarray] = {}
        gradients = multi_head_attention_backward(dout, cache, found)
        shapes = {"dO": (B, H, T, 3), "dP": (B, H, T, S), "dS": (B, H, T, S)}
        shapes |= {"dQ": (B, H, T, 2), "dK": (B, 2, S, 2), "dV": (B, 2, S, 3)}
        assert {name: x.shape for name, x in found.items()} == shapes
        by_name = dict(zip(NAMES, gradients, strict=True))
        for letter, x in (("q", "x_q"), ("k", "x_kv"), ("v", "x_kv")):
            per_head = found[f"d{letter.upper()}"].swapaxes(1, 2)
            joined = per_head.reshape(-1, per_head.shape[2] * per_head.shape[3])
            rows = given[x].reshape(-1, given[x].shape[-1])
            np.testing.assert_allclose(by_name[f"w_{letter}"], rows.T @ joined, rtol=0, atol=1e-13)
        dO = (dout @ given["w_o"].T).reshape(B, T, H, 3).swapaxes(1, 2)
        np.testing.assert_allclose(found["dO"], dO, rtol=0, atol=1e-14)
        assert not any(np.shares_memory(x, g) for x in found.values() for g in gradients if g is not None)


def test_intermediates_are_those_before_the_norm(one_rng):
    given = inputs(one_rng, d_k=4, h_kv=2, normed=True)
    positions = {"positions_q": np.arange(T), "positions_kv": np.arange(S)}
    out, cache = multi_head_attention(**given, n_heads=H, **positions)
    found: dict[str, np.ndarray] = {}
    gradients = multi_head_attention_backward(one_rng.standard_normal(out.shape), cache, found)
    by_name = dict(zip(NAMES, gradients, strict=True))
    for letter in "qk":
        db = found[f"d{letter.upper()}"].sum(axis=(0, 2)).ravel()
        np.testing.assert_allclose(by_name[f"b_{letter}"], db, rtol=0, atol=1e-14)


def test_normalised_queries_and_keys_have_the_length_of_their_gain(one_rng):
    """So their weights' size does not matter, and neither gradient has a part along its query or key."""
    given = inputs(one_rng, d_k=4, h_kv=2, normed=True) | {"b_q": None, "b_k": None}
    options = {"n_heads": H, "norm_eps": 0.0}
    out, cache = multi_head_attention(**given, **options)
    larger = given | {"w_q": 3 * given["w_q"], "w_k": 0.2 * given["w_k"]}
    np.testing.assert_allclose(multi_head_attention(**larger, **options)[0], out, rtol=0, atol=1e-13)
    found: dict[str, np.ndarray] = {}
    multi_head_attention_backward(one_rng.standard_normal(out.shape), cache, found)
    for letter, x in (("q", "x_q"), ("k", "x_kv")):
        per_head = split_heads(given[x] @ given[f"w_{letter}"], found[f"d{letter.upper()}"].shape[1])
        assert np.abs((per_head * found[f"d{letter.upper()}"]).sum(-1)).max() < 1e-13


def test_alibi_is_a_bias_like_any_other(one_rng):
    """Its distances count from the end for the last queries alone, told where they stand."""
    given = inputs(one_rng, is_self=True)
    x = given.pop("x_q")
    options = {"n_heads": H, "causal": True}
    whole = multi_head_attention(x, None, **given, bias=alibi(H, T, T), **options)[0]
    end = multi_head_attention(x[:, 2:], x, **given, bias=alibi(H, 1, T, 2), query_offset=2, **options)[0]
    np.testing.assert_allclose(end, whole[:, 2:], rtol=0, atol=1e-14)


def test_heads_are_never_copied(one_rng):
    """Queries, keys and values reach the products as views, and so does the joined output."""
    given = {name: x.astype(np.float32) for name, x in inputs(one_rng, is_self=True).items()}
    normed = {"gamma_q": np.ones(2, np.float32), "gamma_k": np.ones(2, np.float32)}
    for more in ({}, normed):
        _, cache = multi_head_attention(x_kv=None, **given, **more, n_heads=H)
        for x in (cache.attention.q, cache.attention.k, cache.attention.v, split_heads(cache.o.x, H)):
            assert x.dtype == np.float32
            assert x.swapaxes(1, 2).flags.c_contiguous


def test_bad_input_is_named(one_rng):
    right = inputs(one_rng, h_kv=2)
    op = "^multi_head_attention"

    def attend(n_heads=H, **changes):
        options = {name: x for name, x in changes.items() if name not in NAMES}
        arrays = {**right, **{name: x for name, x in changes.items() if name in NAMES}}
        return multi_head_attention(**arrays, n_heads=n_heads, **options)

    def refuses(message, kind=ValueError, **changes):
        with pytest.raises(kind, match=rf"{op}: {message}"):
            attend(**changes)

    refuses(r"n_heads: expected an integer >= 1, got 0", n_heads=0)
    refuses("n_heads: expected an integer", TypeError, n_heads=2.0)
    refuses("w_q: expected a number of columns that n_heads = 3 divides, got 8", n_heads=3)
    refuses(r"x_q: expected shape \(\.\.\., T, d_model\), got shape \(6,\)", x_q=np.ones(6))
    refuses(r"x_kv: expected shape \(2, 'S', 'd_kv_model'\)", x_kv=np.ones((3, S, 7)))
    refuses(r"w_q: expected shape \(6, \.\.\.\), got shape \(7, 8\)", w_q=np.ones((7, 8)))
    refuses(r"w_k: expected shape \(7, \.\.\.\)", w_k=np.ones((6, 4)))
    refuses(r"w_k: expected h_kv \* 2 columns", w_k=np.ones((7, 6)))
    refuses(r"w_k: expected h_kv \* 2 columns", w_k=np.ones((7, 5)))
    refuses(r"w_k: expected h_kv \* 2 columns", w_k=np.ones((7, 0)))
    refuses(r"w_v: expected a number of columns that h_kv = 2 \(from w_k\) divides", w_v=np.ones((7, 5)))
    refuses(
        r"w_o: expected shape \(12, d_out\) = \(h \* d_v, d_out\), got shape \(5, 12\)", w_o=np.ones((5, 12))
    )
    refuses("w_o: expected shape", w_o=np.ones(12))
    for name in LINEAR[6:]:
        refuses(rf"{name}: expected shape \(\d+,\), got shape \(99,\)", **{name: np.ones(99)})
        refuses(rf"{name}: .* dtype float16", TypeError, **{name: np.ones(99, np.float16)})
    refuses(r"mask: expected a shape that broadcasts to \(2, 4, 3, 5\)", mask=np.ones((B, S), bool))
    refuses("mask: expected booleans", TypeError, mask=np.ones(S))
    refuses(r"bias: expected a shape that broadcasts to \(2, 4, 3, 5\)", bias=np.ones((2, 1, S)))
    refuses("bias: .* dtype float16", TypeError, bias=np.ones(S, np.float16))
    gammas = {"gamma_q": np.ones(2), "gamma_k": np.ones(2)}
    for name in gammas:
        refuses("gamma_q, gamma_k: expected both or neither, got one of them", **{name: np.ones(2)})
        wrong = gammas | {name: np.ones(3)}
        refuses(rf"{name}: expected shape \(2,\) = \(d_k,\), got shape \(3,\)", **wrong)
        refuses(rf"{name}: .* dtype float16", TypeError, **gammas | {name: np.ones(2, np.float16)})
    refuses(r"norm_eps: expected a finite number >= 0\.0, got -1\.0", **gammas, norm_eps=-1)
    refuses("window: expected an integer >= 1, got 0", window=0)
    refuses(r"window: expected an integer, got 1\.5", TypeError, window=1.5)
    refuses(r"softcap: expected a number > 0, got 0\.0", softcap=0.0)
    refuses("scale: expected a finite number, got inf", scale=float("inf"))
    refuses("query_offset: expected an integer, got True", TypeError, query_offset=True)
    refuses("positions_q, positions_kv: expected both or neither", positions_q=np.arange(T))
    refuses("positions_kv: expected a shape", positions_q=np.arange(T), positions_kv=np.arange(T + 1))
    refuses(r"at: expected ids in \[0, 6\), got 6", at=[6])
    refuses(r"at: expected shape \(n,\)", at=[[1]])
    refuses("dropout_p: expected a finite number", dropout_p=2.0)
    refuses("rng: expected", TypeError, dropout_p=0.5)
    odd = {"w_q": np.ones((6, 12)), "w_k": np.ones((7, 6)), "b_q": None, "b_k": None}
    refuses("w_q: expected .* even", positions_q=np.arange(T), positions_kv=np.arange(S), **odd)
    refuses("rotary_base: expected a", positions_q=np.arange(T), positions_kv=np.arange(S), rotary_base=0)
    with pytest.raises(ValueError, match=rf"{op}_backward: dout: expected shape \(2, 3, 5\)"):
        multi_head_attention_backward(np.ones((2, 3, 4)), attend()[1])
