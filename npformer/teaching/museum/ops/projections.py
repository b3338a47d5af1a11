"""Linear, embedding, dropout, rotary, a residual branch, a shared table."""

from __future__ import annotations

from typing import Any

import numpy as np


def linear_forward(x: Any, w: Any, b: Any) -> Any:
    """y = x @ w + b."""
    return x @ w + b, (x, w)


def linear_backward(dout: Any, cache: Any) -> Any:
    """Return dx, dw, db."""
    x, w = cache
    dx = dout @ w.T
    dw = x.T @ dout
    db = dout.sum(axis=0)
    return dx, dw, db


def embedding_forward(ids: Any, table: Any) -> Any:
    """Return the rows of the table."""
    return table[ids], (ids, table.shape)


def embedding_backward(dout: Any, cache: Any) -> Any:
    """Return dtable."""
    ids, shape = cache
    dtable = np.zeros(shape, dout.dtype)
    np.add.at(dtable, ids, dout)
    return dtable


def dropout_forward(x: Any, rng: Any, p: Any = 0.3) -> Any:
    """Drop, and scale what is kept."""
    mask = rng.random(x.shape) >= p
    return x * mask / (1 - p), (mask, p)


def dropout_backward(dout: Any, cache: Any) -> Any:
    """Return dx."""
    mask, p = cache
    kept = dout * mask
    return kept / (1 - p)


def rotary_forward(x: Any, base: Any = 100.0) -> Any:
    """Rotate the features of position t by t times their frequency, in halves."""
    T, d = x.shape[-2:]
    t = np.arange(T)
    angle = np.outer(t, base ** (-np.arange(d // 2) / (d // 2)))
    c, s = np.cos(angle), np.sin(angle)
    x1, x2 = x[..., : d // 2], x[..., d // 2 :]
    return np.concatenate([x1 * c - x2 * s, x2 * c + x1 * s], axis=-1), (T, d, base)


def rotary_backward(dout: Any, cache: Any) -> Any:
    """Rotate back."""
    T, d, base = cache
    t = np.arange(0, T)
    angle = np.outer(t, base ** (-np.arange(d // 2) / (d // 2)))
    c, s = np.cos(angle), np.sin(angle)
    d1, d2 = dout[..., : d // 2], dout[..., d // 2 :]
    other1, other2 = d2, -d1
    dx1 = d1 * c + other1 * s
    dx2 = d2 * c + other2 * s
    return np.concatenate([dx1, dx2], axis=-1)


def residual_forward(x: Any, w: Any) -> Any:
    """y = x + x @ w."""
    return x + x @ w, (x, w)


def residual_backward(dout: Any, cache: Any) -> Any:
    """Return dx, dw."""
    x, w = cache
    dw = x.T @ dout
    through = dout @ w.T
    skip = dout.copy()
    return skip + through, dw


def tied_embeddings_forward(ids: Any, table: Any) -> Any:
    """logits = tanh(table[ids]) @ tableᵀ."""
    h = np.tanh(table[ids])
    return h @ table.T, (ids, table, h)


def tied_embeddings_backward(dout: Any, cache: Any) -> Any:
    """Return dtable, from both places where it is used."""
    ids, table, h = cache
    dtable = np.zeros_like(table)
    dtable += dout.reshape(-1, dout.shape[-1]).T @ h.reshape(-1, h.shape[-1])
    dh = dout @ table
    np.add.at(dtable, ids, dh * (1 - h**2))
    return dtable
