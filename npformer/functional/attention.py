"""Scaled dot-product attention.

    Z_0 = scale · Q Kᵀ
    Z   = c · tanh(Z_0 / c) + bias           (softcap c; Z = Z_0 + bias without it)
                                             (-inf where the mask, causality or the window forbids)
    P   = exp(Z - max Z) / Σ exp(Z - max Z)  over the keys
    P̃   = P · keep / (1 - p)                 (dropout; P̃ = P without it)
    O   = P̃ V

Query t stands at position t + query_offset among the keys. Causality forbids it the keys after that, a window
of n those that are n or more away: with both, it sees the last n, the one at its own position among them.
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
    as_mask,
    bad_type,
    bad_value,
    promote,
    require_broadcastable,
    require_number,
    require_positive,
    require_size,
)
from ._rows import row_sums
from .activations import TanhCache, tanh, tanh_backward
from .dropout import draw_keep, keep_scale


class ScaledDotProductAttentionCache(NamedTuple):
    """What `scaled_dot_product_attention_backward` needs."""

    q: Array  # (..., h, T, d_k)
    k: Array  # (..., h_kv, S, d_k)
    v: Array  # (..., h_kv, S, d_v)
    P: Array  # (..., h, T, S)
    scale: float
    bias_shape: tuple[int, ...] | None
    keep: Array | None  # bool, (..., h, T, S)
    dropout_p: float
    cap: TanhCache | None  # of softcap: tanh'(Z_0 / c), (..., h, T, S)


def scaled_dot_product_attention(
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
) -> tuple[Array, ScaledDotProductAttentionCache]:
    """Average the values, for each query with weights that come from its products with the keys.

    Parameters
    ----------
    q : array_like, shape (..., h, T, d_k)
    k : array_like, shape (..., h_kv, S, d_k)
    v : array_like, shape (..., h_kv, S, d_v)
        h is a multiple of h_kv; query head i uses key-value head i // (h / h_kv).
    bias : array_like, broadcastable to (..., h, T, S), optional
        Added to the scores.
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
        Called once, with the shape of P and float32, if `dropout_p` is not 0.

    Returns
    -------
    out : ndarray, shape (..., h, T, d_v)
        Zeros for a query that may attend to nothing. Laid out in memory as `q` is.
    cache : ScaledDotProductAttentionCache

    Raises
    ------
    ValueError
        If the shapes do not fit together, h is not a multiple of h_kv, `window` is less than 1, `softcap` is
        not positive, or `dropout_p` is outside [0, 1].
    TypeError
        If an array is neither float32, float64, complex128 nor integer, `mask` is not boolean,
        `query_offset` or `window` is no integer, or dropout has no `rng`.

    References
    ----------
    Vaswani et al.: Attention Is All You Need, arXiv:1706.03762, equation 1.
    Ainslie et al.: GQA, arXiv:2305.13245 (fewer key-value heads than query heads).
    Beltagy, Peters, Cohan: Longformer, arXiv:2004.05150, section 3.1 (windows).
    Jiang et al.: Mistral 7B, arXiv:2310.06825, section 2 (windows with causality).
    Gemma Team: Gemma 2, arXiv:2408.00118, section 2 (softcap).

    Examples
    --------
    >>> q, k, v = np.ones((1, 2, 4)), np.ones((1, 2, 4)), [[[0.0], [10.0]]]
    >>> out, cache = scaled_dot_product_attention(q, k, v, causal=True)
    >>> out  # query 0 sees key 0 alone, query 1 sees two equal keys
    array([[[0.],
            [5.]]])
    """
    op = "scaled_dot_product_attention"
    q, k, v = as_float(op, "q", q), as_float(op, "k", k), as_float(op, "v", v)
    require_fitting(op, q, k, v)
    shape = (*q.shape[:-1], k.shape[-2])  # of P
    if bias is not None:
        bias = as_float(op, "bias", bias)
        require_broadcastable(op, "bias", bias, shape)
    if isinstance(query_offset, bool) or not isinstance(query_offset, (int, np.integer)):
        bad_type(op, "query_offset", "an integer", repr(query_offset))
    allowed = None if mask is None else as_mask(op, "mask", mask, shape)
    if causal:
        triangle = np.tri(shape[-2], shape[-1], k=query_offset, dtype=bool)
        allowed = triangle if allowed is None else allowed & triangle
    if window is not None:
        window = require_size(op, "window", window, low=1)
        distance = np.arange(shape[-2])[:, None] + query_offset - np.arange(shape[-1])  # (T, S)
        band = abs(distance) < window
        allowed = band if allowed is None else allowed & band
    if scale is None:
        scale = 1 / math.sqrt(max(q.shape[-1], 1))
    else:
        scale = require_number(op, "scale", scale, low=-math.inf)
    if softcap is not None:
        softcap = require_positive(op, "softcap", softcap)
    dropout_p = require_number(op, "dropout_p", dropout_p, low=0.0, high=1.0)
    keep = draw_keep(op, shape, dropout_p, rng) if dropout_p else None
    q, k, v = promote(q, k, v, also=bias)

    # (T, S) arrays are the large ones: made once, then worked on in place
    # and the scale comes before the mask, on the small factor: a complex -inf times anything has a NaN
    Z = (fold(q * scale, k) @ k.swapaxes(-1, -2)).reshape(shape)
    cap = None
    if softcap is not None:
        Z /= softcap
        Z, cap = tanh(Z)
        Z *= softcap
    if bias is not None:
        Z += bias
    if allowed is not None:
        Z += np.where(allowed, 0.0, -math.inf).astype(Z.real.dtype)
    top = Z.real.max(axis=-1, keepdims=True, initial=-math.inf)
    top[top == -math.inf] = 0.0  # a row with nothing to attend to: exp(-inf - 0) = 0
    Z -= top
    P = np.exp(Z, out=Z)
    total = row_sums(P)
    total[total == 0] = 1.0  # the same rows: 0 / 1
    P /= total

    P_kept = P if keep is None else P * keep
    out = np.matmul(fold(P_kept, k), v, out=_like(q, k, v.shape[-1], q.dtype))
    out = out.reshape(*q.shape[:-1], v.shape[-1])
    if keep is not None:
        out *= keep_scale(dropout_p)
    bias_shape = None if bias is None else bias.shape
    return out, ScaledDotProductAttentionCache(
        q, k, v, P, scale, bias_shape, keep, dropout_p, cap
    )


# The backward, step by step. i counts queries, j keys; a forbidden key has P = 0, and so has a row of them.
#
#   1. O = P̃ V:                                     dV = P̃ᵀ dO,    dP̃ = dO Vᵀ
#   2. P̃ = P · keep / (1 - p):                      dP = dP̃ · keep / (1 - p)
#   3. P is the softmax of Z: ∂P_ij'/∂Z_ij = P_ij' (δ_jj' - P_ij), so that
#          dZ_ij = P_ij (dP_ij - D_i),   D_i = Σ_j P_ij dP_ij
#      dP is centred twice: where one key has nearly all the weight, dP_ij - D_i nearly cancels, and the
#      rounding of D_i, the same for all keys, shows; as each row of P sums to 1, a second pass takes it out.
#      (D_i = O_i · dO_i is the shorter sum, and rounds worst there.) dZ is known as dS: of the scores.
#   4. The bias is added to Z:                       dbias = dS, summed over the axes it was broadcast along
#   5. Z = c · tanh(Z_0 / c) + bias, and c · (1 / c) = 1:  dZ_0 = dS · tanh'(Z_0 / c),    tanh' = 1 - tanh²
#      (dZ_0 = dS without softcap)
#   6. Z_0 = scale · Q Kᵀ:                           dQ = scale · dZ_0 K,  dK = scale · dZ_0ᵀ Q
#      A key-value head shared by several query heads collects from all of them: their queries are
#      stacked into one long axis, and the sum is the product's own.
def scaled_dot_product_attention_backward(
    dout: npt.ArrayLike, cache: ScaledDotProductAttentionCache, intermediates: dict[str, Array] | None = None
) -> tuple[Array, Array, Array, Array | None]:
    """Gradients of `scaled_dot_product_attention`, with the dropout that the forward drew.

    Parameters
    ----------
    dout : array_like, shape (..., h, T, d_v)
        Gradient of the loss with respect to `out`.
    cache : ScaledDotProductAttentionCache
    intermediates : dict, optional
        Filled with "dP" (step 2) and "dS" (step 3), both (..., h, T, S). dS is the gradient of the scores
        that the softmax sees, Z: after the softcap and the bias.

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
    >>> out, cache = scaled_dot_product_attention(q, k, v)
    >>> dq, dk, dv, dbias = scaled_dot_product_attention_backward([[[10.0]]], cache)
    >>> dv  # both keys have weight 1/2
    array([[[5.],
            [5.]]])
    """
    q, k, v, P, scale, bias_shape, keep, dropout_p, cap = cache
    dout = as_dout("scaled_dot_product_attention", dout, (*q.shape[:-1], v.shape[-1]))

    P_kept = P if keep is None else P * keep
    dP = (fold(dout, k) @ v.swapaxes(-1, -2)).reshape(P.shape)  # 1
    dtype = dP.dtype
    dv = np.matmul(fold(P_kept, k).swapaxes(-1, -2), fold(dout, k), out=np.empty_like(v, dtype=dtype))  # 1
    if keep is not None:
        dv *= keep_scale(dropout_p)
        dP *= keep  # 2
        dP *= keep_scale(dropout_p)
    if intermediates is not None:
        intermediates["dP"] = dP.copy()
    D = row_sums(P * dP)  # 3
    dP -= D  # 3
    dP -= row_sums(P * dP)  # 3, the second pass
    dP *= P  # 3
    dS = dP  # 3, in the place of dP
    if intermediates is not None:
        intermediates["dS"] = dS.copy()
    dbias = None if bias_shape is None else sum_to(dS, bias_shape)  # 4
    dZ_0 = dS if cap is None else tanh_backward(dS, cap)  # 5
    dZ_0 = fold(dZ_0, k)
    dq = np.matmul(dZ_0, k, out=_like(q, k, k.shape[-1], dtype)).reshape(q.shape)  # 6
    dk = np.matmul(dZ_0.swapaxes(-1, -2), fold(q, k), out=np.empty_like(k, dtype=dtype))  # 6
    dq *= scale
    dk *= scale
    return dq, dk, dv, dbias


def require_fitting(op: str, q: Array, k: Array, v: Array) -> None:
    """Raise unless q, k and v are queries, keys and values of one attention."""
    if q.ndim < 2:
        bad_value(op, "q", "shape (..., h, T, d_k)", f"shape {q.shape}")
    fits = k.ndim == q.ndim and k.shape[:-3] == q.shape[:-3] and k.shape[-1] == q.shape[-1]
    if fits and k.shape[:-2] != q.shape[:-2]:
        h, h_kv = q.shape[-3], k.shape[-3]
        fits = h_kv > 0 and h % h_kv == 0
    if not fits:
        expected = f"shape (..., h_kv, S, d_k), h a multiple of h_kv, for q {q.shape} = (..., h, T, d_k)"
        bad_value(op, "k", expected, f"shape {k.shape}")
    if v.ndim != k.ndim or v.shape[:-1] != k.shape[:-1]:
        bad_value(op, "v", f"shape (..., h_kv, S, d_v) = {(*k.shape[:-1], 'd_v')}", f"shape {v.shape}")


def fold(x: Array, k: Array) -> Array:
    """(..., h, T, n) -> (..., h_kv, h/h_kv · T, n): queries whose heads share a key head in one axis.

    A view wherever the layout allows it, and always where h = h_kv.
    """
    h, h_kv = math.prod(x.shape[-3:-2]), math.prod(k.shape[-3:-2])
    group = h // h_kv if h_kv else 1
    return x.reshape(*k.shape[:-2], group * x.shape[-2], x.shape[-1])


def _like(q: Array, k: Array, d: int, dtype: npt.DTypeLike) -> Array | None:
    """Return room for a product of shape (..., h, T, d), laid out as q is: merging heads then needs no copy.

    None (room is made by the product) where heads share keys, since the product is folded then.
    """
    if q.shape[:-2] != k.shape[:-2]:
        return None
    return np.empty_like(q, shape=(*q.shape[:-1], d), dtype=dtype)


def sum_to(x: Array, shape: tuple[int, ...]) -> Array:
    """Sum `x` over the axes along which an array of `shape` was broadcast to it."""
    shape_in_full = (1,) * (x.ndim - len(shape)) + shape
    axes = tuple(i for i, (n, m) in enumerate(zip(shape_in_full, x.shape, strict=True)) if n == 1 and m != 1)
    return (x.sum(axis=axes, keepdims=True) if axes else x).reshape(shape)
