"""Clipping by the global norm of the gradient.

    1.  norm = √(Σ_i g_i²)                             over all parameters together
    2.  g    = g · min(1, max_norm / (norm + 1e-6))    its direction stays

Clip after the gradients of the whole batch are summed and before the optimizer sees them.
"""

from __future__ import annotations

import math
from concurrent.futures import Executor

import numpy as np

from .._threads import in_pieces
from ._arguments import Array, chunks, require_number, require_vector


def global_norm(grad: Array, executor: Executor | None = None) -> float:
    """The Euclidean norm of a flat gradient, accumulated in float64.

    The squares of float32 entries are taken in float64, so that an entry of 1e20 does not overflow, and the
    sum never goes through BLAS, so that its bits do not depend on the number of threads (nor on those of an
    `executor`, which share the work).

    Examples
    --------
    >>> global_norm(np.array([3, -4], dtype=np.float32) * 2.0**80) / 2.0**80  # its square is beyond float32
    5.0
    """
    require_vector("global_norm", "grad", grad, written=False)
    return _norm(grad, executor)


def clip_by_global_norm(
    grad: Array, max_norm: float, executor: Executor | None = None, *, norm: float | None = None
) -> float:
    """Scale `grad` in place so that its norm is at most `max_norm`; return the norm it had.

    Parameters
    ----------
    grad : ndarray, shape (n,)
        A flat gradient, float32 or float64; changed if its norm is larger.
    max_norm : float
        Positive; infinity measures and never clips.
    executor : concurrent.futures.Executor, optional
        Its threads share the work; the bits are the same without one.
    norm : float, optional
        The norm of the whole gradient, where `grad` is a part of it. Default: that of `grad`.

    Returns
    -------
    float
        The norm before clipping. Where it is not finite, `grad` is left as it is: any factor would spread
        NaN, and the caller, who sees the norm, can still look for where it came from.

    Raises
    ------
    ValueError, TypeError
        If `grad` is not a contiguous float32 or float64 vector or `max_norm` is not positive.

    References
    ----------
    Pascanu, Mikolov, Bengio: On the difficulty of training recurrent neural networks, arXiv:1211.5063,
    algorithm 1; the 1e-6 is from torch.nn.utils.clip_grad_norm_.

    Examples
    --------
    >>> grad = np.array([3.0, -4.0])
    >>> clip_by_global_norm(grad, max_norm=1.0)
    5.0
    >>> grad.round(5)
    array([ 0.6, -0.8])
    """
    op = "clip_by_global_norm"
    require_vector(op, "grad", grad)
    if max_norm != math.inf:
        max_norm = require_number(op, "max_norm", max_norm, 0.0, above=True)
    norm = _norm(grad, executor) if norm is None else norm  # 1
    factor = max_norm / (norm + 1e-6)  # 2

    def shrink(start: int, stop: int) -> None:
        for piece in chunks(start, stop):
            grad[piece] *= factor

    if math.isfinite(norm) and factor < 1:
        in_pieces(shrink, grad.size, executor)
    return norm


def _norm(grad: Array, executor: Executor | None = None) -> float:
    # The squares of a float64 can overflow or vanish too: then take out a power of two, which is exact.
    scale, largest = 1.0, 1.0
    if grad.dtype == np.float64 and grad.size:
        largest = max(float(grad.max()), -float(grad.min()))
    if 0 < largest < math.inf and not 1e-100 < largest < 1e100:
        scale = 2.0 ** (math.frexp(largest)[1] - 1)  # at most 2¹⁰²³

    def squares(start: int, stop: int) -> list[float]:
        sums = []
        for piece in chunks(start, stop):
            part = grad[piece] if scale == 1 else grad[piece] / scale
            sums.append(float(np.square(part, dtype=np.float64).sum()))
        return sums

    # the sums of the chunks are added in their order, whichever thread they are from
    total = sum(sum(in_pieces(squares, grad.size, executor), []), 0.0)
    return scale * math.sqrt(total)
