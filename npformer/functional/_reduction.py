"""How a loss becomes one number: "mean", "sum" or "none"."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ._arguments import Array, as_dout, bad_value


def divisor_of(op: str, reduction: str, n: int) -> float:
    """Return what the sum of the losses is divided by; `n` is how many of them the mean counts.

    A mean over nothing divides by 1, which makes it 0 with zero gradient.
    """
    if not isinstance(reduction, str) or reduction not in ("mean", "sum", "none"):
        bad_value(op, "reduction", "'mean', 'sum' or 'none'", repr(reduction))
    return float(max(n, 1)) if reduction == "mean" else 1.0


def reduced(losses: Array, reduction: str, divisor: float) -> Array:
    """Return `losses` as they are for "none", else their sum divided by `divisor`, of shape ()."""
    return losses if reduction == "none" else np.asarray(losses.sum() / divisor)


def as_loss_dout(op: str, dout: npt.ArrayLike, out_shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return `dout` as an array of the output's shape.

    A Python number takes `dtype`, that of the output: `loss_backward(1.0, cache)` is how every backward pass
    begins, and must not make float32 gradients float64.
    """
    if isinstance(dout, (int, float)) and not isinstance(dout, np.generic):
        dout = np.asarray(dout, dtype=dtype)
    return as_dout(op, dout, out_shape)
