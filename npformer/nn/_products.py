"""Linear maps of few rows on all cores, for decoding: each core has some of the columns.

A product of one row with a matrix takes as long as reading the matrix from memory, and one core alone cannot
read as fast as the memory can give.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .._threads import Team
from ..functional import linear
from ._blocks import Array

Map = tuple[Array, Array | None]  # weight (d_in, d_out) and bias (d_out,)

SHARED = 1 << 18  # multiplications; fewer are done before another thread has begun


def linears(x: Array, maps: Sequence[Map], team: Team | None = None) -> list[Array]:
    """Return x @ W + b for several maps of the same `x`.

    Parameters
    ----------
    x : ndarray, shape (..., d_in)
    maps : sequence of (weight, bias)
        Shapes (d_in, d_out) and (d_out,), or None for no bias.
    team : Team, optional
        Its threads share the columns where that pays; None: the calling thread does it alone.

    Returns
    -------
    list of ndarray, shape (..., d_out)
        To rounding what `functional.linear` returns.
    """
    rows = x.reshape(-1, x.shape[-1])
    if team is None or rows.size * sum(weight.shape[1] for weight, _ in maps) < SHARED:
        return [linear(x, weight, bias)[0] for weight, bias in maps]
    dtypes = [np.result_type(x, weight) for weight, _ in maps]
    outs = [np.empty((len(rows), w.shape[1]), dtype) for (w, _), dtype in zip(maps, dtypes, strict=True)]

    def work(i: int, n: int) -> None:
        for (weight, bias), out in zip(maps, outs, strict=True):
            size = weight.shape[1]
            some = slice(i * size // n, (i + 1) * size // n)
            np.matmul(rows, weight[:, some], out=out[:, some])
            if bias is not None:
                out[:, some] += bias[some]

    team.run(work)
    return [out.reshape(*x.shape[:-1], out.shape[1]) for out in outs]
