"""Sequences of different lengths as one array."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.models._padding import padded


@pytest.mark.parametrize("left", [False, True])
def test_every_sequence_stands_where_the_mask_says(left):
    rows = [np.arange(1, n + 1, dtype=np.int32) for n in (3, 1, 4)]
    ids, mask = padded(rows, pad_id=9, left=left)
    assert ids.dtype == np.int32
    for row, of_row, real in zip(rows, ids, mask, strict=True):
        np.testing.assert_array_equal(of_row[real], row)
        np.testing.assert_array_equal(of_row[~real], 9)
        np.testing.assert_array_equal(real, np.sort(real) if left else np.sort(real)[::-1])
