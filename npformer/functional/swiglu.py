"""Swish-gated linear unit: the gate of modern feed-forward layers, without their matrices.

    s   = silu(gate) = gate · σ(gate)
    out = s · up
"""

from __future__ import annotations

from typing import NamedTuple

import numpy.typing as npt

from ._arguments import Array, as_dout, as_float, require_shape
from ._logistic import logistic


class SwigluCache(NamedTuple):
    """What `swiglu_backward` needs."""

    s: Array  # silu(gate)
    slope: Array  # silu'(gate)
    up: Array


def swiglu(gate: npt.ArrayLike, up: npt.ArrayLike) -> tuple[Array, SwigluCache]:
    """Multiply `up` by the silu of `gate`.

    Parameters
    ----------
    gate, up : array_like, the same shape
        In a feed-forward layer x @ W_gate and x @ W_up.

    Returns
    -------
    out : ndarray, the shape of `gate`
    cache : SwigluCache

    Raises
    ------
    ValueError
        If `up` does not have the shape of `gate`.
    TypeError
        If an array is neither float32, float64, complex128 nor integer.

    References
    ----------
    Shazeer: GLU Variants Improve Transformer, arXiv:2002.05202, equation 5.

    Examples
    --------
    >>> swiglu(gate=[-2.0, 0.0, 2.0], up=[1.0, 5.0, 10.0])[0].round(4)
    array([-0.2384,  0.    , 17.6159])
    """
    gate = as_float("swiglu", "gate", gate)
    up = as_float("swiglu", "up", up)
    require_shape("swiglu", "up", up, gate.shape, "the shape of gate")

    sigma, dsigma = logistic(gate)
    s = gate * sigma
    return s * up, SwigluCache(s, sigma + gate * dsigma, up)


# The backward, step by step.
#
#   1. out = s · up, a product:                         ds  = dout · up
#   2. and its other factor:                            dup = dout · s
#   3. s = gate · σ(gate), a product again: slope = silu'(gate) = σ(gate) + gate · σ'(gate), so
#                                                       dgate = ds · slope
def swiglu_backward(
    dout: npt.ArrayLike, cache: SwigluCache, intermediates: dict[str, Array] | None = None
) -> tuple[Array, Array]:
    """Gradients of `swiglu`.

    Parameters
    ----------
    dout : array_like, the shape of `out`
    cache : SwigluCache
    intermediates : dict, optional
        Filled with "ds" (step 1).

    Returns
    -------
    dgate, dup : ndarray, the shape of `out`

    Raises
    ------
    ValueError
        If `dout` does not have the shape of `out`.

    Examples
    --------
    >>> out, cache = swiglu(gate=[0.0, 2.0], up=[5.0, 10.0])
    >>> dgate, dup = swiglu_backward([1.0, 1.0], cache)
    >>> dgate.round(4), dup.round(4)
    (array([ 2.5   , 10.9078]), array([0.    , 1.7616]))
    """
    s, slope, up = cache
    dout = as_dout("swiglu", dout, s.shape)

    ds = dout * up  # 1
    dup = dout * s  # 2
    dgate = ds * slope  # 3
    if intermediates is not None:
        intermediates["ds"] = ds
    return dgate, dup
