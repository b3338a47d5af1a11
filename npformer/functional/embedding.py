"""Rows of a table, looked up by id.

    out_n = table[ids_n]
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ._arguments import Array, as_dout, as_float, as_ids, bad_value


class EmbeddingCache(NamedTuple):
    """What `embedding_backward` needs."""

    ids: Array  # (...)
    shape: tuple[int, int]  # of the table


def embedding(ids: npt.ArrayLike, table: npt.ArrayLike) -> tuple[Array, EmbeddingCache]:
    """Look up the row of `table` for each id.

    Parameters
    ----------
    ids : array_like of int, any shape (...)
        Each in [0, V); a negative id does not count from the end.
    table : array_like, shape (V, d)

    Returns
    -------
    out : ndarray, shape (..., d)
        A copy.
    cache : EmbeddingCache

    Raises
    ------
    ValueError
        If an id is out of range or `table` is not of two axes.
    TypeError
        If `ids` are not integers, or `table` is neither float32, float64, complex128 nor integer.

    Examples
    --------
    >>> out, cache = embedding([2, 0], table=[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    >>> out
    array([[5., 6.],
           [1., 2.]])
    """
    table = as_float("embedding", "table", table)
    if table.ndim != 2:
        bad_value("embedding", "table", "shape (V, d)", f"shape {table.shape}")
    ids = as_ids("embedding", "ids", ids, table.shape[0])

    out = table.take(ids, axis=0)
    return out, EmbeddingCache(ids, (table.shape[0], table.shape[1]))


# The backward, step by step. An id may stand at many positions n.
#
#   1. Row v reaches every out_n with ids_n = v, and nothing else:   dtable_v = Σ_{n: ids_n = v} dout_n
#   2. As a matrix product: dtable = A @ dout, where A_vn = 1 if ids_n = v. A has one entry a column, so
#      it is sparse; sorting the ids puts its entries in row order. Rows of ids that do not occur are 0,
#      and the rows form leaves them out.
def embedding_backward_rows(dout: npt.ArrayLike, cache: EmbeddingCache) -> tuple[Array, Array]:
    """Gradient of `embedding` at the rows that were used.

    Parameters
    ----------
    dout : array_like, shape (..., d)
        Gradient of the loss with respect to `out`.
    cache : EmbeddingCache

    Returns
    -------
    ids : ndarray of int, shape (n,)
        The ids that occur, each once, ascending.
    rows : ndarray, shape (n, d)
        Their rows of dtable; all others are 0.

    Raises
    ------
    ValueError
        If `dout` does not have the shape of `out`.

    Examples
    --------
    >>> out, cache = embedding([2, 0, 2], table=[[1.0], [3.0], [5.0]])
    >>> embedding_backward_rows([[1.0], [10.0], [100.0]], cache)
    (array([0, 2]), array([[ 10.],
           [101.]]))
    """
    from scipy.sparse import csr_array  # here: loading it takes long, and inference does without

    dout = as_dout("embedding", dout, (*cache.ids.shape, cache.shape[1]))
    ids = cache.ids.ravel()
    d = cache.shape[1]

    order = np.argsort(ids, kind="stable")  # stable: the sums below run in the order of the positions
    unique, first = np.unique(ids[order], return_index=True)
    entries = np.ones(ids.size, dout.dtype)
    A = csr_array((entries, order, np.append(first, ids.size)), shape=(unique.size, ids.size))
    rows = A @ dout.reshape(ids.size, d)  # 1, 2
    return unique, rows


def embedding_backward(dout: npt.ArrayLike, cache: EmbeddingCache) -> Array:
    """Gradient of `embedding`.

    Parameters
    ----------
    dout : array_like, shape (..., d)
        Gradient of the loss with respect to `out`.
    cache : EmbeddingCache

    Returns
    -------
    dtable : ndarray, shape (V, d)

    Raises
    ------
    ValueError
        If `dout` does not have the shape of `out`.

    Examples
    --------
    >>> out, cache = embedding([2, 0, 2], table=[[1.0], [3.0], [5.0]])
    >>> embedding_backward([[1.0], [10.0], [100.0]], cache)
    array([[ 10.],
           [  0.],
           [101.]])
    """
    ids, rows = embedding_backward_rows(dout, cache)
    dtable = np.zeros(cache.shape, rows.dtype)
    dtable[ids] = rows
    return dtable
