"""ALiBi: attention with linear biases, in place of position encodings.

    bias[i, t, s] = -slope_i · |t + query_offset - s|

    slope_i = 2^(-8 i / h),   i = 1 .. h        where the number of heads h is a power of two
    else the slopes of the next lower power n, and every other one of those of 2n: the first, third, ...
"""

from __future__ import annotations

import math

import numpy as np

from ._arguments import Array, bad_type, require_size


def alibi(n_heads: int, T: int, S: int, query_offset: int = 0) -> Array:
    """Return the bias of each head's scores, which falls with the distance between query and key.

    Parameters
    ----------
    n_heads : int
        Number h of query heads.
    T, S : int
        Numbers of queries and keys.
    query_offset : int
        Position of the first query among the keys.

    Returns
    -------
    bias : ndarray of float64, shape (h, T, S)
        As the `bias` of `scaled_dot_product_attention` and `multi_head_attention`.

    Raises
    ------
    ValueError
        If `n_heads` is less than 1, or `T` or `S` is negative.
    TypeError
        If one of them is no integer.

    Notes
    -----
    The paper's attention is causal: keys after the query do not count. Here both sides are treated alike.

    References
    ----------
    Press, Smith, Lewis: Train Short, Test Long, arXiv:2108.12409, section 3 (for other numbers of heads than
    powers of two: the authors' code).

    Examples
    --------
    >>> alibi(2, 3, 3)[0]  # the first of two heads has slope 1/16
    array([[-0.    , -0.0625, -0.125 ],
           [-0.0625, -0.    , -0.0625],
           [-0.125 , -0.0625, -0.    ]])
    """
    h = require_size("alibi", "n_heads", n_heads, low=1)
    T, S = require_size("alibi", "T", T), require_size("alibi", "S", S)
    if isinstance(query_offset, bool) or not isinstance(query_offset, (int, np.integer)):
        bad_type("alibi", "query_offset", "an integer", repr(query_offset))

    n = 2 ** math.floor(math.log2(h))  # the largest power of two up to h
    slopes = np.concatenate([_slopes(n), _slopes(2 * n)[::2]])[:h]
    distance = abs(np.arange(T)[:, None] + query_offset - np.arange(S))  # (T, S)
    return -slopes[:, None, None] * distance


def _slopes(n: int) -> Array:
    """Return 2^(-8/n), 2^(-16/n), ..., 2^-8."""
    return np.asarray(2.0 ** (-8 / n * np.arange(1, n + 1)))
