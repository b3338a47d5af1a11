"""Layer normalisation over the last axis.

    x̂ = (x - mean) / std,   std = √(var + eps),   y = γ x̂ + β

var divides by the number of features d, not by d - 1. Both mean and var depend on x: the gradient of x has
three terms inside its bracket.
"""

from typing import Any

import numpy as np

Array = np.ndarray


def layer_norm_forward(x: Array, gamma: Array, beta: Array, eps: float = 1e-5) -> tuple[Array, Any]:
    """Return y, of the shape of x, and the cache (x_hat, std, gamma).

    x has any number of axes, the last is d; gamma and beta are (d,). std keeps its last axis, of size 1.
    """
    xc = x - x.mean(axis=-1, keepdims=True)
    std = np.sqrt((xc**2).mean(axis=-1, keepdims=True) + eps)
    x_hat = xc / std
    return gamma * x_hat + beta, (x_hat, std, gamma)


def layer_norm_backward(dout: Array, cache: Any) -> tuple[Array, Array, Array]:
    """Return dx (the shape of x), dgamma (d,) and dbeta (d,)."""
    x_hat, std, gamma = cache
    axes = tuple(range(dout.ndim - 1))
    dgamma = (dout * x_hat).sum(axis=axes)
    dbeta = dout.sum(axis=axes)
    dx_hat = dout * gamma
    through_mean = dx_hat.mean(axis=-1, keepdims=True)
    through_var = x_hat * (dx_hat * x_hat).mean(axis=-1, keepdims=True)
    dx = (dx_hat - through_mean - through_var) / std
    return dx, dgamma, dbeta
