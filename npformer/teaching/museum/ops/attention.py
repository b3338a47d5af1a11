"""Attention with a mask and dropout, with softcap and window, and multi-head self-attention."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def masked_softmax(scores: Any, mask: Any) -> Any:
    """Softmax over the keys that may be seen; zeros for a row without any."""
    z = np.where(mask, scores, -np.inf)
    top = z.real.max(axis=-1, keepdims=True)
    e = np.exp(z - np.where(np.isfinite(top), top, 0))
    e = np.where(mask, e, 0)
    total = e.sum(axis=-1, keepdims=True)
    return e / np.where(total == 0, 1, total)


def scaled_dot_product_attention_forward(q: Any, k: Any, v: Any, mask: Any, rng: Any, p: Any = 0.3) -> Any:
    """softmax(q kᵀ / √d) v, with dropout of the weights."""
    scores = q @ np.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1])
    weights = masked_softmax(scores, mask)
    keep = (rng.random(weights.shape) >= p) / (1 - p)
    return (weights * keep) @ v, (q, k, v, mask, weights, keep)


def scaled_dot_product_attention_backward(dout: Any, cache: Any) -> Any:
    """Return dq, dk, dv."""
    q, k, v, mask, weights, keep = cache
    scale = 1 / math.sqrt(q.shape[-1])
    P = weights
    dropped = P * keep
    dv = np.swapaxes(dropped, -1, -2) @ dout
    dP = dout @ np.swapaxes(v, -1, -2)
    dP = dP * keep
    p = P
    total = (p * dP).sum(axis=-1, keepdims=True)
    inner = dP - total
    dS = p * inner
    dq = dS @ k
    dk = np.swapaxes(dS, -1, -2) @ q
    dq = dq * scale
    dk = dk * scale
    return dq, dk, dv


def softcapped_attention_forward(
    q: Any, k: Any, v: Any, mask: Any, softcap: Any = 1.5, window: Any = 3
) -> Any:
    """softmax(softcap · tanh(q kᵀ / √d / softcap)) v: the last queries, each over the last `window` keys."""
    T, S = q.shape[-2], k.shape[-2]
    age = np.arange(S - T, S)[:, None] - np.arange(S)  # of key s, when query t comes
    seen = mask & (age >= 0) & (age < window)
    scores = q @ np.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1])
    capped = softcap * np.tanh(scores / softcap)
    weights = masked_softmax(capped, seen)
    return weights @ v, (q, k, v, mask, age, seen, scores, capped, weights, softcap, window)


def softcapped_attention_backward(dout: Any, cache: Any) -> Any:
    """Return dq, dk, dv."""
    q, k, v, mask, age, seen, scores, capped, weights, softcap, window = cache
    P = weights
    dv = np.swapaxes(P, -1, -2) @ dout
    dP = dout @ np.swapaxes(v, -1, -2)
    dS = P * (dP - (P * dP).sum(axis=-1, keepdims=True))
    slope = 1 - (capped / softcap) ** 2
    dZ = dS * slope
    dZ = dZ / math.sqrt(q.shape[-1])
    dq = dZ @ k
    dk = np.swapaxes(dZ, -1, -2) @ q
    return dq, dk, dv


def split(x: Any, h: Any) -> Any:
    """(B, T, h d) -> (B, h, T, d)."""
    B, T, d = x.shape
    return x.reshape(B, T, h, d // h).transpose(0, 2, 1, 3)


def join(x: Any) -> Any:
    """(B, h, T, d) -> (B, T, h d)."""
    B, h, T, d = x.shape
    return x.transpose(0, 2, 1, 3).reshape(B, T, h * d)


def multi_head_attention_forward(
    x: Any,
    w_q: Any,
    w_k: Any,
    w_v: Any,
    w_o: Any,
    b_q: Any,
    b_k: Any,
    b_v: Any,
    b_o: Any,
    mask: Any,
    h: Any = 2,
) -> Any:
    """Self-attention with h heads."""
    q, k, v = split(x @ w_q + b_q, h), split(x @ w_k + b_k, h), split(x @ w_v + b_v, h)
    P = masked_softmax(q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1]), mask)
    joined = join(P @ v)
    return joined @ w_o + b_o, (x, w_q, w_k, w_v, w_o, q, k, v, P, joined, h)


def multi_head_attention_backward(dout: Any, cache: Any) -> Any:
    """Return the gradients of x, the weights and the biases."""
    x, w_q, w_k, w_v, w_o, q, k, v, P, joined, h = cache
    scale = 1 / math.sqrt(q.shape[-1])
    rows = x.reshape(-1, x.shape[-1])
    last = dout.reshape(-1, dout.shape[-1])
    before_output = joined.reshape(-1, joined.shape[-1])
    dw_o = before_output.T @ last
    db_o = last.sum(axis=0)
    djoined = dout @ w_o.T
    dO = split(djoined, h)
    dv = P.swapaxes(-1, -2) @ dO
    dP = dO @ v.swapaxes(-1, -2)
    total = (P * dP).sum(axis=-1, keepdims=True)
    dS = P * (dP - total)
    dS = dS * scale
    dq, dk = dS @ k, dS.swapaxes(-1, -2) @ q
    dQ, dK, dV = join(dq), join(dk), join(dv)
    dw_q = rows.T @ dQ.reshape(len(rows), -1)
    dw_k = rows.T @ dK.reshape(len(rows), -1)
    dw_v = rows.T @ dV.reshape(len(rows), -1)
    db_q = dQ.sum(axis=(0, 1))
    db_k = dK.sum(axis=(0, 1))
    db_v = dV.sum(axis=(0, 1))
    dx = dQ @ w_q.T
    dx = dx + dK @ w_k.T
    dx = dx + dV @ w_v.T
    return dx, dw_q, dw_k, dw_v, dw_o, db_q, db_k, db_v, db_o


def unit_rows(x: Any) -> Any:
    """Divide each row by its root mean square."""
    rms = np.sqrt((x * x).mean(axis=-1, keepdims=True) + 1e-6)
    return x / rms, rms


def query_key_norm_attention_forward(
    x: Any, w_q: Any, w_k: Any, w_v: Any, w_o: Any, gamma_q: Any, gamma_k: Any, mask: Any
) -> Any:
    """Self-attention whose queries and keys are normalised in each head, of the width of gamma."""
    h = w_q.shape[1] // len(gamma_q)
    v = split(x @ w_v, h)
    q_unit, q_rms = unit_rows(split(x @ w_q, h))
    k_unit, k_rms = unit_rows(split(x @ w_k, h))
    q, k = gamma_q * q_unit, gamma_k * k_unit
    P = masked_softmax(q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1]), mask)
    joined = join(P @ v)
    norms = (q_unit, q_rms, gamma_q), (k_unit, k_rms, gamma_k)
    return joined @ w_o, (x, w_q, w_k, w_v, w_o, q, k, v, P, joined, norms, h)


def query_key_norm_attention_backward(dout: Any, cache: Any) -> Any:
    """Return dx, the gradients of the weights, dgamma_q, dgamma_k."""
    x, w_q, w_k, w_v, w_o, q, k, v, P, joined, norms, h = cache
    rows = x.reshape(-1, x.shape[-1])

    def through_norm(dy: Any, unit: Any, rms: Any, gamma: Any) -> Any:
        dn = dy * gamma
        inner = dn - unit * (dn * unit).mean(axis=-1, keepdims=True)
        return inner / rms, (dy * unit).sum(axis=(0, 1, 2))

    dw_o = joined.reshape(-1, joined.shape[-1]).T @ dout.reshape(-1, dout.shape[-1])
    dO = split(dout @ w_o.T, h)
    dv = P.swapaxes(-1, -2) @ dO
    dP = dO @ v.swapaxes(-1, -2)
    dS = P * (dP - (P * dP).sum(axis=-1, keepdims=True)) / math.sqrt(q.shape[-1])
    dq, dgamma_q = through_norm(dS @ k, *norms[0])
    dk, dgamma_k = through_norm(dS.swapaxes(-1, -2) @ q, *norms[1])
    dQ, dK, dV = join(dq), join(dk), join(dv)
    dw_q, dw_k, dw_v = (rows.T @ g.reshape(-1, g.shape[-1]) for g in (dQ, dK, dV))
    dx = dQ @ w_q.T + dK @ w_k.T + dV @ w_v.T
    return dx, dw_q, dw_k, dw_v, dw_o, dgamma_q, dgamma_k
