"""Sums over targets: of one part numbers, of several parts an entry for each."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.objectives import Metrics


def test_every_part_has_its_own_mean_however_the_batch_is_cut():
    rng = np.random.default_rng(0)
    losses = [rng.random(30), rng.random(7)]
    cuts = [(slice(0, 20), slice(0, 1)), (slice(20, 20), slice(1, 7)), (slice(20, 30), slice(7, 7))]
    total = Metrics(0.0, 0, 0)
    for cut in cuts:
        parts = [loss[where] for loss, where in zip(losses, cut, strict=True)]
        n = np.array([part.size for part in parts])
        total += Metrics(np.array([part.sum() for part in parts]), n // 2, n)
    assert total.loss == pytest.approx(losses[0].mean() + losses[1].mean(), rel=1e-15)
    assert total.losses == pytest.approx([losses[0].mean(), losses[1].mean()], rel=1e-15)
    assert sum(total.losses) == pytest.approx(total.loss, rel=1e-15)
    assert total.accuracy == total.accuracies[0] == 15 / 30
    assert total.accuracies[1] == 3 / 7


def test_a_part_without_targets_has_no_loss():
    metrics = Metrics(np.array([3.0, 0.0]), np.array([1, 0]), np.array([2, 0]))
    assert metrics.loss == 1.5
    assert metrics.of_parts(("mlm", "nsp"))["accuracy_nsp"] == 0.0


def test_one_part_is_a_number_and_has_no_name():
    metrics = Metrics(1.1, 1, 3)
    assert metrics.loss == 1.1 / 3
    assert metrics.accuracy == 1 / 3
    assert metrics.of_parts(()) == {}
    assert Metrics(0.0, 0, 0).loss == 0.0
