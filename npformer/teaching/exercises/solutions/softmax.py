"""Softmax over the last axis.

    p_i = exp(x_i) / Σ_j exp(x_j)

A shift of all x_i changes nothing; exp(1000) is infinite. Take out what makes the largest exponent 0.
Every p_i depends on every x_j of its row: the Jacobian is not diagonal.
"""

import numpy as np

Array = np.ndarray


def softmax_forward(x: Array) -> tuple[Array, Array]:
    """Return p, of the shape of x, and the cache p. x has any number of axes."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    p = e / e.sum(axis=-1, keepdims=True)
    return p, p


def softmax_backward(dout: Array, p: Array) -> Array:
    """Return dx, of the shape of p.

    Write it without forming the Jacobian diag(p) - p pᵀ.
    """
    return p * (dout - (dout * p).sum(axis=-1, keepdims=True))
