"""A vector that threads share: the same bits."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from npformer._threads import WORTH
from npformer.optim import SGD, Adam, AdamW, Segment, clip_by_global_norm, global_norm
from npformer.optim._arguments import CHUNK


@pytest.fixture(scope="module")
def executor():
    with ThreadPoolExecutor(3) as threads:
        yield threads


N = WORTH + CHUNK + 3  # more than one thread takes
SEGMENTS = [Segment(0, 10), Segment(10, 3 * CHUNK + 1, 0.5, 0.3), Segment(3 * CHUNK + 1, N, 2.0)]


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda theta: AdamW(theta, lr=0.1, segments=SEGMENTS),
        lambda theta: Adam(theta, lr=0.1, weight_decay=0.2, segments=SEGMENTS),
        lambda theta: SGD(theta, lr=0.1, momentum=0.9, nesterov=True, segments=SEGMENTS),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_threads_change_no_bit_of_an_update(optimizer, dtype, executor):
    rng = np.random.default_rng(0)
    theta = rng.standard_normal(N).astype(dtype)
    shared = theta.copy()
    alone_step, shared_step = optimizer(theta).step, optimizer(shared).step
    before = theta.copy()
    for _ in range(3):
        g = rng.standard_normal(N).astype(dtype)
        alone_step(g)
        shared_step(g, executor=executor)
    np.testing.assert_array_equal(shared, theta)
    assert np.count_nonzero(theta == before) < 10  # a few come back by chance


@pytest.mark.parametrize("whole_chunks", [9, 12, 17])
def test_threads_change_no_bit_of_a_norm(whole_chunks, executor):
    rng = np.random.default_rng(1)
    for _ in range(6):  # a float64 sum in another order differs in every other draw
        g = rng.standard_normal(whole_chunks * (1 << 18) + 5).astype(np.float32)
        assert global_norm(g, executor) == global_norm(g)


@pytest.mark.parametrize("scale", [1.0, 1e30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_threads_change_no_bit_of_a_clipped_gradient(dtype, scale, executor):
    g = (scale * np.random.default_rng(0).standard_normal(N)).astype(dtype)
    shared = g.copy()
    assert clip_by_global_norm(shared, 2.0, executor) == clip_by_global_norm(g, 2.0)
    np.testing.assert_array_equal(shared, g)
    assert abs(clip_by_global_norm(g, np.inf) - 2.0) < 1e-5
