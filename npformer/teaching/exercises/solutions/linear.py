"""Linear: the weighted sum that everything else is made of.

    y = x W + b

In a stack of rows each row is multiplied by the same W and gets the same b. So W and b collect a gradient
from every row: a sum, not a mean.
"""

import numpy as np

Array = np.ndarray


def linear_forward(x: Array, w: Array, b: Array) -> tuple[Array, tuple[Array, Array]]:
    """Return y = x @ w + b and the cache (x, w).

    x is (n, d_in), w is (d_in, d_out), b is (d_out,); y is (n, d_out).
    """
    return x @ w + b, (x, w)


def linear_backward(dout: Array, cache: tuple[Array, Array]) -> tuple[Array, Array, Array]:
    """Return dx (n, d_in), dw (d_in, d_out) and db (d_out,).

    dout is (n, d_out): the gradient of the loss with respect to y.
    """
    x, w = cache
    dx = dout @ w.T
    dw = x.T @ dout
    db = dout.sum(axis=0)
    return dx, dw, db
