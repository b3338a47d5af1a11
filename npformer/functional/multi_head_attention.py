"""Multi-head attention, of a sequence to itself or to another.

    Q, K, V = x_q W_q + b_q,  x_kv W_k + b_k,  x_kv W_v + b_v        x_kv = x_q in self-attention
    Q, K    = rms_norm(Q), rms_norm(K)                                within each head, where gammas are given
    Q, K    = rotary(Q), rotary(K)                                    where positions are given
    O_i     = attention(Q_i, K_i, V_i, bias_i)                        head i owns the i-th slice of features
    y       = concat(O_1 .. O_h) W_o + b_o
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ._arguments import (
    Array,
    Random,
    as_dout,
    as_float,
    as_ids,
    as_mask,
    bad_type,
    bad_value,
    require_broadcastable,
    require_number,
    require_positive,
    require_random,
    require_shape,
    require_size,
)
from .attention import (
    ScaledDotProductAttentionCache,
    scaled_dot_product_attention,
    scaled_dot_product_attention_backward,
)
from .embedding import EmbeddingCache, embedding, embedding_backward
from .linear import LinearCache, linear, linear_backward
from .rms_norm import RmsNormCache, rms_norm, rms_norm_backward
from .rotary import RotaryCache, rotary, rotary_backward


class MultiHeadAttentionCache(NamedTuple):
    """What `multi_head_attention_backward` needs: the caches of the steps."""

    q: LinearCache
    k: LinearCache
    v: LinearCache
    q_norm: RmsNormCache | None
    k_norm: RmsNormCache | None
    q_rotary: RotaryCache | None
    k_rotary: RotaryCache | None
    attention: ScaledDotProductAttentionCache
    at: EmbeddingCache | None
    o: LinearCache
    out_shape: tuple[int, ...]
    is_self: bool  # x_kv was None


def multi_head_attention(
    x_q: npt.ArrayLike,
    x_kv: npt.ArrayLike | None,
    w_q: npt.ArrayLike,
    w_k: npt.ArrayLike,
    w_v: npt.ArrayLike,
    w_o: npt.ArrayLike,
    b_q: npt.ArrayLike | None = None,
    b_k: npt.ArrayLike | None = None,
    b_v: npt.ArrayLike | None = None,
    b_o: npt.ArrayLike | None = None,
    bias: npt.ArrayLike | None = None,
    gamma_q: npt.ArrayLike | None = None,
    gamma_k: npt.ArrayLike | None = None,
    *,
    n_heads: int,
    mask: npt.ArrayLike | None = None,
    causal: bool = False,
    query_offset: int = 0,
    window: int | None = None,
    softcap: float | None = None,
    scale: float | None = None,
    positions_q: npt.ArrayLike | None = None,
    positions_kv: npt.ArrayLike | None = None,
    rotary_base: float = 10000.0,
    rotary_interleaved: bool = False,
    norm_eps: float = 1e-6,
    at: npt.ArrayLike | None = None,
    dropout_p: float = 0.0,
    rng: Random | None = None,
) -> tuple[Array, MultiHeadAttentionCache]:
    """Project to queries, keys and values, attend in each head, and project the joined heads.

    Parameters
    ----------
    x_q : array_like, shape (..., T, d_model)
        Usually (B, T, d_model).
    x_kv : array_like, shape (..., S, d_kv_model), or None
        Where the keys and values come from; None = `x_q` (self-attention).
    w_q : array_like, shape (d_model, h · d_k)
    w_k : array_like, shape (d_kv_model, h_kv · d_k)
    w_v : array_like, shape (d_kv_model, h_kv · d_v)
    w_o : array_like, shape (h · d_v, d_out)
        h is `n_heads` and divides what it should; h_kv follows from w_q and w_k.
    b_q, b_k, b_v, b_o : array_like, shape (h · d_k,), (h_kv · d_k,), (h_kv · d_v,), (d_out,), optional
    bias : array_like, broadcastable to (..., h, T, S), optional
        Added to the scores.
    gamma_q, gamma_k : array_like, shape (d_k,), optional
        When given (both or neither), the query and the key of each head are normalised by `rms_norm` with
        them, before any rotation.
    n_heads : int
        Number h of query heads.
    mask : array_like of bool, broadcastable to (..., h, T, S), optional
        True = may be attended to.
    causal, query_offset, window, softcap, scale
        As in `scaled_dot_product_attention`.
    positions_q, positions_kv : array_like, shape (T,) and (S,), or (..., T) and (..., S), optional
        When given (both or neither), queries and keys are rotated by them.
    rotary_base, rotary_interleaved
        Base of the rotation, and whether its pairs are neighbours; as in `rotary`.
    norm_eps : float
        The eps of the two `rms_norm`.
    at : array_like of int, shape (n,), optional
        Positions in the flattened grid (..., T). The output is then computed for these alone.
    dropout_p : float
        Dropout of the attention weights.
    rng : numpy.random.Generator, optional
        Called once, with the shape (..., h, T, S) and float32, if `dropout_p` is not 0.

    Returns
    -------
    out : ndarray, shape (..., T, d_out), or (n, d_out) with `at`
    cache : MultiHeadAttentionCache

    Raises
    ------
    ValueError
        If the shapes do not fit together, the heads do not divide the widths, or an option has no such value.
    TypeError
        If an array is neither float32, float64, complex128 nor integer, `mask` is not boolean, or
        `query_offset` or `window` is no integer.

    References
    ----------
    Vaswani et al.: Attention Is All You Need, arXiv:1706.03762, section 3.2.2.
    Henry et al.: Query-Key Normalization for Transformers, arXiv:2010.04245 (by the length of each query and
    key; by RMSNorm with gains, as here, in Qwen3 and Gemma 3).

    Examples
    --------
    >>> x = np.arange(12.0).reshape(1, 3, 4)  # B = 1, T = 3, d_model = 4
    >>> w = np.eye(4)
    >>> out, cache = multi_head_attention(x, None, w, w, w, w, n_heads=2, causal=True)
    >>> out.shape, np.array_equal(out[0, 0], x[0, 0])  # the first position sees itself alone
    ((1, 3, 4), True)
    """
    op = "multi_head_attention"
    x_q = as_float(op, "x_q", x_q)
    is_self = x_kv is None
    x_kv = x_q if x_kv is None else as_float(op, "x_kv", x_kv)
    w_q, w_k, w_v, w_o = (
        as_float(op, name, w) for name, w in (("w_q", w_q), ("w_k", w_k), ("w_v", w_v), ("w_o", w_o))
    )
    b_q, b_k, b_v, b_o = biases = [
        b if b is None else as_float(op, name, b)
        for name, b in (("b_q", b_q), ("b_k", b_k), ("b_v", b_v), ("b_o", b_o))
    ]
    h, h_kv = _require_fitting(op, x_q, x_kv, (w_q, w_k, w_v, w_o), biases, n_heads)
    *lead, T, _ = x_q.shape
    S = x_kv.shape[-2]
    d_k = w_q.shape[1] // h
    if bias is not None:
        bias = as_float(op, "bias", bias)
        require_broadcastable(op, "bias", bias, (*lead, h, T, S))
    if (gamma_q is None) != (gamma_k is None):
        bad_value(op, "gamma_q, gamma_k", "both or neither", "one of them")
    if gamma_q is not None and gamma_k is not None:
        gamma_q, gamma_k = as_float(op, "gamma_q", gamma_q), as_float(op, "gamma_k", gamma_k)
        require_shape(op, "gamma_q", gamma_q, (d_k,), "(d_k,)")
        require_shape(op, "gamma_k", gamma_k, (d_k,), "(d_k,)")
        norm_eps = require_number(op, "norm_eps", norm_eps, low=0.0)
    if mask is not None:
        mask = as_mask(op, "mask", mask, (*lead, h, T, S))
    if isinstance(query_offset, bool) or not isinstance(query_offset, (int, np.integer)):
        bad_type(op, "query_offset", "an integer", repr(query_offset))
    if window is not None:
        window = require_size(op, "window", window, low=1)
    if softcap is not None:
        softcap = require_positive(op, "softcap", softcap)
    if scale is not None:
        scale = require_number(op, "scale", scale, low=-math.inf)
    if (positions_q is None) != (positions_kv is None):
        bad_value(op, "positions_q, positions_kv", "both or neither", "one of them")
    if positions_q is not None and positions_kv is not None:
        positions_q = _as_positions(op, "positions_q", positions_q, (*lead, T))
        positions_kv = _as_positions(op, "positions_kv", positions_kv, (*lead, S))
        rotary_base = require_positive(op, "rotary_base", rotary_base)
        if d_k % 2:
            bad_value(op, "w_q", "an even d_k, to be rotated in pairs", f"d_k = {d_k}")
    dropout_p = require_number(op, "dropout_p", dropout_p, low=0.0, high=1.0)
    if dropout_p:
        require_random(op, rng)
    if at is not None:
        at = as_ids(op, "at", at, math.prod((*lead, T)))
        if at.ndim != 1:
            bad_value(op, "at", "shape (n,)", f"shape {at.shape}")

    Q, q_cache = linear(x_q, w_q, b_q)  # 1: (..., T, h · d_k)
    K, k_cache = linear(x_kv, w_k, b_k)  # (..., S, h_kv · d_k)
    V, v_cache = linear(x_kv, w_v, b_v)  # (..., S, h_kv · d_v)
    Q, K, V = split_heads(Q, h), split_heads(K, h_kv), split_heads(V, h_kv)  # 2: (..., h, T, d_k) ...
    q_norm = k_norm = None
    if gamma_q is not None and gamma_k is not None:  # 3, as (..., T, h, d_k), the order in memory
        Q, q_norm = rms_norm(Q.swapaxes(-2, -3), gamma_q, norm_eps)
        K, k_norm = rms_norm(K.swapaxes(-2, -3), gamma_k, norm_eps)
        Q, K = Q.swapaxes(-2, -3), K.swapaxes(-2, -3)
    q_rotary = k_rotary = None
    if positions_q is not None and positions_kv is not None:  # 4
        Q, q_rotary = rotary(Q, positions_q, rotary_base, interleaved=rotary_interleaved)
        K, k_rotary = rotary(K, positions_kv, rotary_base, interleaved=rotary_interleaved)
    O, attention_cache = scaled_dot_product_attention(  # 5: (..., h, T, d_v)
        Q,
        K,
        V,
        bias,
        mask=mask,
        causal=causal,
        query_offset=query_offset,
        window=window,
        scale=scale,
        softcap=softcap,
        dropout_p=dropout_p,
        rng=rng,
    )
    joined = join_heads(O)  # 6: (..., T, h · d_v)
    at_cache = None
    if at is not None:  # 7: (n, h · d_v)
        joined, at_cache = embedding(at, joined.reshape(math.prod((*lead, T)), w_o.shape[0]))
    out, o_cache = linear(joined, w_o, b_o)  # 8
    return out, MultiHeadAttentionCache(
        q_cache,
        k_cache,
        v_cache,
        q_norm,
        k_norm,
        q_rotary,
        k_rotary,
        attention_cache,
        at_cache,
        o_cache,
        out.shape,
        is_self,
    )


# The backward, step by step: the forward's eight steps in reverse, each with the backward of its own op.
#
#   8. The output projection is linear:                    dO (joined), dW_o, db_o
#   7. Rows picked by `at` are an embedding of positions:  dO is 0 at all others
#   6. Joining heads only moves features, so does its inverse:   dO per head
#   5. Attention:                                          dQ, dK, dV per head, dbias
#   4. A rotation is undone by the opposite angle:         dQ, dK before the rotation
#   3. RMSNorm of each head's query and key:               dQ, dK before it, dgamma_q, dgamma_k
#   2. Splitting heads is undone by joining them
#   1. The three projections are linear; x_q and x_kv collect from each that read them:
#          dx_q = dQ W_qᵀ,   dx_kv = dK W_kᵀ + dV W_vᵀ,   and in self-attention dx = dx_q + dx_kv
def multi_head_attention_backward(
    dout: npt.ArrayLike, cache: MultiHeadAttentionCache, intermediates: dict[str, Array] | None = None
) -> tuple[
    Array,  # dx_q
    Array | None,  # dx_kv
    Array,  # dw_q, dw_k, dw_v, dw_o
    Array,
    Array,
    Array,
    Array | None,  # db_q, db_k, db_v, db_o
    Array | None,
    Array | None,
    Array | None,
    Array | None,  # dbias
    Array | None,  # dgamma_q, dgamma_k
    Array | None,
]:
    """Gradients of `multi_head_attention`.

    Parameters
    ----------
    dout : array_like, shape (..., T, d_out), or (n, d_out) with `at`
        Gradient of the loss with respect to `out`.
    cache : MultiHeadAttentionCache
    intermediates : dict, optional
        Filled with "dO" (..., h, T, d_v), "dP" and "dS" (..., h, T, S), "dQ" (..., h, T, d_k),
        "dK" (..., h_kv, S, d_k) and "dV" (..., h_kv, S, d_v), per head and before any norm and
        rotation.

    Returns
    -------
    dx_q : ndarray, the shape of x_q
        In self-attention the whole gradient of x.
    dx_kv : ndarray, the shape of x_kv, or None in self-attention
    dw_q, dw_k, dw_v, dw_o : ndarray, the shapes of the weights
    db_q, db_k, db_v, db_o : ndarray, the shapes of the biases, or None for one that was absent
        db_k is 0 up to rounding without norm, rotation and softcap: a shift of all keys shifts all scores of
        a query alike.
    dbias : ndarray, the shape of bias, or None without one
    dgamma_q, dgamma_k : ndarray, shape (d_k,), or None where they were absent

    Raises
    ------
    ValueError
        If `dout` does not have the shape of `out`.

    Examples
    --------
    >>> x, w = np.arange(12.0).reshape(1, 3, 4), np.eye(4)
    >>> out, cache = multi_head_attention(x, None, w, w, w, w, n_heads=2)
    >>> dx, dx_kv, dw_q, *_ = multi_head_attention_backward(np.ones_like(out), cache)
    >>> dx.shape, dx_kv, dw_q.shape
    ((1, 3, 4), None, (4, 4))
    """
    dout = as_dout("multi_head_attention", dout, cache.out_shape)

    djoined, dw_o, db_o = linear_backward(dout, cache.o)  # 8
    O_shape = (*cache.attention.q.shape[:-1], cache.attention.v.shape[-1])  # (..., h, T, d_v)
    if cache.at is not None:  # 7
        djoined = embedding_backward(djoined, cache.at)
    dO = split_heads(djoined.reshape(*O_shape[:-3], O_shape[-2], O_shape[-3] * O_shape[-1]), O_shape[-3])  # 6
    dQ, dK, dV, dbias = scaled_dot_product_attention_backward(dO, cache.attention, intermediates)  # 5
    if cache.q_rotary is not None and cache.k_rotary is not None:  # 4
        dQ, dK = rotary_backward(dQ, cache.q_rotary), rotary_backward(dK, cache.k_rotary)
    dgamma_q = dgamma_k = None
    if cache.q_norm is not None and cache.k_norm is not None:  # 3
        dQ, dgamma_q = rms_norm_backward(dQ.swapaxes(-2, -3), cache.q_norm)  # 3
        dK, dgamma_k = rms_norm_backward(dK.swapaxes(-2, -3), cache.k_norm)  # 3
        dQ, dK = dQ.swapaxes(-2, -3), dK.swapaxes(-2, -3)  # 3
    if intermediates is not None:
        intermediates |= {"dO": dO.copy(), "dQ": dQ.copy(), "dK": dK.copy(), "dV": dV.copy()}
    dx_q, dw_q, db_q = linear_backward(join_heads(dQ), cache.q)  # 2, 1
    dx_kv, dw_k, db_k = linear_backward(join_heads(dK), cache.k)  # 2, 1
    dx_v, dw_v, db_v = linear_backward(join_heads(dV), cache.v)  # 2, 1
    dx_kv += dx_v
    if cache.is_self:
        dx_q += dx_kv
    dx_of_kv = None if cache.is_self else dx_kv
    return dx_q, dx_of_kv, dw_q, dw_k, dw_v, dw_o, db_q, db_k, db_v, db_o, dbias, dgamma_q, dgamma_k


def split_heads(x: Array, h: int) -> Array:
    """(..., T, h · d) -> (..., h, T, d), a view."""
    return x.reshape(*x.shape[:-1], h, x.shape[-1] // h).swapaxes(-2, -3)


def join_heads(x: Array) -> Array:
    """(..., h, T, d) -> (..., T, h · d), a view if x is laid out as `split_heads` leaves it."""
    x = x.swapaxes(-2, -3)
    return x.reshape(*x.shape[:-2], x.shape[-2] * x.shape[-1])


def _as_positions(op: str, argument: str, positions: npt.ArrayLike, shape: tuple[int, ...]) -> Array:
    """Return the positions, (T,) or (..., T), with an axis of length 1 for the heads."""
    positions = as_float(op, argument, positions)
    if positions.dtype.kind == "c":
        bad_type(op, argument, "real numbers", f"dtype {positions.dtype}")
    require_broadcastable(op, argument, positions, shape)
    return np.expand_dims(positions, -2) if positions.ndim > 1 else positions


def _require_fitting(
    op: str, x_q: Array, x_kv: Array, weights: tuple[Array, ...], biases: list[Array | None], n_heads: int
) -> tuple[int, int]:
    """Return the numbers of query heads and key-value heads; raise unless everything fits together."""
    w_q, w_k, w_v, w_o = weights
    h = require_size(op, "n_heads", n_heads)
    if h == 0:
        bad_value(op, "n_heads", "an integer >= 1", h)
    if x_q.ndim < 2:
        bad_value(op, "x_q", "shape (..., T, d_model)", f"shape {x_q.shape}")
    if x_kv.ndim != x_q.ndim or x_kv.shape[:-2] != x_q.shape[:-2]:
        expected = f"shape {(*x_q.shape[:-2], 'S', 'd_kv_model')}"
        bad_value(op, "x_kv", expected, f"shape {x_kv.shape}")
    for name, w, x in (("w_q", w_q, x_q), ("w_k", w_k, x_kv), ("w_v", w_v, x_kv)):
        if w.ndim != 2 or w.shape[0] != x.shape[-1]:
            bad_value(op, name, f"shape ({x.shape[-1]}, ...)", f"shape {w.shape}")
    if w_q.shape[1] == 0 or w_q.shape[1] % h:
        bad_value(op, "w_q", f"a number of columns that n_heads = {h} divides", w_q.shape[1])
    d_k = w_q.shape[1] // h
    h_kv = w_k.shape[1] // d_k
    if h_kv == 0 or w_k.shape[1] % d_k or h % h_kv:
        expected = f"h_kv * {d_k} columns, where h_kv divides n_heads = {h} and {d_k} is d_k from w_q"
        bad_value(op, "w_k", expected, w_k.shape[1])
    if w_v.shape[1] == 0 or w_v.shape[1] % h_kv:
        bad_value(op, "w_v", f"a number of columns that h_kv = {h_kv} (from w_k) divides", w_v.shape[1])
    d_v = w_v.shape[1] // h_kv
    if w_o.ndim != 2 or w_o.shape[0] != h * d_v:
        bad_value(op, "w_o", f"shape ({h * d_v}, d_out) = (h * d_v, d_out)", f"shape {w_o.shape}")
    for name, b, w in zip(("b_q", "b_k", "b_v", "b_o"), biases, weights, strict=True):
        if b is not None:
            require_shape(op, name, b, w.shape[1:])
    return h, h_kv
