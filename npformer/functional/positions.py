"""Sinusoidal position encodings.

    P[t, 2i]     = sin(t / 10000^(2i / d_model))
    P[t, 2i + 1] = cos(t / 10000^(2i / d_model))
"""

from __future__ import annotations

import numpy as np

from ._arguments import Array, require_size


def sinusoidal_positions(length: int, d_model: int, start: int = 0) -> Array:
    """Return the position encodings of "Attention Is All You Need".

    Parameters
    ----------
    length : int
        Number of positions.
    d_model : int
        An odd one ends with a sine.
    start : int
        The first position: the rows are those of a longer array from 0, to the bit.

    Returns
    -------
    P : ndarray of float64, shape (length, d_model)

    Raises
    ------
    ValueError
        If one of them is negative.
    TypeError
        If one of them is no integer.

    References
    ----------
    Vaswani et al.: Attention Is All You Need, arXiv:1706.03762, section 3.5.

    Examples
    --------
    >>> sinusoidal_positions(2, 4).round(4)
    array([[0.    , 1.    , 0.    , 1.    ],
           [0.8415, 0.5403, 0.01  , 1.    ]])
    """
    length = require_size("sinusoidal_positions", "length", length)
    d_model = require_size("sinusoidal_positions", "d_model", d_model)
    start = require_size("sinusoidal_positions", "start", start)

    even = np.arange(0, d_model, 2)  # 2i
    t = np.arange(start, start + length)[:, None]
    angle = t / 10000.0 ** (even / max(d_model, 1))  # (length, ceil(d_model / 2))
    P = np.empty((length, d_model))
    P[:, 0::2] = np.sin(angle)
    P[:, 1::2] = np.cos(angle[:, : d_model // 2])
    return P
