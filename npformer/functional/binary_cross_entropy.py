"""Binary cross entropy, straight from the logits.

    p    = σ(x)                                  x: the logits, y: the targets
    loss = -w · (y log p + (1 - y) log(1 - p))
         =  w · (max(x, 0) - x · y + log1p(exp(-|x|)))
    out  = Σ loss / N                            N: the number of elements
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ._arguments import Array, as_float, bad_type, bad_value, require_broadcastable, require_shape
from ._logistic import exp_of_minus_abs
from ._reduction import as_loss_dout, divisor_of, reduced


class BinaryCrossEntropyWithLogitsCache(NamedTuple):
    """What `binary_cross_entropy_with_logits_backward` needs."""

    p_minus_y: Array  # σ(x) - y
    weight: Array | None
    divisor: float  # N for "mean", else 1
    out_shape: tuple[int, ...]


def binary_cross_entropy_with_logits(
    logits: npt.ArrayLike,
    targets: npt.ArrayLike,
    *,
    weight: npt.ArrayLike | None = None,
    reduction: str = "mean",
) -> tuple[Array, BinaryCrossEntropyWithLogitsCache]:
    """Negative log-likelihood of independent yes/no answers.

    Parameters
    ----------
    logits : array_like, any shape
    targets : array_like, the shape of `logits`
        Probabilities in [0, 1] that the answer is yes. Not differentiable. Integers and booleans take the
        precision of `logits`.
    weight : array_like, optional
        Factor of each loss, broadcast to the shape of `logits`. Not differentiable; the mean divides by the
        number of elements all the same.
    reduction : {"mean", "sum", "none"}
        The mean over no elements is 0.

    Returns
    -------
    out : ndarray, shape () or, for "none", the shape of `logits`
        In nats.
    cache : BinaryCrossEntropyWithLogitsCache

    Raises
    ------
    ValueError
        If `targets` has another shape than `logits` or leaves [0, 1], `weight` does not broadcast or
        `reduction` is none of the three.
    TypeError
        If `logits` is neither float32, float64, complex128 nor integer, or `targets` or `weight` is not real.

    Examples
    --------
    >>> out, cache = binary_cross_entropy_with_logits([0.0, 40.0, -2.0], [1, 1, 0.5], reduction="none")
    >>> out
    array([6.93147181e-01, 4.24835426e-18, 1.12692801e+00])
    """
    op = "binary_cross_entropy_with_logits"
    x = as_float(op, "logits", logits)
    y = _real_of(op, "targets", targets, like=x)
    require_shape(op, "targets", y, x.shape, "the shape of logits")
    if not ((y >= 0) & (y <= 1)).all():
        bad_value(op, "targets", "probabilities in [0, 1]", f"{y[~((y >= 0) & (y <= 1))].flat[0]}")
    w = None
    if weight is not None:
        w = _real_of(op, "weight", weight, like=x)
        require_broadcastable(op, "weight", w, x.shape)
    divisor = divisor_of(op, reduction, x.size)

    positive = x.real >= 0
    e = exp_of_minus_abs(x)
    # max(x, 0) - x·y as one product, without a difference that vanishes: x (1 - y) or -x y
    loss = np.where(positive, x * (1 - y), -x * y) + np.log1p(e)
    tail = e / (1 + e)  # σ(-|x|)
    p_minus_y = np.where(positive, (1 - y) - tail, tail - y)
    if w is not None:
        loss = w * loss
    out = reduced(loss, reduction, divisor)
    return out, BinaryCrossEntropyWithLogitsCache(p_minus_y, w, divisor, out.shape)


# The backward, step by step.
#
#   1. out = Σ loss / N:                               dloss = dout / N
#   2. log p = log σ(x) and log(1 - p) = log σ(-x) have the derivatives 1 - p and -p, so
#          ∂loss/∂x = w · (-y (1 - p) + (1 - y) p) = w · (p - y)
#   3. For x >= 0 and y near 1, p - y loses every digit. With σ(x) = 1 - σ(-x) it is
#          p - y = (1 - y) - σ(-x)
#      and for x < 0, where σ(x) is small itself, the plain difference is exact. (Done in the forward.)
def binary_cross_entropy_with_logits_backward(
    dout: npt.ArrayLike, cache: BinaryCrossEntropyWithLogitsCache
) -> Array:
    """Gradient of `binary_cross_entropy_with_logits` with respect to the logits.

    Parameters
    ----------
    dout : array_like, the shape of `out`
    cache : BinaryCrossEntropyWithLogitsCache

    Returns
    -------
    dlogits : ndarray, the shape of the logits

    Raises
    ------
    ValueError
        If `dout` does not have the shape of `out`.

    Examples
    --------
    >>> out, cache = binary_cross_entropy_with_logits([0.0, 40.0, -2.0], [1, 1, 0.5], reduction="sum")
    >>> binary_cross_entropy_with_logits_backward(1.0, cache)
    array([-5.00000000e-01, -4.24835426e-18, -3.80797078e-01])
    """
    p_minus_y, w, divisor, out_shape = cache
    dout = as_loss_dout("binary_cross_entropy_with_logits", dout, out_shape, p_minus_y.dtype)

    dloss = dout / divisor  # 1
    if w is not None:
        dloss = dloss * w
    return dloss * p_minus_y  # 2, 3


def _real_of(op: str, argument: str, value: npt.ArrayLike, like: Array) -> Array:
    """Return `value` as real numbers; integers and booleans in the precision of `like`."""
    array = as_float(op, argument, value)
    if array.dtype.kind == "c":
        bad_type(op, argument, "real numbers", f"dtype {array.dtype}")
    return array.astype(like.real.dtype) if np.asarray(value).dtype.kind in "iub" else array
