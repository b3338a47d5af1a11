"""Sequences of different lengths as one array."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .parameters import Array


def padded(rows: Sequence[Array], pad_id: int = 0, *, left: bool = False) -> tuple[Array, Array]:
    """Return sequences as one array, filled up on the right or on the left, and which are real tokens.

    Examples
    --------
    >>> padded([np.array([7, 8]), np.array([9])])
    (array([[7, 8],
           [9, 0]]), array([[ True,  True],
           [ True, False]]))
    """
    lengths = np.array([row.size for row in rows])
    mask = np.arange(lengths.max(initial=0)) < lengths[:, None]
    mask = mask[:, ::-1] if left else mask
    tokens = np.concatenate(rows)
    ids = np.full(mask.shape, pad_id, tokens.dtype)
    ids[mask] = tokens
    return ids, mask
