"""Embedding: each id picks a row of a table.

    out[b, t] = table[ids[b, t]]

An id that stands in the text twice picks the same row twice, so its row gets two gradients.
"""

import numpy as np

Array = np.ndarray


def embedding_forward(ids: Array, table: Array) -> tuple[Array, tuple[Array, Array]]:
    """Return out and the cache (ids, table).

    ids has any shape, table is (V, d); out is the shape of ids with d appended.
    """
    return table[ids], (ids, table)


def embedding_backward(dout: Array, cache: tuple[Array, Array]) -> Array:
    """Return dtable (V, d). ids have no gradient."""
    ids, table = cache
    dtable = np.zeros_like(table)
    np.add.at(dtable, ids, dout)
    return dtable
