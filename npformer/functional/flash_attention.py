"""Attention in tiles: the numbers of `scaled_dot_product_attention`, and nothing of size T x S is ever made.

    Z   = softcap · tanh(scale · Q Kᵀ / softcap) + bias      (-inf where it is forbidden to look)
    O   = P̃ V,   P = softmax(Z),   P̃ = P · keep / (1 - p)

For some queries, the keys come a block at a time. Of those seen so far, m is the largest score of a query,
l the sum of exp(Z - m), O the sum of exp(Z - m) V. Block j brings the scores Z_j, and everything that was
summed under the old maximum is rescaled to the new one (the online softmax):

    m'  = max(m, max Z_j)
    l'  = l · exp(m - m') + Σ exp(Z_j - m')
    O'  = O · exp(m - m') + (exp(Z_j - m') · keep_j) V_j
    and after the last block    O / (l (1 - p)),    L = m + log l

Of each query L is kept, the logarithm of its softmax's denominator: with P = exp(Z - L) the backward has
every tile of the weights once more.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._arguments import (
    Array,
    Random,
    as_dout,
    as_float,
    as_mask,
    bad_type,
    promote,
    require_broadcastable,
    require_number,
    require_positive,
    require_size,
)
from ._counted_dropout import draw_seeds, keep_again
from ._rows import row_sums
from ._tiles import Reach, allowed_in, blocks, keys_in_reach, part, reach_of
from .activations import TanhCache, tanh, tanh_backward
from .attention import fold, require_fitting, sum_to
from .dropout import keep_scale

ONE_KEY = 0.9  # a weight above this leaves the others so little that the rounding of D shows (step 3)


class FlashAttentionCache(NamedTuple):
    """What `flash_attention_backward` needs: its largest arrays are the inputs and the output."""

    q: Array  # (..., h, T, d_k)
    k: Array  # (..., h_kv, S, d_k)
    v: Array  # (..., h_kv, S, d_v)
    bias: Array | None
    mask: Array | None
    out: Array  # (..., h, T, d_v)
    m: Array  # (..., h, T, 1), the largest score of each query
    log_l: Array  # (..., h, T, 1). L = m + log l in two parts, since the sum rounds log l at the size of m
    reach: Reach  # how far queries see: causal, query_offset and window
    scale: float
    softcap: float | None
    seeds: Array | None  # uint64, (..., h)
    dropout_p: float
    block: tuple[int, int]  # queries, keys


def flash_attention(
    q: npt.ArrayLike,
    k: npt.ArrayLike,
    v: npt.ArrayLike,
    bias: npt.ArrayLike | None = None,
    *,
    mask: npt.ArrayLike | None = None,
    causal: bool = False,
    query_offset: int = 0,
    window: int | None = None,
    scale: float | None = None,
    softcap: float | None = None,
    dropout_p: float = 0.0,
    rng: Random | None = None,
    block_size: int | tuple[int, int] = 64,
) -> tuple[Array, FlashAttentionCache]:
    """Average the values as `scaled_dot_product_attention` does, in memory that grows with T + S alone.

    Parameters
    ----------
    q : array_like, shape (..., h, T, d_k)
    k : array_like, shape (..., h_kv, S, d_k)
    v : array_like, shape (..., h_kv, S, d_v)
        h is a multiple of h_kv; query head i uses key-value head i // (h / h_kv).
    bias : array_like, broadcastable to (..., h, T, S), optional
        Added to the scores. Its gradient has its shape: one of shape (h, 1, S) needs no T x S.
    mask : array_like of bool, broadcastable to (..., h, T, S), optional
        True = may be attended to.
    causal : bool
        Query t sees keys 0 .. t + query_offset only.
    query_offset : int
        Position of the first query among the keys.
    window : int, optional
        Query t sees keys less than `window` away from t + query_offset only, on both sides of it.
    scale : float, optional
        Default 1 / sqrt(d_k).
    softcap : float, optional
        Scores are bent to stay between -softcap and softcap, before bias and masks.
    dropout_p : float
        Dropout of the weights P, 0 <= p <= 1.
    rng : numpy.random.Generator, optional
        Called once, with the shape (..., h) and float64, if `dropout_p` is not 0: a seed for each head, from
        which the backward draws once more what the forward drew. What is dropped does not depend on
        `block_size`, but is not what `scaled_dot_product_attention` drops with the same generator.
    block_size : int or (int, int)
        Queries and keys in a tile, at least 1. All leading axes and heads go through a tile at once. Tiles in
        which nobody sees anything are skipped.

    Returns
    -------
    out : ndarray, shape (..., h, T, d_v)
        Zeros for a query that may attend to nothing. Laid out in memory as `q` is.
    cache : FlashAttentionCache

    Raises
    ------
    ValueError
        If the shapes do not fit together, h is not a multiple of h_kv, `window` or `block_size` is less than
        1, `softcap` is not positive, or `dropout_p` is outside [0, 1].
    TypeError
        If an array is neither float32, float64, complex128 nor integer, `mask` is not boolean,
        `query_offset`, `window` or `block_size` is no integer, or dropout has no `rng`.

    References
    ----------
    Dao et al.: FlashAttention, arXiv:2205.14135 (tiles, and P computed again in the backward).
    Dao: FlashAttention-2, arXiv:2307.08691, algorithms 1 and 2.
    Milakov, Gimelshein: Online normalizer calculation for softmax, arXiv:1805.02867, algorithm 3.

    Examples
    --------
    >>> q, k, v = np.ones((1, 3, 4)), np.ones((1, 3, 4)), [[[0.0], [10.0], [20.0]]]
    >>> out, cache = flash_attention(q, k, v, causal=True, block_size=2)
    >>> out  # query 0 sees key 0 alone, query 2 sees three equal keys in two tiles
    array([[[ 0.],
            [ 5.],
            [10.]]])
    """
    op = "flash_attention"
    q, k, v = as_float(op, "q", q), as_float(op, "k", k), as_float(op, "v", v)
    require_fitting(op, q, k, v)
    shape = (*q.shape[:-1], k.shape[-2])  # of P, which is never made
    if bias is not None:
        bias = as_float(op, "bias", bias)
        require_broadcastable(op, "bias", bias, shape)
    if mask is not None:
        mask = as_mask(op, "mask", mask, shape)
    if isinstance(query_offset, bool) or not isinstance(query_offset, (int, np.integer)):
        bad_type(op, "query_offset", "an integer", repr(query_offset))
    if window is not None:
        window = require_size(op, "window", window, low=1)
    if scale is None:
        scale = 1 / math.sqrt(max(q.shape[-1], 1))
    else:
        scale = require_number(op, "scale", scale, low=-math.inf)
    if softcap is not None:
        softcap = require_positive(op, "softcap", softcap)
    dropout_p = require_number(op, "dropout_p", dropout_p, low=0.0, high=1.0)
    block = _as_pair(op, block_size)
    seeds = draw_seeds(op, q.shape[:-2], rng) if dropout_p else None
    q, k, v = promote(q, k, v, also=bias)

    reach = reach_of(causal, query_offset, window)
    out = np.empty_like(q, shape=(*q.shape[:-1], v.shape[-1]))
    of_each = (*q.shape[:-1], 1)
    m_all, log_l_all = np.empty(of_each, q.real.dtype), np.empty(of_each, q.dtype)
    cache = FlashAttentionCache(
        q, k, v, bias, mask, out, m_all, log_l_all, reach, scale, softcap, seeds, dropout_p, block
    )
    for queries in blocks(q.shape[-2], block[0]):
        scaled = q[..., queries, :] * scale  # before the mask: a complex -inf times anything has a NaN
        m = np.full(scaled[..., :1].shape, -math.inf, m_all.dtype)
        l = np.zeros(m.shape, q.dtype)
        O = np.zeros((*m.shape[:-1], v.shape[-1]), q.dtype)
        for keys in keys_in_reach(reach, queries, k.shape[-2], block[1]):
            scores = _scores(cache, scaled, queries, keys)
            if scores is None:
                continue
            Z, _ = scores
            m_new = np.maximum(m, Z.real.max(axis=-1, keepdims=True))
            base = np.where(m_new == -math.inf, m.dtype.type(0), m_new)  # nothing seen yet: exp(-inf - 0) = 0
            Z -= base
            E = np.exp(Z, out=Z)
            rescale = np.exp(m - base)
            l *= rescale
            l += row_sums(E)
            if seeds is not None:
                E *= keep_again(seeds, queries, keys, dropout_p)
            O *= rescale
            O += (fold(E, k) @ v[..., keys, :]).reshape(O.shape)
            m = m_new
        m[m == -math.inf] = 0.0  # nothing to attend to: 0 / 1
        l[l == 0] = 1.0
        O /= l
        out[..., queries, :] = O if seeds is None else O * keep_scale(dropout_p)
        m_all[..., queries, :] = m
        log_l_all[..., queries, :] = np.log(l)
    return out, cache


# The backward, step by step. i counts queries, j keys; each tile of P is computed once more and used for all.
#
#   0. L_i = m_i + log l_i is the logarithm of softmax's denominator:   P = exp(Z - L).  keep is drawn again.
#   1. O = P̃ V:                                     dV = P̃ᵀ dO,    dP̃ = dO Vᵀ
#   2. P̃ = P · keep / (1 - p):                      dP = dP̃ · keep / (1 - p)
#   3. P is the softmax of Z:                        dS_ij = P_ij (dP_ij - D_i),   D_i = Σ_j P_ij dP_ij
#      The sum over all keys, of which a tile has a few, is known beforehand:
#          D_i = Σ_j P̃_ij dP̃_ij = Σ_j P̃_ij (dO_i · V_j) = dO_i · Σ_j P̃_ij V_j = dO_i · O_i
#      Where one key has nearly all the weight its dP_ij is nearly D_i, and what is left of the difference is
#      the rounding of D_i. As Σ_j P_ij (dP_ij - D_i) = 0, what this sum amounts to is that rounding, and is
#      subtracted too. This takes one more walk over the tiles, of blocks that have such a query.
#   4. The bias is added to the capped scores:       dbias = dS, summed over the axes it was broadcast along
#   5. c · tanh(Z_0 / c), c the softcap, and c · (1 / c) = 1:   dZ_0 = dS · tanh'(Z_0 / c);  dZ_0 = dS without
#   6. Z_0 = scale · Q Kᵀ:                           dQ = scale · dZ_0 K,   dK = scale · dZ_0ᵀ Q
#      dQ sums over the tiles of a block of queries, dK and dV over those of a block of keys. A key-value head
#      shared by several query heads collects from all of them: their queries are stacked into one long axis.
def flash_attention_backward(
    dout: npt.ArrayLike, cache: FlashAttentionCache, intermediates: dict[str, Array] | None = None
) -> tuple[Array, Array, Array, Array | None]:
    """Gradients of `flash_attention`, with the dropout that the forward drew.

    Parameters
    ----------
    dout : array_like, shape (..., h, T, d_v)
        Gradient of the loss with respect to `out`.
    cache : FlashAttentionCache
    intermediates : dict, optional
        Filled with "L" (step 0; 0 for a query that sees nothing) and "D" (step 3), both (..., h, T, 1).
        dP and dS, which `scaled_dot_product_attention_backward` shows, are never there as a whole.

    Returns
    -------
    dq : ndarray, shape (..., h, T, d_k)
    dk : ndarray, shape (..., h_kv, S, d_k)
    dv : ndarray, shape (..., h_kv, S, d_v)
        Laid out in memory as q, k and v are.
    dbias : ndarray, the shape of bias, or None without one

    Raises
    ------
    ValueError
        If `dout` does not have the shape of `out`.

    Examples
    --------
    >>> q, k, v = np.zeros((1, 1, 2)), np.ones((1, 2, 2)), [[[1.0], [3.0]]]
    >>> out, cache = flash_attention(q, k, v, block_size=1)
    >>> dq, dk, dv, dbias = flash_attention_backward([[[10.0]]], cache)
    >>> dv  # both keys have weight 1/2
    array([[[5.],
            [5.]]])
    """
    q, k, v, bias = cache.q, cache.k, cache.v, cache.bias
    dout = as_dout("flash_attention", dout, cache.out.shape)

    dtype = np.result_type(dout, q)
    dq, dk, dv = (np.zeros_like(x, dtype=dtype) for x in (q, k, v))
    dbias = None if bias is None else np.zeros_like(bias, dtype=dtype)
    D = row_sums(dout * cache.out)  # 3
    if intermediates is not None:
        intermediates |= {"L": cache.m + cache.log_l, "D": D.copy()}
    for queries in blocks(q.shape[-2], cache.block[0]):
        scaled = q[..., queries, :] * cache.scale  # 0
        seen = list(keys_in_reach(cache.reach, queries, k.shape[-2], cache.block[1]))
        D_i = D[..., queries, :]
        rounding = np.zeros_like(D_i)
        one_key = np.exp(-cache.log_l[..., queries, :].real) > ONE_KEY  # the weight of the largest score
        for keys in seen if one_key.any() else ():
            tile = _tile(cache, dout, scaled, queries, keys)
            if tile is not None:
                rounding += row_sums(tile.P * (tile.dP - D_i))  # 3
        rounding *= one_key  # for the others it is nothing: no query's numbers depend on its neighbours
        for keys in seen:
            tile = _tile(cache, dout, scaled, queries, keys)  # 0, 1, 2
            if tile is None:
                continue
            P, P_kept, dP, cap = tile
            dv[..., keys, :] += fold(P_kept, k).swapaxes(-1, -2) @ fold(dout[..., queries, :], k)  # 1
            dP -= D_i  # 3
            dP -= rounding  # 3
            dP *= P  # 3
            dS = dP  # 3, in the place of dP
            if dbias is not None:
                dbias_tile = part(dbias, queries, keys)
                dbias_tile += sum_to(dS, dbias_tile.shape)  # 4
            dZ_0 = fold(dS if cap is None else tanh_backward(dS, cap), k)  # 5
            dq[..., queries, :] += (dZ_0 @ k[..., keys, :]).reshape(scaled.shape)  # 6
            dk[..., keys, :] += dZ_0.swapaxes(-1, -2) @ fold(q[..., queries, :], k)  # 6
    dq *= cache.scale  # 6
    dk *= cache.scale  # 6
    if cache.seeds is not None:
        dv *= keep_scale(cache.dropout_p)  # 1
    return dq, dk, dv, dbias


def _as_pair(op: str, block_size: Any) -> tuple[int, int]:
    """Return how many queries and how many keys there are in a tile."""
    rows, columns = block_size if np.shape(block_size) == (2,) else (block_size, block_size)
    return require_size(op, "block_size", rows, low=1), require_size(op, "block_size", columns, low=1)


class _Tile(NamedTuple):
    """A tile of the weights, and of their gradient; both may be written to."""

    P: Array
    P_kept: Array  # without dropout P itself
    dP: Array
    cap: TanhCache | None


def _tile(
    cache: FlashAttentionCache, dout: Array, scaled: Array, queries: slice, keys: slice
) -> _Tile | None:
    """Steps 0 to 2 for some queries and keys; None where nobody sees anything."""
    scores = _scores(cache, scaled, queries, keys)
    if scores is None:
        return None
    Z, cap = scores
    Z -= cache.m[..., queries, :]
    Z -= cache.log_l[..., queries, :]
    P = P_kept = np.exp(Z, out=Z)  # 0
    dP = fold(dout[..., queries, :], cache.k) @ cache.v[..., keys, :].swapaxes(-1, -2)  # 1
    dP = dP.reshape(P.shape)
    if cache.seeds is not None:
        keep = keep_again(cache.seeds, queries, keys, cache.dropout_p)
        P_kept = P * keep
        dP *= keep  # 2
        dP *= keep_scale(cache.dropout_p)
    return _Tile(P, P_kept, dP, cap)


def _scores(
    cache: FlashAttentionCache, scaled: Array, queries: slice, keys: slice
) -> tuple[Array, TanhCache | None] | None:
    """Return a tile of Z and, with a softcap, the cache of its tanh; None where nobody sees anything.

    `scaled` are the queries times scale.
    """
    allowed = allowed_in(cache.mask, cache.reach, queries, keys)
    if allowed is not None and not allowed.any():
        return None
    k_tile = cache.k[..., keys, :]
    Z = fold(scaled, cache.k) @ k_tile.swapaxes(-1, -2)
    Z = Z.reshape(*scaled.shape[:-1], k_tile.shape[-2])
    cap = None
    if cache.softcap is not None:
        Z /= cache.softcap
        Z, cap = tanh(Z)
        Z *= cache.softcap
    if cache.bias is not None:
        Z += part(cache.bias, queries, keys)
    if allowed is not None:
        Z += np.where(allowed, 0.0, -math.inf).astype(Z.real.dtype)
    return Z, cap


def whole_keep(cache: FlashAttentionCache) -> Array | None:
    """Return what dropout kept of all weights, bool (..., h, T, S), to compare with; None without dropout."""
    if cache.seeds is None:
        return None
    T, S = cache.q.shape[-2], cache.k.shape[-2]
    return keep_again(cache.seeds, slice(0, T), slice(0, S), cache.dropout_p)
