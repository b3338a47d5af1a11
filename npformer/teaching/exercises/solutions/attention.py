"""Scaled dot-product attention with a mask.

    S = q kᵀ / √d_k          where the mask is False: -∞
    P = softmax(S)           over the keys
    out = P v

A query that may attend to nothing gets zeros, not NaN: -∞ minus -∞ is not a number.
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


def attention_forward(q: Array, k: Array, v: Array, mask: Array) -> tuple[Array, Any]:
    """Return out (B, T, d_v) and the cache (q, k, v, P).

    q is (B, T, d_k), k is (B, S, d_k), v is (B, S, d_v); mask is (B, T, S), True = may be attended to.
    """
    P = masked_softmax(q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1]), mask)
    return P @ v, (q, k, v, P)


def attention_backward(dout: Array, cache: Any) -> tuple[Array, Array, Array]:
    """Return dq, dk, dv. dout is (B, T, d_v)."""
    q, k, v, P = cache
    scale = 1 / math.sqrt(q.shape[-1])
    dv = P.swapaxes(-1, -2) @ dout
    dP = dout @ v.swapaxes(-1, -2)
    dS = P * (dP - (P * dP).sum(axis=-1, keepdims=True))
    dq = dS @ k * scale
    dk = dS.swapaxes(-1, -2) @ q * scale
    return dq, dk, dv
