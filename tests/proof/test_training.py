"""100 training steps follow PyTorch's; a run that is off in anything does not."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from npformer import optim
from npformer.objectives import MaskedLM
from npformer.proof import golden, training
from npformer.proof.rows import Row
from npformer.proof.training import RUNS, STEPS, batches, follow, prove_training


def failed(rows: list[Row]) -> list[str]:
    return [row.input for row in rows if not row.passed]


@functools.cache
def followed(optimizer: str) -> tuple[Any, Any]:
    stored = golden.load("golden_training")
    (run,) = (run for run in RUNS.values() if run.optimizer == optimizer)
    return follow(run, golden.part(stored, "start"), batches(stored))


@pytest.fixture
def followed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the runs followed once for all the stored values that they are compared with."""
    monkeypatch.setattr(training, "follow", lambda run, start, of_batches: followed(run.optimizer))


@pytest.mark.usefixtures("followed_once")
def test_training_follows_pytorch() -> None:
    rows = prove_training()
    assert failed(rows) == []
    tolerances = {"losses": 1e-12, "parameters": 1e-11, "key biases": 1e-9}
    assert [(row.input, row.tolerances["torch"]) for row in rows] == [
        (f"{run}: {what}", tolerance) for run in RUNS for what, tolerance in tolerances.items()
    ]


def test_the_runs_are_worth_comparing_with() -> None:
    stored = golden.load("golden_training")
    for label, run in RUNS.items():
        losses = stored[f"{label}/losses"]
        assert len(losses) == STEPS == 100
        assert losses[:4].mean() - losses[-4:].mean() >= 1.0
        if run.optimizer != "SGD":
            assert run.arguments["lr"] >= 1e-3
            assert run.arguments["eps"] == 1e-8


def _decay_all(name: str) -> bool:
    return True


def _off_by_one(true: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *a: lambda step: true(*a)(step + 1)


# what is broken -> (where, name, replacement, the runs that must notice)
BROKEN: dict[str, tuple[Any, str, Callable[[Any], Any], list[str]]] = {
    "decay of biases and norms": (optim, "decays", lambda true: _decay_all, ["AdamW", "SGD with momentum"]),
    "no clipping": (
        optim,
        "clip_by_global_norm",
        lambda true: lambda g, n: 0.0,
        ["Adam, clipped, with warm-up"],
    ),
    "a schedule one step early": (optim, "linear", _off_by_one, ["Adam, clipped, with warm-up"]),
    "a gradient whose scale is off": (  # which Adam divides out, clipped or not
        MaskedLM,
        "loss_and_grad",
        lambda true: (
            lambda self, model, batch, grads, *, normalizer: true(
                self, model, batch, grads, normalizer=normalizer * (1 + 1e-9)
            )
        ),
        ["SGD with momentum"],
    ),
}


@pytest.mark.parametrize(
    "what",
    [pytest.param(what, marks=() if what == "no clipping" else pytest.mark.thorough) for what in BROKEN],
)
def test_a_broken_run_fails(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, name, breaks, runs = BROKEN[what]
    monkeypatch.setattr(where, name, breaks(getattr(where, name)))
    monkeypatch.setattr(training, "RUNS", {label: RUNS[label] for label in runs})
    wrong = failed(prove_training())
    for label in runs:
        assert any(row.startswith(f"{label}: ") for row in wrong), label


@pytest.mark.usefixtures("followed_once")
@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize(
    ("key", "error", "what"),
    [
        ("losses", 1e-11, "losses"),
        ("param/embeddings.token", 1e-10, "parameters"),
        ("param/encoder.0.attention.key.bias", 1e-8, "key biases"),
    ],
)
def test_a_stored_value_that_is_off_fails(run: str, key: str, error: float, what: str) -> None:
    stored = dict(golden.load("golden_training"))
    stored[f"{run}/{key}"] = stored[f"{run}/{key}"].copy()
    stored[f"{run}/{key}"].flat[-1] += error
    assert failed(prove_training(stored)) == [f"{run}: {what}"]


@pytest.mark.usefixtures("followed_once")
def test_a_stored_value_that_is_missing_fails() -> None:
    complete = golden.load("golden_training")
    for key in ("AdamW/losses", "AdamW/param/mlm.bias"):
        stored = {name: x for name, x in complete.items() if name != key}
        assert failed(prove_training(stored)) == [
            f"AdamW: {w}" for w in ("losses", "parameters", "key biases")
        ]
    assert len(failed(prove_training({}))) == 9


@pytest.mark.usefixtures("followed_once")
def test_a_loss_that_is_not_finite_fails() -> None:
    stored = dict(golden.load("golden_training"))
    stored["AdamW/losses"] = np.full(STEPS, np.nan)
    assert failed(prove_training(stored)) == ["AdamW: losses"]
