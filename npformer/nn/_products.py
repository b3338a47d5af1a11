"""Linear maps of few rows on all cores, for decoding.

    y = Σ_i x[I_i] @ W[I_i] + b      thread i has the inputs I_i, that is some rows of W
    y[J_i] = x @ W[:, J_i] + b[J_i]  where W is a transposed matrix: some columns

A product of one row with a matrix takes as long as reading the matrix from memory, and one core alone cannot
read as fast as the memory can give. Each thread reads one part of it from end to end, which is faster than
half of every row.
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
        Its threads share the products where that pays; None: the calling thread does it alone.

    Returns
    -------
    list of ndarray, shape (..., d_out)
        To rounding what `functional.linear` returns.
    """
    rows = x.reshape(-1, x.shape[-1])
    if team is None or rows.size * sum(weight.shape[1] for weight, _ in maps) < SHARED:
        return [linear(x, weight, bias)[0] for weight, bias in maps]
    n = team.threads
    parts = [_room(len(rows), weight, np.result_type(x, weight), n) for weight, _ in maps]

    def work(i: int, n: int) -> None:
        for (weight, _), part in zip(maps, parts, strict=True):
            by_inputs = weight.flags.c_contiguous
            size = weight.shape[0 if by_inputs else 1]
            some = slice(i * size // n, (i + 1) * size // n)
            if by_inputs:
                np.matmul(rows[:, some], weight[some], out=part[i])
            else:
                np.matmul(rows, weight[:, some], out=part[0][:, some])

    team.run(work)
    outs = []
    for (weight, bias), part in zip(maps, parts, strict=True):
        out = part[0]
        for more in part[1:]:
            out += more
        if bias is not None:
            out += bias
        outs.append(out.reshape(*x.shape[:-1], weight.shape[1]))
    return outs


def _room(n_rows: int, weight: Array, dtype: np.dtype, n: int) -> Array:
    """Room for the sums of each of n threads, or for the columns of all: (n or 1, rows, d_out)."""
    return np.empty((n if weight.flags.c_contiguous else 1, n_rows, weight.shape[1]), dtype)
