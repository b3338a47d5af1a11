"""Root-mean-square normalisation over the last axis.

    rrms  = 1 / sqrt(mean(x²) + eps)
    x_hat = x · rrms
    out   = gamma · x_hat
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ._arguments import Array, as_dout, as_float, bad_value, require_number, require_shape
from ._rows import row_means


class RmsNormCache(NamedTuple):
    """What `rms_norm_backward` needs."""

    x_hat: Array  # (..., d)
    rrms: Array  # (..., 1)
    gamma: Array  # (d,)


def rms_norm(x: npt.ArrayLike, gamma: npt.ArrayLike, eps: float = 1e-6) -> tuple[Array, RmsNormCache]:
    """Scale each row of `x` to mean square 1, then each feature by `gamma`.

    Parameters
    ----------
    x : array_like, shape (..., d)
    gamma : array_like, shape (d,)
    eps : float
        Added to the mean square, inside the root.

    Returns
    -------
    out : ndarray, shape (..., d)
    cache : RmsNormCache

    Raises
    ------
    ValueError
        If `x` has no last axis or an empty one, `gamma` is not of shape (d,), or `eps` is negative.
    TypeError
        If an array is neither float32, float64, complex128 nor integer.

    References
    ----------
    Zhang, Sennrich: Root Mean Square Layer Normalization, arXiv:1910.07467, equation 4.

    Examples
    --------
    >>> out, cache = rms_norm([[3.0, 4.0, 0.0, 0.0]], gamma=[1, 1, 1, 1], eps=0)
    >>> out
    array([[1.2, 1.6, 0. , 0. ]])
    """
    x = as_float("rms_norm", "x", x)
    gamma = as_float("rms_norm", "gamma", gamma)
    eps = require_number("rms_norm", "eps", eps, low=0.0)
    if x.ndim == 0 or x.shape[-1] == 0:
        bad_value("rms_norm", "x", "shape (..., d) with d >= 1", f"shape {x.shape}")
    require_shape("rms_norm", "gamma", gamma, x.shape[-1:], "(d,)")

    rrms = 1 / np.sqrt(row_means(x * x) + eps)
    x_hat = x * rrms
    out = gamma * x_hat
    return out, RmsNormCache(x_hat, rrms, gamma)


# The backward, step by step. Every mean is over the last axis, of length n; rows do not mix.
#
#   1. gamma multiplies x_hat in every row:            dgamma = Σ_rows dout · x_hat
#   2. and the other factor of that product:           dx_hat = dout · gamma
#   3. x_hat = x · rrms, where rrms depends on x too. From rrms = (mean(x²) + eps)^(-1/2):
#          ∂rrms/∂x_j = -1/2 · rrms³ · 2 x_j / n = -rrms² · x_hat_j / n
#      so that   dx_j = dx_hat_j · rrms + (Σ_i dx_hat_i · x_i) · ∂rrms/∂x_j
#                     = rrms · (dx_hat_j - x_hat_j · mean(dx_hat · x_hat))
def rms_norm_backward(
    dout: npt.ArrayLike, cache: RmsNormCache, intermediates: dict[str, Array] | None = None
) -> tuple[Array, Array]:
    """Gradients of `rms_norm`.

    Parameters
    ----------
    dout : array_like, shape (..., d)
        Gradient of the loss with respect to `out`.
    cache : RmsNormCache
    intermediates : dict, optional
        Filled with "dx_hat" (step 2).

    Returns
    -------
    dx : ndarray, shape (..., d)
    dgamma : ndarray, shape (d,)

    Raises
    ------
    ValueError
        If `dout` does not have the shape of `out`.

    Examples
    --------
    >>> out, cache = rms_norm([[3.0, 4.0]], gamma=[1, 1], eps=0)
    >>> dx, dgamma = rms_norm_backward([[1.0, 0.0]], cache)
    >>> bool(abs(dx[0] @ [3.0, 4.0]) < 1e-15)  # rescaling x changes nothing: dx has no part along x
    True
    """
    x_hat, rrms, gamma = cache
    dout = as_dout("rms_norm", dout, x_hat.shape)

    dgamma = (dout * x_hat).sum(axis=tuple(range(x_hat.ndim - 1)))  # 1
    dx_hat = dout * gamma  # 2
    dx = rrms * (dx_hat - x_hat * row_means(dx_hat * x_hat))  # 3
    if intermediates is not None:
        intermediates["dx_hat"] = dx_hat
    return dx, dgamma
