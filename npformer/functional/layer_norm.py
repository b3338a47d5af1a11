"""Layer normalisation over the last axis.

    d     = x - mean(x)
    rstd  = 1 / sqrt(mean(d²) + eps)
    x_hat = d · rstd
    out   = gamma · x_hat + beta
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ._arguments import Array, as_dout, as_float, bad_value, require_number, require_shape
from ._rows import row_means


class LayerNormCache(NamedTuple):
    """What `layer_norm_backward` needs."""

    x_hat: Array  # (..., d)
    rstd: Array  # (..., 1)
    gamma: Array  # (d,)


def layer_norm(
    x: npt.ArrayLike, gamma: npt.ArrayLike, beta: npt.ArrayLike, eps: float = 1e-5
) -> tuple[Array, LayerNormCache]:
    """Normalise each row of `x` to mean 0 and variance 1, then scale and shift it.

    Parameters
    ----------
    x : array_like, shape (..., d)
    gamma, beta : array_like, shape (d,)
        Scale and shift.
    eps : float
        Added to the variance (the biased one, divided by d), inside the root.

    Returns
    -------
    out : ndarray, shape (..., d)
    cache : LayerNormCache

    Raises
    ------
    ValueError
        If `x` has no last axis or an empty one, `gamma` or `beta` is not of shape (d,), or `eps` is
        negative.
    TypeError
        If an array is neither float32, float64, complex128 nor integer.

    References
    ----------
    Ba, Kiros, Hinton: Layer Normalization, arXiv:1607.06450, equations 3 and 4.

    Examples
    --------
    >>> out, cache = layer_norm([[1.0, 2.0, 6.0]], gamma=[1, 1, 1], beta=[0, 0, 10], eps=0)
    >>> out.round(4)
    array([[-0.9258, -0.4629, 11.3887]])
    """
    x = as_float("layer_norm", "x", x)
    gamma = as_float("layer_norm", "gamma", gamma)
    beta = as_float("layer_norm", "beta", beta)
    eps = require_number("layer_norm", "eps", eps, low=0.0)
    if x.ndim == 0 or x.shape[-1] == 0:
        bad_value("layer_norm", "x", "shape (..., d) with d >= 1", f"shape {x.shape}")
    require_shape("layer_norm", "gamma", gamma, x.shape[-1:], "(d,)")
    require_shape("layer_norm", "beta", beta, x.shape[-1:], "(d,)")

    d = x - row_means(x)
    d -= row_means(d)  # the rounding of the first mean, which matters where |mean| >> std
    rstd = 1 / np.sqrt(row_means(d * d) + eps)
    x_hat = d * rstd
    out = gamma * x_hat + beta
    return out, LayerNormCache(x_hat, rstd, gamma)


# The backward, step by step. Every mean is over the last axis, of length n; rows do not mix.
#
#   1. out = gamma · x_hat + beta. beta is added to every row:    dbeta  = Σ_rows dout
#   2. gamma multiplies x_hat in every row:                       dgamma = Σ_rows dout · x_hat
#   3. and the other factor of that product:                      dx_hat = dout · gamma
#   4. x_hat = d · rstd, where rstd depends on d too. From rstd = (mean(d²) + eps)^(-1/2):
#          ∂rstd/∂d_j = -1/2 · rstd³ · 2 d_j / n = -rstd² · x_hat_j / n
#      so that   dd_j = dx_hat_j · rstd + (Σ_i dx_hat_i · d_i) · ∂rstd/∂d_j
#                     = rstd · (dx_hat_j - x_hat_j · mean(dx_hat · x_hat))
#   5. d = x - mean(x): each x_j enters every d_i with -1/n, so   dx = dd - mean(dd).
#      mean(x_hat) = 0, so only dx_hat contributes to that mean:
#          dx = rstd · (dx_hat - mean(dx_hat) - x_hat · mean(dx_hat · x_hat))
def layer_norm_backward(
    dout: npt.ArrayLike, cache: LayerNormCache, intermediates: dict[str, Array] | None = None
) -> tuple[Array, Array, Array]:
    """Gradients of `layer_norm`.

    Parameters
    ----------
    dout : array_like, shape (..., d)
        Gradient of the loss with respect to `out`.
    cache : LayerNormCache
    intermediates : dict, optional
        Filled with "dx_hat" (step 3).

    Returns
    -------
    dx : ndarray, shape (..., d)
    dgamma, dbeta : ndarray, shape (d,)

    Raises
    ------
    ValueError
        If `dout` does not have the shape of `out`.

    Examples
    --------
    >>> out, cache = layer_norm([[1.0, 2.0, 6.0]], gamma=[1, 1, 1], beta=[0, 0, 0], eps=0)
    >>> dx, dgamma, dbeta = layer_norm_backward([[1.0, 0.0, 0.0]], cache)
    >>> dx.round(3)
    array([[ 0.176, -0.22 ,  0.044]])
    >>> print(abs(dx.sum()) < 1e-15)  # a shift of x changes nothing, so each row of dx sums to 0
    True
    """
    x_hat, rstd, gamma = cache
    dout = as_dout("layer_norm", dout, x_hat.shape)
    rows = tuple(range(x_hat.ndim - 1))

    dbeta = dout.sum(axis=rows)  # 1
    dgamma = (dout * x_hat).sum(axis=rows)  # 2
    dx_hat = dout * gamma  # 3
    mean_dx_hat = row_means(dx_hat)  # 5
    mean_dx_hat_x_hat = row_means(dx_hat * x_hat)  # 4
    dx = rstd * (dx_hat - mean_dx_hat - x_hat * mean_dx_hat_x_hat)  # 4, 5
    if intermediates is not None:
        intermediates["dx_hat"] = dx_hat
    return dx, dgamma, dbeta
