"""The optimizers follow PyTorch's trajectories; broken ones, and broken stored values, do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from npformer import optim
from npformer.proof import golden
from npformer.proof.optimizers import OPTIMIZERS, prove_optimizers
from npformer.proof.rows import Row


def failed(rows: list[Row]) -> list[str]:
    return [row.input for row in rows if not row.passed]


def test_the_optimizers_pass() -> None:
    rows = prove_optimizers()
    assert failed(rows) == []
    assert len(rows) == len(OPTIMIZERS) + 4
    for row in rows:
        assert row.torch is not None
        assert (row.float32 is not None) == (row.input in OPTIMIZERS)


# catalogue: bias correction, eps, L2 for decoupled decay, momentum
MISTAKES: dict[str, tuple[str, Callable[..., Any], set[str]]] = {
    "Adam without bias correction": (
        "Adam",
        lambda true: lambda self, g, lr=None: (setattr(self, "t", 10**6), true(self, g, lr)),
        {"Adam", "Adam, L2 decay"},
    ),
    "AdamW that decays twice": (
        "AdamW",
        lambda true: (
            lambda self, g, lr=None: (
                np.multiply(self.flat, 1 - 1e-9, out=self.flat),
                true(self, g, lr),
            )
        ),
        {"AdamW", "AdamW, segments"},
    ),
    "SGD whose velocity is forgotten": (
        "SGD",
        lambda true: (
            lambda self, g, lr=None: (
                self.velocity is not None and self.velocity.fill(0),
                true(self, g, lr),
            )
        ),
        {"SGD, momentum, decay", "SGD, Nesterov"},
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_broken_optimizer_fails(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, breaks, wrong = MISTAKES[mistake]
    optimizer = getattr(optim, name)
    monkeypatch.setattr(optimizer, "step", breaks(optimizer.step))
    assert set(failed(prove_optimizers())) == wrong


def test_clipping_without_its_epsilon_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def clip(g: np.ndarray, max_norm: float) -> float:
        norm = float(np.sqrt((g * g).sum()))
        g *= min(1.0, max_norm / norm)
        return norm

    monkeypatch.setattr(optim, "clip_by_global_norm", clip)
    assert failed(prove_optimizers()) == ["clipping"]


def test_half_of_the_gradients_are_clipped() -> None:
    stored = golden.load("golden_optimizers")
    clipped = (stored["clipping/norms"] > stored["clipping/max_norm"]).mean()
    assert 0.4 <= clipped <= 0.6


@pytest.mark.parametrize("name", ["constant", "linear", "cosine"])
def test_a_schedule_that_is_one_step_late_fails(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    true = getattr(optim, name)
    monkeypatch.setattr(optim, name, lambda *a: lambda step: true(*a)(max(step - 1, 0)))
    assert failed(prove_optimizers()) == [f"schedule, {name}"]


def test_float32_that_is_coarse_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    true = optim.Adam.step

    def step(self: Any, g: np.ndarray, lr: float | None = None) -> None:
        true(self, g, lr)
        if self.flat.dtype == np.float32:
            self.flat[...] = self.flat.astype(np.float16)

    monkeypatch.setattr(optim.Adam, "step", step)
    rows = prove_optimizers()
    assert failed(rows) == ["Adam", "Adam, L2 decay"]
    assert all(row.failures() == ["float32"] for row in rows if not row.passed)


def test_a_stored_value_that_is_off_fails() -> None:
    for key in golden.load("golden_optimizers"):
        if key in ("theta", "gradients", "clipping/max_norm"):
            continue
        stored = dict(golden.load("golden_optimizers"))
        stored[key] = stored[key] * (1 + 1e-11)
        assert len(failed(prove_optimizers(stored))) == 1, key


def test_a_stored_value_that_is_missing_fails() -> None:
    for key in golden.load("golden_optimizers"):
        stored = {name: x for name, x in golden.load("golden_optimizers").items() if name != key}
        assert failed(prove_optimizers(stored)), key
    assert len(failed(prove_optimizers({}))) == len(prove_optimizers())
