"""Mean squared error.

    d    = input - target
    loss = d²
    out  = Σ loss / N        N: the number of elements
"""

from __future__ import annotations

from typing import NamedTuple

import numpy.typing as npt

from ._arguments import Array, as_float, require_shape
from ._reduction import as_loss_dout, divisor_of, reduced


class MseLossCache(NamedTuple):
    """What `mse_loss_backward` needs."""

    d: Array
    divisor: float  # N for "mean", else 1
    out_shape: tuple[int, ...]


def mse_loss(
    input: npt.ArrayLike, target: npt.ArrayLike, *, reduction: str = "mean"
) -> tuple[Array, MseLossCache]:
    """Square of the difference of `input` and `target`.

    Parameters
    ----------
    input, target : array_like, the same shape
        Both differentiable. They are not broadcast: a column against a row is a mistake far more often than
        a wish.
    reduction : {"mean", "sum", "none"}
        The mean over no elements is 0.

    Returns
    -------
    out : ndarray, shape () or, for "none", the shape of `input`
    cache : MseLossCache

    Raises
    ------
    ValueError
        If `target` has another shape than `input`, or `reduction` is none of the three.
    TypeError
        If an array is neither float32, float64, complex128 nor integer.

    Examples
    --------
    >>> mse_loss([1.0, 2.0], [0.0, 4.0])[0]
    array(2.5)
    """
    input = as_float("mse_loss", "input", input)
    target = as_float("mse_loss", "target", target)
    require_shape("mse_loss", "target", target, input.shape, "the shape of input")
    divisor = divisor_of("mse_loss", reduction, input.size)

    d = input - target
    out = reduced(d * d, reduction, divisor)
    return out, MseLossCache(d, divisor, out.shape)


# The backward, step by step.
#
#   1. out = Σ loss / N:                    dloss   = dout / N
#   2. loss = d², each on its own:          dd      = dloss · 2d
#   3. d = input - target:                  dinput  = dd
#                                           dtarget = -dd
def mse_loss_backward(dout: npt.ArrayLike, cache: MseLossCache) -> tuple[Array, Array]:
    """Gradients of `mse_loss`.

    Parameters
    ----------
    dout : array_like, the shape of `out`
    cache : MseLossCache

    Returns
    -------
    dinput, dtarget : ndarray, the shape of `input`

    Raises
    ------
    ValueError
        If `dout` does not have the shape of `out`.

    Examples
    --------
    >>> out, cache = mse_loss([1.0, 2.0], [0.0, 4.0])
    >>> mse_loss_backward(1.0, cache)
    (array([ 1., -2.]), array([-1.,  2.]))
    """
    d, divisor, out_shape = cache
    dout = as_loss_dout("mse_loss", dout, out_shape, d.dtype)

    dloss = dout / divisor  # 1
    dd = dloss * 2 * d  # 2
    return dd, -dd  # 3
