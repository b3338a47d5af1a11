"""Tied weights: one table both embeds the tokens and decodes into logits.

    h = tanh(table[ids]),    logits = h tableᵀ

The table is used twice, so its gradient is the sum of two: one that is dense, one on the rows of ids alone.
"""

from typing import Any

import numpy as np

Array = np.ndarray


def tied_weights_forward(ids: Array, table: Array) -> tuple[Array, Any]:
    """Return logits (B, T, V) and the cache (ids, table, h). ids is (B, T), table is (V, d). Given."""
    h = np.tanh(table[ids])
    return h @ table.T, (ids, table, h)


def tied_weights_backward(dout: Array, cache: Any) -> Array:
    """Return dtable (V, d). dout is (B, T, V)."""
    ids, table, h = cache
    dtable = dout.reshape(-1, dout.shape[-1]).T @ h.reshape(-1, h.shape[-1])
    np.add.at(dtable, ids, dout @ table * (1 - h**2))
    return dtable
