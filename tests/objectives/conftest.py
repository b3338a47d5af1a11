"""What the tests of the fine-tuning objectives share."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from npformer.nn import SequenceRandom
from npformer.training.step import gradient

Plain = Callable[[Any, Any, Any], tuple[float, Any]]
# lanes, threads, tokens of a micro-batch, whether there is dropout
CUTS = [(1, 1, 10**6, False), (2, 1, 7, True), (3, 3, 14, True)]


@pytest.fixture(params=CUTS, ids=["whole", "two lanes", "three threads"])
def same_as_plain(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Asserts that a training step's gradient is that of a plain pass over the padded batch."""
    lanes, threads, tokens, dropout = request.param

    def check(model: Any, objective: Any, batch: Any, plain: Plain) -> None:
        B = len(batch.ids)

        def rngs() -> list[np.random.Generator]:
            return [np.random.default_rng((3, b)) for b in range(B)]

        rng = SequenceRandom(rngs(), batch.extents) if dropout else None
        loss, expected = plain(model, batch, rng)
        places = [model.params.zeros_like() for _ in range(lanes)]
        for place in places:
            place.flat[...] = np.nan  # whatever was there before
        with ThreadPoolExecutor(threads) as executor:
            metrics = gradient(
                model,
                objective,
                batch,
                places,
                generators=rngs() if dropout else None,
                executor=executor if threads > 1 else None,
                micro_tokens=tokens,
                recompute=lanes == 2,
            )
        assert metrics.n_targets == pytest.approx(batch.n_targets, rel=1e-15)
        assert metrics.loss == pytest.approx(loss, rel=1e-12)
        scale = np.abs(expected.flat).max()
        for name, value in expected.items():
            error = np.abs(places[0][name] - value).max()
            assert error <= 1e-12 * max(np.abs(value).max(), 1e-3 * scale), name

    return check


@pytest.fixture
def texts() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Six texts (ids, mask, segment_ids) of different lengths, one of them nothing but padding."""
    rng = np.random.default_rng(0)
    lengths = np.array([7, 3, 5, 0, 7, 1])
    mask = np.arange(7) < lengths[:, None]
    ids = np.where(mask, rng.integers(1, 13, (6, 7)), 0)
    return ids, mask, rng.integers(0, 2, (6, 7))


def head_by_hand(model: Any, x: Any, dropped: Any) -> tuple[Any, Callable[[Any, Any], Any]]:
    """Return what the last linear map gives for x, and its backward; `dropped` are factors of x, or None."""
    W, b = model.params["task.weight"], model.params["task.bias"]
    factor = np.ones_like(x) if dropped is None else dropped
    kept = x * factor

    def backward(dy: Any, grads: Any) -> Any:
        grads["task.weight"] += kept.T @ dy
        grads["task.bias"] += dy.sum(axis=0)
        return dy @ W.T * factor

    return kept @ W + b, backward


@pytest.fixture
def by_hand() -> Any:
    return head_by_hand
