"""The mean of the real tokens' outputs, and its gradient."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.models.pooling import mean_pooled, mean_pooled_backward

MASK = np.array([[True, True, False], [True, False, True], [False, False, False]])


def test_padding_is_neither_summed_nor_counted():
    hidden = np.random.default_rng(0).standard_normal((3, 3, 4))
    pooled, _ = mean_pooled(hidden, MASK)
    np.testing.assert_allclose(pooled[0], (hidden[0, 0] + hidden[0, 1]) / 2, rtol=1e-14)
    np.testing.assert_allclose(pooled[1], (hidden[1, 0] + hidden[1, 2]) / 2, rtol=1e-14)
    assert not pooled[2].any()
    hidden[~MASK] = 1e6
    np.testing.assert_array_equal(mean_pooled(hidden, MASK)[0], pooled)


def test_the_gradient_by_complex_step():
    rng = np.random.default_rng(1)
    hidden, dpooled = rng.standard_normal((3, 3, 4)), rng.standard_normal((3, 4))
    _, weights = mean_pooled(hidden, MASK)
    found = mean_pooled_backward(dpooled, weights)
    for where in np.ndindex(hidden.shape):
        moved = hidden.astype(complex)
        moved[where] += 1e-30j
        numeric = (mean_pooled(moved, MASK)[0].imag * dpooled).sum() / 1e-30
        assert found[where] == pytest.approx(numeric, abs=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_the_dtype_stays(dtype):
    pooled, weights = mean_pooled(np.ones((3, 3, 4), dtype), MASK)
    assert (pooled.dtype, weights.dtype) == (dtype, dtype)
    assert mean_pooled_backward(pooled, weights).dtype == dtype
