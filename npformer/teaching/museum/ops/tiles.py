"""Causal attention in tiles, with dropout that is drawn again, tile by tile, from a seed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def scores(q: Any, k: Any, i: Any, j: Any) -> Any:
    """A tile of q kᵀ / √d, whose first query is i and whose first key is j; -inf for what is ahead."""
    z = q @ np.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1])
    ahead = j + np.arange(k.shape[-2]) > i + np.arange(q.shape[-2])[:, None]
    return z + np.where(ahead, -np.inf, 0.0)


def kept(seed: Any, i: Any, j: Any, shape: Any, p: Any) -> Any:
    """What dropout keeps of a tile, divided by the share that it keeps."""
    return (np.random.default_rng([seed, i, j]).random(shape) >= p) / (1 - p)


def flash_attention_forward(q: Any, k: Any, v: Any, rng: Any, p: Any = 0.3, size: Any = 2) -> Any:
    """softmax(q kᵀ / √d) v for queries that see no key after them, by tiles of size x size."""
    seed, n = int(rng.random() * 2**32), q.shape[-2]
    out = np.zeros((*q.shape[:-1], v.shape[-1]), q.dtype)
    largest, total = np.zeros((*q.shape[:-1], 1)), np.zeros((*q.shape[:-1], 1), q.dtype)
    for i in range(0, n, size):
        t = slice(i, i + size)
        m, l, o = -np.inf, 0.0, 0.0
        for j in range(0, min(i + size, n), size):
            s = slice(j, j + size)
            z = scores(q[..., t, :], k[..., s, :], i, j)
            m_new = np.maximum(m, z.real.max(axis=-1, keepdims=True))
            e = np.exp(z - m_new)
            rescale = np.exp(m - m_new)
            l = l * rescale + e.sum(axis=-1, keepdims=True)
            o = o * rescale + (e * kept(seed, i, j, z.shape, p)) @ v[..., s, :]
            m = m_new
        out[..., t, :] = o / l
        largest[..., t, :], total[..., t, :] = m, l
    return out, (q, k, v, out, largest, total, seed, p, size)


def flash_attention_backward(dout: Any, cache: Any) -> Any:
    """Return dq, dk, dv."""
    q, k, v, out, largest, total, seed, p, size = cache
    n, scale = q.shape[-2], 1 / math.sqrt(q.shape[-1])
    dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    L = largest + np.log(total)
    D = (dout * out).sum(axis=-1, keepdims=True)
    for i in range(0, n, size):
        t = slice(i, i + size)
        for j in range(0, min(i + size, n), size):
            s = slice(j, j + size)
            z = scores(q[..., t, :], k[..., s, :], i, j)
            P = np.exp(z - L[..., t, :])
            keep = kept(seed, i, j, z.shape, p)
            dropped = P * keep
            dv[..., s, :] += np.swapaxes(dropped, -1, -2) @ dout[..., t, :]
            dP = dout[..., t, :] @ np.swapaxes(v[..., s, :], -1, -2)
            dP = dP * keep
            dS = P * (dP - D[..., t, :])
            dq[..., t, :] += dS @ k[..., s, :]
            dk[..., s, :] += np.swapaxes(dS, -1, -2) @ q[..., t, :]
    return dq * scale, dk * scale, dv
