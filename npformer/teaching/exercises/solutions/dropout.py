"""Dropout, inverted: what is kept is scaled up, so that nothing has to be done at inference.

    keep = rng.random(x.shape) >= p,    y = x · keep / (1 - p)

The backward uses what the forward drew. It draws nothing itself.
"""

from typing import Any

import numpy as np

Array = np.ndarray


def dropout_forward(x: Array, rng: np.random.Generator, p: float = 0.3) -> tuple[Array, Any]:
    """Return y, of the shape of x, and the cache (keep, p). Draw once: rng.random(x.shape)."""
    keep = rng.random(x.shape) >= p
    return x * keep / (1 - p), (keep, p)


def dropout_backward(dout: Array, cache: Any) -> Array:
    """Return dx, of the shape of x."""
    keep, p = cache
    return dout * keep / (1 - p)
