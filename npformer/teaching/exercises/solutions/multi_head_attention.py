"""Multi-head self-attention: h small attentions side by side.

    q, k, v = split(x W_q + b_q), split(x W_k + b_k), split(x W_v + b_v)
    O = attention(q, k, v) in each head
    y = join(O) W_o + b_o

Head i owns the i-th slice of the features. x is used three times: its gradient is a sum of three.
"""

import math
from typing import Any

import numpy as np

Array = np.ndarray


def masked_softmax(scores: Array, mask: Array) -> Array:
    """Softmax over the entries where the mask is True; zeros in a row without any. Given."""
    z = np.where(mask, scores, -np.inf)
    top = z.max(axis=-1, keepdims=True)
    e = np.where(mask, np.exp(z - np.where(np.isfinite(top), top, 0)), 0)
    total = e.sum(axis=-1, keepdims=True)
    return e / np.where(total == 0, 1, total)


def split(x: Array, h: int) -> Array:
    """(B, T, h d) -> (B, h, T, d)."""
    B, T, d = x.shape
    return x.reshape(B, T, h, d // h).transpose(0, 2, 1, 3)


def join(x: Array) -> Array:
    """(B, h, T, d) -> (B, T, h d)."""
    B, h, T, d = x.shape
    return x.transpose(0, 2, 1, 3).reshape(B, T, h * d)


def multi_head_attention_forward(
    x: Array,
    w_q: Array,
    w_k: Array,
    w_v: Array,
    w_o: Array,
    b_q: Array,
    b_k: Array,
    b_v: Array,
    b_o: Array,
    mask: Array,
    h: int = 2,
) -> tuple[Array, Any]:
    """Return y (B, T, d_out) and the cache (x, w_q, w_k, w_v, w_o, q, k, v, P, joined, h).

    x is (B, T, d_model), w_q, w_k, w_v are (d_model, h d), w_o is (h d, d_out), the biases fit; mask is
    (B, 1, T, T), True = may be attended to. q, k, v are (B, h, T, d), P is (B, h, T, T), joined is
    (B, T, h d).
    """
    q, k, v = split(x @ w_q + b_q, h), split(x @ w_k + b_k, h), split(x @ w_v + b_v, h)
    P = masked_softmax(q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1]), mask)
    joined = join(P @ v)
    return joined @ w_o + b_o, (x, w_q, w_k, w_v, w_o, q, k, v, P, joined, h)


def multi_head_attention_backward(dout: Array, cache: Any) -> tuple[Array, ...]:
    """Return dx, dw_q, dw_k, dw_v, dw_o, db_q, db_k, db_v, db_o. dout is (B, T, d_out)."""
    x, w_q, w_k, w_v, w_o, q, k, v, P, joined, h = cache
    rows = x.reshape(-1, x.shape[-1])
    last = dout.reshape(-1, dout.shape[-1])
    dw_o = joined.reshape(-1, joined.shape[-1]).T @ last
    db_o = last.sum(axis=0)
    dO = split(dout @ w_o.T, h)
    dP = dO @ v.swapaxes(-1, -2)
    dS = P * (dP - (P * dP).sum(axis=-1, keepdims=True)) / math.sqrt(q.shape[-1])
    dQ = join(dS @ k)
    dK = join(dS.swapaxes(-1, -2) @ q)
    dV = join(P.swapaxes(-1, -2) @ dO)
    dw_q, dw_k, dw_v = (rows.T @ d.reshape(len(rows), -1) for d in (dQ, dK, dV))
    db_q, db_k, db_v = (d.sum(axis=(0, 1)) for d in (dQ, dK, dV))
    dx = dQ @ w_q.T + dK @ w_k.T + dV @ w_v.T
    return dx, dw_q, dw_k, dw_v, dw_o, db_q, db_k, db_v, db_o
