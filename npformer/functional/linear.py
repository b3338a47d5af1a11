"""The linear map of every row.

    y = x @ W + b
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy.typing as npt

from ._arguments import Array, as_dout, as_float, bad_value, promote, require_shape


class LinearCache(NamedTuple):
    """What `linear_backward` needs."""

    x: Array  # (..., d_in)
    weight: Array  # (d_in, d_out)
    has_bias: bool


def linear(
    x: npt.ArrayLike, weight: npt.ArrayLike, bias: npt.ArrayLike | None = None
) -> tuple[Array, LinearCache]:
    """Multiply each row of `x` by `weight` and add `bias`.

    Parameters
    ----------
    x : array_like, shape (..., d_in)
    weight : array_like, shape (d_in, d_out)
        Rows belong to inputs, as in the formula (PyTorch stores the transpose).
    bias : array_like, shape (d_out,), optional

    Returns
    -------
    out : ndarray, shape (..., d_out)
    cache : LinearCache

    Raises
    ------
    ValueError
        If the shapes do not fit together.
    TypeError
        If an array is neither float32, float64, complex128 nor integer.

    Examples
    --------
    >>> out, cache = linear([[1.0, 2.0]], weight=[[1, 0, 3], [0, 1, 4]], bias=[0, 0, 10])
    >>> out
    array([[ 1.,  2., 21.]])
    """
    x = as_float("linear", "x", x)
    weight = as_float("linear", "weight", weight)
    if x.ndim == 0:
        bad_value("linear", "x", "shape (..., d_in)", f"shape {x.shape}")
    if weight.ndim != 2 or weight.shape[0] != x.shape[-1]:
        bad_value("linear", "weight", f"shape ({x.shape[-1]}, d_out)", f"shape {weight.shape}")
    if bias is not None:
        bias = as_float("linear", "bias", bias)
        require_shape("linear", "bias", bias, weight.shape[1:], "(d_out,)")
    x, weight = promote(x, weight, also=bias)

    out = _rows(x) @ weight  # one product over all rows, whatever the leading axes
    if bias is not None:
        out += bias
    return out.reshape(*x.shape[:-1], weight.shape[1]), LinearCache(x, weight, bias is not None)


# The backward, step by step. With the leading axes flattened into rows r, y_rj = Σ_i x_ri W_ij + b_j.
#
#   1. b_j is added to every row:                        db_j  = Σ_r dy_rj
#   2. W_ij multiplies x_ri in every row:                dW_ij = Σ_r x_ri dy_rj,    dW = xᵀ @ dy
#   3. x_ri reaches y_rj through W_ij for every j:       dx_ri = Σ_j dy_rj W_ij,    dx = dy @ Wᵀ
def linear_backward(dout: npt.ArrayLike, cache: LinearCache) -> tuple[Array, Array, Array | None]:
    """Gradients of `linear`.

    Parameters
    ----------
    dout : array_like, shape (..., d_out)
        Gradient of the loss with respect to `out`.
    cache : LinearCache

    Returns
    -------
    dx : ndarray, shape (..., d_in)
    dweight : ndarray, shape (d_in, d_out)
    dbias : ndarray, shape (d_out,), or None without a bias

    Raises
    ------
    ValueError
        If `dout` does not have the shape of `out`.

    Examples
    --------
    >>> out, cache = linear([[1.0, 2.0], [3.0, 4.0]], weight=[[1], [5]], bias=[0])
    >>> linear_backward([[1.0], [10.0]], cache)
    (array([[ 1.,  5.],
           [10., 50.]]), array([[31.],
           [42.]]), array([11.]))
    """
    x, weight, has_bias = cache
    dout = as_dout("linear", dout, (*x.shape[:-1], weight.shape[1]))
    dy = _rows(dout)

    dbias = dy.sum(axis=0) if has_bias else None  # 1
    dweight = _rows(x).T @ dy  # 2
    dx = (dy @ weight.T).reshape(x.shape)  # 3
    return dx, dweight, dbias


def _rows(x: Array) -> Array:
    """(..., d) -> (N, d), a view where the layout allows it."""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
