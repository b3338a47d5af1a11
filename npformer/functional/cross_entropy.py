"""Cross entropy of integer targets, straight from the logits.

    d      = logits - max(logits)              per row, over the V classes
    s      = Σ exp(d_j) over every class but the largest
    p      = exp(d) / (1 + s)
    loss   = -log p_target = log1p(s) - d_target
    out    = Σ loss / n                        n: the number of targets that are not ignored

With label smoothing ε the target is not 1 at one class, but 1 - ε there and ε / V on top everywhere:

    loss   = log1p(s) - (1 - ε) · d_target - ε · mean(d)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ._arguments import Array, as_float, as_ids, bad_type, bad_value, require_number, require_shape
from ._reduction import as_loss_dout, divisor_of, reduced


class CrossEntropyCache(NamedTuple):
    """What `cross_entropy_backward` needs. R is the number of rows, the product of the leading axes."""

    exp_d: Array  # (R, V)
    s: Array  # (R,)
    top: Array  # (R,), the class of the largest logit
    target: Array  # (R,), 0 where ignored
    counted: Array  # (R,), booleans: neither ignored nor a row of -inf
    label_smoothing: float
    divisor: float  # n for "mean", else 1
    shape: tuple[int, ...]  # of the logits, (..., V)
    out_shape: tuple[int, ...]


def cross_entropy(
    logits: npt.ArrayLike,
    targets: npt.ArrayLike,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> tuple[Array, CrossEntropyCache]:
    """Negative logarithm of the softmax at the targets.

    Parameters
    ----------
    logits : array_like, shape (..., V)
    targets : array_like of integers, shape (...)
        Classes in [0, V), or `ignore_index`. Not differentiable.
    ignore_index : int
        Rows with this target add nothing, are not counted in the mean and have zero gradient.
    reduction : {"mean", "sum", "none"}
        The mean is over the targets that are not ignored; over none of them it is 0.
    label_smoothing : float
        ε in [0, 1].

    Returns
    -------
    out : ndarray, shape () or, for "none", (...)
        In nats.
    cache : CrossEntropyCache

    Raises
    ------
    ValueError
        If `logits` has no classes, `targets` is not of shape (...) or has a class outside [0, V),
        `reduction` is none of the three or `label_smoothing` is outside [0, 1].
    TypeError
        If `logits` is neither float32, float64, complex128 nor integer, or `targets` or
        `ignore_index` is not integer.

    Notes
    -----
    A row of logits that are all -inf has infinite loss and zero gradient.

    References
    ----------
    Szegedy et al.: Rethinking the Inception Architecture, arXiv:1512.00567, section 7 (label smoothing).

    Examples
    --------
    >>> out, cache = cross_entropy([[0.0, 1.0, 1.0], [40.0, 0.0, 0.0], [5.0, 6.0, 7.0]], [1, 0, -100])
    >>> out.round(6)
    np.float64(0.430997)
    >>> cross_entropy([40.0, 0.0], 0)[0]
    array(4.24835426e-18)
    """
    logits = as_float("cross_entropy", "logits", logits)
    if logits.ndim == 0 or logits.shape[-1] == 0:
        bad_value("cross_entropy", "logits", "shape (..., V) with V >= 1", f"shape {logits.shape}")
    if isinstance(ignore_index, bool) or not isinstance(ignore_index, (int, np.integer)):
        bad_type("cross_entropy", "ignore_index", "an integer", repr(ignore_index))
    V = logits.shape[-1]
    targets = as_ids("cross_entropy", "targets", targets, upper=V, also=int(ignore_index))
    require_shape("cross_entropy", "targets", targets, logits.shape[:-1], "the logits' shape without V")
    eps = require_number("cross_entropy", "label_smoothing", label_smoothing, low=0.0, high=1.0)
    valid = (targets != ignore_index).reshape(-1)
    divisor = divisor_of("cross_entropy", reduction, int(np.count_nonzero(valid)))

    x = logits.reshape(-1, V)
    row = np.arange(len(x))
    target = np.where(valid, targets.reshape(-1), 0)
    top = x.real.argmax(axis=-1)
    m = x[row, top]
    all_minus_inf = m.real == -np.inf
    d = x - np.where(all_minus_inf, 0, m)[:, None]  # -inf - (-inf) would be NaN
    loss = -d[row, target]
    if eps:
        loss = (1 - eps) * loss - eps * d.mean(axis=-1)
    exp_d = np.exp(d, out=d)  # (R, V) is the largest array of a language model: no more of them than needed
    exp_d[row, top] = 0
    s = exp_d.sum(axis=-1)
    exp_d[row, top] = 1
    loss = np.where(valid, loss + np.log1p(s), 0)
    out = reduced(loss.reshape(targets.shape), reduction, divisor)
    counted = valid & ~all_minus_inf
    return out, CrossEntropyCache(exp_d, s, top, target, counted, eps, divisor, logits.shape, out.shape)


# The backward, step by step.
#
#   1. out = Σ loss / n, ignored rows excepted:   dloss = dout / n
#   2. d log1p(s) / dx = p, as in log-softmax, and the target distribution is a constant:
#          dlogits_j = dloss · (p_j - ε / V - (1 - ε) · [j = target])
#   3. At the target p - 1 loses every digit where p is nearly 1. That is where the target is the
#      largest logit, and there 1 - p is what the other classes have:
#          1 - p_target = Σ_(j ≠ target) p_j = s / (1 + s)
#      Elsewhere p_target <= 1/2 and the plain difference is exact enough. So
#          dlogits_target = dloss · (ε - ε / V - (1 - p_target))
def cross_entropy_backward(dout: npt.ArrayLike, cache: CrossEntropyCache) -> Array:
    """Gradient of `cross_entropy` with respect to the logits.

    Parameters
    ----------
    dout : array_like, the shape of `out`
    cache : CrossEntropyCache

    Returns
    -------
    dlogits : ndarray, shape (..., V)
        Each row sums to 0.

    Raises
    ------
    ValueError
        If `dout` does not have the shape of `out`.

    Examples
    --------
    >>> out, cache = cross_entropy([40.0, 0.0], 0)
    >>> cross_entropy_backward(1.0, cache)
    array([-4.24835426e-18,  4.24835426e-18])
    """
    exp_d, s, top, target, counted, eps, divisor, shape, out_shape = cache
    dout = as_loss_dout("cross_entropy", dout, out_shape, exp_d.dtype)
    row = np.arange(len(exp_d))

    dloss = np.where(counted, dout.reshape(-1) / divisor, 0)  # 1
    dlogits = exp_d * (dloss / (1 + s))[:, None]  # 2: dloss · p
    if eps:
        dlogits -= (dloss * (eps / shape[-1]))[:, None]  # 2
    one_minus_p = np.where(target == top, s / (1 + s), 1 - exp_d[row, target] / (1 + s))  # 3
    dlogits[row, target] = dloss * ((eps - eps / shape[-1]) - one_minus_p)  # 3
    if not counted.all():
        dlogits[~counted] = 0  # 1, whatever the logits there were
    return dlogits.reshape(shape)
