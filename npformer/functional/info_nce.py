"""InfoNCE: each query must find its own key among all keys of the batch.

    q̂ = q / |q|,   k̂ = k / |k|              rows of length 1
    S   = q̂ k̂ᵀ / τ                          (N, N), cosine similarities over the temperature
    out = mean over i of -log softmax(S_i)_i    cross entropy with the targets on the diagonal

Hard negatives n are more keys, below the others: k = [k; n], S is (N, N + M), and they are no one's target.
1 / τ multiplies the rounding errors of the cosines as it does the cosines. So float32 is computed in
float64 inside, and rounded once at the end.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._arguments import Array, as_float, bad_value, require_number, require_shape
from ._reduction import as_loss_dout
from .cross_entropy import CrossEntropyCache, cross_entropy, cross_entropy_backward


class InfoNceCache(NamedTuple):
    """What `info_nce_backward` needs."""

    q_hat: Array  # (N, d)
    k_hat: Array  # (N, d); (N + M, d) with negatives, which are below the keys
    one_over_q: Array  # (N, 1), 1 / |q|, 0 where |q| = 0
    one_over_k: Array  # (N, 1) or (N + M, 1)
    temperature: float
    dtype: np.dtype[Any]  # of queries, keys, negatives and out together
    loss: CrossEntropyCache


def info_nce(
    queries: npt.ArrayLike,
    keys: npt.ArrayLike,
    *,
    temperature: float = 0.05,
    negatives: npt.ArrayLike | None = None,
) -> tuple[Array, InfoNceCache]:
    """Contrastive loss with in-batch negatives and cosine similarity.

    Parameters
    ----------
    queries, keys : array_like, shape (N, d)
        Row i of `keys` is the positive of row i of `queries`; all other rows are its negatives.
    temperature : float
        τ > 0.
    negatives : array_like, shape (M, d), optional
        More keys, which are negatives of every query: hard ones, such as contradictions.

    Returns
    -------
    out : ndarray, shape ()
        In nats.
    cache : InfoNceCache

    Raises
    ------
    ValueError
        If `queries` is not of shape (N, d) with N, d >= 1, `keys` has another shape, `negatives` are not of
        shape (M, d) with M >= 1, or `temperature` is not positive.
    TypeError
        If an array is neither float32, float64, complex128 nor integer.

    Notes
    -----
    A row of zeros has no direction. It counts as similar to nothing (cosine 0 with every row) and
    gets zero gradient: a direction to move in would be arbitrary, and 1 / |q| infinite.

    References
    ----------
    van den Oord, Li, Vinyals: Representation Learning with Contrastive Predictive Coding,
    arXiv:1807.03748, equation 4. Gao, Yao, Chen: SimCSE, arXiv:2104.08821, equations 1 and 5
    (hard negatives).

    Examples
    --------
    >>> out, cache = info_nce([[1.0, 0.0], [0.0, 3.0]], [[2.0, 0.0], [1.0, 1.0]], temperature=1.0)
    >>> out.round(6)
    np.float64(0.47911)
    """
    q = as_float("info_nce", "queries", queries)
    k = as_float("info_nce", "keys", keys)
    if q.ndim != 2 or 0 in q.shape:
        bad_value("info_nce", "queries", "shape (N, d) with N, d >= 1", f"shape {q.shape}")
    require_shape("info_nce", "keys", k, q.shape, "the shape of queries")
    tau = require_number("info_nce", "temperature", temperature, low=0.0)
    if tau == 0:
        bad_value("info_nce", "temperature", "a number > 0", tau)
    if negatives is not None:
        n = as_float("info_nce", "negatives", negatives)
        if n.ndim != 2 or len(n) == 0 or n.shape[1] != q.shape[1]:
            bad_value(
                "info_nce", "negatives", f"shape (M, {q.shape[1]}) with M >= 1", f"shape {n.shape}"
            )
        k = np.concatenate([k, n])  # in what both promote to

    dtype = np.result_type(q, k)
    wide = np.result_type(dtype, np.float64)
    q_hat, one_over_q = normalised(q.astype(wide, copy=False))
    k_hat, one_over_k = normalised(k.astype(wide, copy=False))
    S = q_hat @ k_hat.T / tau
    out, loss = cross_entropy(S, np.arange(len(S)))
    return out.astype(dtype), InfoNceCache(q_hat, k_hat, one_over_q, one_over_k, tau, dtype, loss)


def normalised(x: Array) -> tuple[Array, Array]:
    """Return x / |x| and 1 / |x| per row, both 0 for a row of zeros."""
    # x / |x| does not depend on the scale: taking the largest entry out first keeps x² in range.
    scale = np.maximum(x.real.max(axis=-1, keepdims=True), -x.real.min(axis=-1, keepdims=True))
    scale = np.where(scale == 0, 1, scale)
    y = x / scale
    squared = (y * y).sum(axis=-1, keepdims=True)  # not |y|², which is not analytic
    one_over_norm = np.where(squared.real == 0, 0, 1 / np.sqrt(np.where(squared.real == 0, 1, squared)))
    return y * one_over_norm, one_over_norm / scale


# The backward, step by step.
#
#   1. out is the mean cross entropy of S:       dS  = (softmax(S) - 1 on the diagonal) · dout / N
#   2. S = q̂ k̂ᵀ / τ, a product of matrices:    dq̂ = dS k̂ / τ
#   3. and its other factor:                      dk̂ = dSᵀ q̂ / τ, the negatives' in the rows from N on
#   4. q̂ = q / |q|. From ∂|q|/∂q_j = q̂_j:      ∂q̂_i/∂q_j = ([i = j] - q̂_i q̂_j) / |q|, so
#          dq = (dq̂ - q̂ · Σ_i dq̂_i q̂_i) / |q|
#      what points along q is taken out, since the length of q does not matter; the same for dk.
def info_nce_backward(
    dout: npt.ArrayLike, cache: InfoNceCache, intermediates: dict[str, Array] | None = None
) -> tuple[Array, Array, Array | None]:
    """Gradients of `info_nce`.

    Parameters
    ----------
    dout : array_like, shape ()
    cache : InfoNceCache
    intermediates : dict, optional
        Filled with "dS", "dq_hat" and "dk_hat" (steps 1 to 3).

    Returns
    -------
    dqueries, dkeys : ndarray, shape (N, d)
    dnegatives : ndarray, shape (M, d), or None without negatives

    Raises
    ------
    ValueError
        If `dout` is not of shape ().

    Examples
    --------
    >>> out, cache = info_nce([[1.0, 0.0], [0.0, 3.0]], [[2.0, 0.0], [1.0, 1.0]], temperature=1.0)
    >>> dqueries, dkeys, _ = info_nce_backward(1.0, cache)
    >>> dqueries.round(4)
    array([[0.    , 0.1511],
           [0.0161, 0.    ]])
    """
    q_hat, k_hat, one_over_q, one_over_k, tau, dtype, loss = cache
    dout = as_loss_dout("info_nce", dout, (), dtype)

    dS = cross_entropy_backward(dout, loss)  # 1
    dq_hat = dS @ k_hat / tau  # 2
    dk_hat = dS.T @ q_hat / tau  # 3
    dq = (dq_hat - q_hat * (dq_hat * q_hat).sum(axis=-1, keepdims=True)) * one_over_q  # 4
    dk = (dk_hat - k_hat * (dk_hat * k_hat).sum(axis=-1, keepdims=True)) * one_over_k  # 4
    if intermediates is not None:
        intermediates["dS"] = dS
        intermediates["dq_hat"] = dq_hat
        intermediates["dk_hat"] = dk_hat
    narrow = np.result_type(dtype, dout)
    N = len(q_hat)
    dnegatives = dk[N:].astype(narrow) if len(k_hat) > N else None
    return dq.astype(narrow), dk[:N].astype(narrow), dnegatives
