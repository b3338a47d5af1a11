"""Softmax, its logarithm, and the norms."""

from __future__ import annotations

from typing import Any

import numpy as np


def softmax_forward(x: Any) -> Any:
    """exp(x) / Σ exp(x), over the last axis."""
    e = np.exp(x - x.real.max(axis=-1, keepdims=True))
    p = e / e.sum(axis=-1, keepdims=True)
    return p, p


def softmax_backward(dout: Any, p: Any) -> Any:
    """Return dx."""
    g = dout
    total = (p * g).sum(axis=-1, keepdims=True)
    inner = g - total
    return p * inner


def log_softmax_forward(x: Any) -> Any:
    """x - log Σ exp(x)."""
    z = x - x.real.max(axis=-1, keepdims=True)
    y = z - np.log(np.exp(z).sum(axis=-1, keepdims=True))
    return y, y


def log_softmax_backward(dout: Any, y: Any) -> Any:
    """Return dx."""
    p = np.exp(y)
    spread = p * dout.sum(axis=-1, keepdims=True)
    return dout - spread


def layer_norm_forward(x: Any, gamma: Any, beta: Any, eps: Any = 0.1) -> Any:
    """gamma (x - mean) / sqrt(var + eps) + beta."""
    xc = x - x.mean(axis=-1, keepdims=True)
    var = (xc**2).mean(axis=-1, keepdims=True)
    xhat = xc / np.sqrt(var + eps)
    return gamma * xhat + beta, (x, xhat, var, gamma, eps)


def layer_norm_backward(dout: Any, cache: Any) -> Any:
    """Return dx, dgamma, dbeta."""
    x, xhat, var, gamma, eps = cache
    D = x.shape[-1]
    axes = tuple(range(x.ndim - 1))
    dbeta = dout.sum(axis=axes)
    dgamma = (dout * xhat).sum(axis=axes)
    dxhat = dout * gamma
    std = np.sqrt(var + eps)
    through_mean = dxhat.mean(axis=-1, keepdims=True)
    through_var = xhat * ((dxhat * xhat).sum(axis=-1, keepdims=True) / D)
    inner = dxhat - through_mean - through_var
    dx = inner / std
    return dx, dgamma, dbeta


def rms_norm_forward(x: Any, gamma: Any, eps: Any = 0.1) -> Any:
    """gamma x / sqrt(mean(x²) + eps)."""
    rms = np.sqrt((x**2).mean(axis=-1, keepdims=True) + eps)
    return gamma * x / rms, (x, rms, gamma)


def rms_norm_backward(dout: Any, cache: Any) -> Any:
    """Return dx, dgamma."""
    x, rms, gamma = cache
    xhat = x / rms
    dgamma = (dout * xhat).sum(axis=tuple(range(x.ndim - 1)))
    dxhat = dout * gamma
    along = (dxhat * xhat).mean(axis=-1, keepdims=True)
    inner = dxhat - xhat * along
    dx = inner / rms
    return dx, dgamma
