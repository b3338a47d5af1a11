"""The differences of whole models: a closer look is at the loss, and excuses no gradient."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from npformer.models.parameters import Parameters
from npformer.proof import decoder, models
from npformer.proof.models import Point
from npformer.proof.resumed import Resumed
from npformer.proof.rows import Row

NAME = "decoder.0.attention.key.weight"


@pytest.fixture(scope="module")
def unclear() -> Point:
    """A point where the shared step is off by more than the tolerance in some direction."""
    return decoder.draw_point(decoder.MODERN, 17)


def error_by_differences(point: Point) -> float:
    rows = {NAME: Row("model", NAME), "out": Row("model", "out")}
    models.check_derivatives(point, rows, np.random.default_rng(17), [NAME])
    assert rows[NAME].fd is not None
    return rows[NAME].fd


def test_a_closer_look_is_right_where_the_shared_step_is_not(unclear, monkeypatch):
    assert error_by_differences(unclear) <= 1e-10
    calls = []
    slope = models.slope
    monkeypatch.setattr(models, "slope", lambda *a: calls.append(1) or slope(*a))
    loss, grads = unclear.gradients(unclear.params)
    resumed = Resumed(unclear, unclear.params.copy())
    wrong = grads[NAME] * (1 + 1e-6)
    models.directional_derivatives(resumed, NAME, wrong, np.random.default_rng(17))
    assert len(calls) == models.DIRECTIONS  # every direction is looked at closely


@pytest.mark.parametrize("off", [1e-9, 1e-7])
def test_a_gradient_that_is_a_little_off_is_found(unclear, off, monkeypatch):
    true = Point.gradients

    def gradients(self: Point, params: Parameters) -> tuple[float, Parameters]:
        loss, grads = true(self, params)
        grads[NAME] *= 1 + off
        return loss, grads

    monkeypatch.setattr(Point, "gradients", gradients)
    assert error_by_differences(replace(unclear)) > 1e-10
