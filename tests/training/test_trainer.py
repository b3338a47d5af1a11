"""Minutes into steps, and that the timing leaves no trace; the picture; the table."""

from __future__ import annotations

import builtins
from dataclasses import replace

import numpy as np
import pytest

from npformer.models import Encoder
from npformer.text import Document
from npformer.training import RunConfig, Trainer, fit, prepare, with_settled_steps
from npformer.training import pace as pace_module
from npformer.training.plot import MISSING, plot_losses, smooth

SIZE = {"layers": 1, "d_model": 8, "heads": 2, "vocab_size": 60, "seq_len": 12, "batch_size": 5}


@pytest.fixture
def prepared(text):
    return prepare([Document("text", text)], RunConfig(minutes=0.5, **SIZE))


def test_minutes_become_steps(prepared, monkeypatch):
    monkeypatch.setattr(pace_module, "seconds_per_step", lambda prepared, threads: 0.01)
    settled = with_settled_steps(prepared, threads=1)
    assert settled.config.steps == int(30 * 0.96 / 0.01)
    assert settled.config.minutes == 0.5
    assert settled.config.eval_every == settled.config.steps // 10


def test_the_timing_does_not_change_a_bit(prepared):
    def weights() -> np.ndarray:
        trainer = Trainer(prepared.config.with_steps(5), prepared.tokenizer, prepared.train)
        for step in range(3):
            trainer.update(step)
        return trainer.model.params.flat

    before = weights()
    assert 0 < pace_module.seconds_per_step(prepared, threads=2, seconds=0.05) < 5
    assert np.array_equal(weights(), before)


@pytest.mark.parametrize(("minutes", "lasts"), [(0.5, 4.0), (10.0, 6.0), (600.0, 20.0)])
def test_the_timing_is_the_mean_of_steps_that_differ(prepared, monkeypatch, minutes, lasts):
    now = [0.0]

    def update(self, step, executor):
        now[0] += 0.5 if step < 2 else (0.1, 0.1, 0.4)[step % 3]

    monkeypatch.setattr(Trainer, "update", update)
    monkeypatch.setattr(pace_module.time, "perf_counter", lambda: now[0])
    prepared = prepared._replace(config=replace(prepared.config, minutes=minutes))
    assert pace_module.seconds_per_step(prepared, threads=1) == pytest.approx(0.2, rel=0.15)
    assert lasts <= now[0] < lasts + 0.4


def test_an_update_is_the_rate_times_the_clipped_gradient_of_the_whole_batch(prepared):
    sgd = {"optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0, "clip": 0.3}
    config = RunConfig(steps=4, warmup=0.5, dtype="float64", **sgd, **SIZE)
    trainer = Trainer(config, prepared.tokenizer, prepared.train)
    batch, chosen = trainer.batch(1)
    assert len(chosen) == 5
    before, grads = trainer.model.params.copy(), trainer.model.params.zeros_like()
    expected = trainer.objective.loss_and_grad(trainer.model, batch, grads, normalizer=batch.n_targets)
    norm = float(np.sqrt((grads.flat**2).sum()))
    assert norm > 0.3
    shown = trainer.update(1)
    assert np.isclose(shown.loss, expected.loss, rtol=1e-12)
    assert np.isclose(shown.accuracy, expected.accuracy, rtol=1e-12)
    assert np.isclose(shown.grad_norm, norm, rtol=1e-12)
    assert np.isclose(shown.lr, config.lr * 2 / 3, rtol=1e-12)
    step = before.flat - trainer.model.params.flat
    rounding = np.finfo(float).eps * np.abs(before.flat)  # of the parameter, where its step is tiny beside it
    error = np.abs(step - shown.lr * grads.flat * 0.3 / (norm + 1e-6))
    assert (error <= 1e-9 * np.abs(step) + rounding).all()


def test_restoring_refuses_another_model(prepared):
    trainer = Trainer(prepared.config.with_steps(5), prepared.tokenizer, prepared.train)
    params, optimizer = trainer.state()
    other = dict(params)
    other.pop("mlm.bias")
    with pytest.raises(ValueError, match="mlm.bias"):
        trainer.restore(other, optimizer)
    with pytest.raises(ValueError, match="mlm.bias: expected"):
        trainer.restore({**params, "mlm.bias": np.zeros(3, np.float32)}, optimizer)


def test_smooth_is_a_running_mean():
    values = np.arange(200.0)
    smoothed = smooth(values)
    assert smoothed[0] == 0
    assert smoothed[150] == np.mean(values[147:151])


@pytest.mark.extra
def test_the_picture(make_run, monkeypatch):
    pytest.importorskip("matplotlib", reason="matplotlib: not installed")
    monkeypatch.setattr("npformer.training.loop.plot_losses", plot_losses)
    run = make_run()
    fit(run, threads=1, quiet=True)
    assert (run.folder / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_a_line_says_what_to_install(make_run, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.partition(".")[0] == "matplotlib":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    run = make_run()
    monkeypatch.setattr("npformer.training.loop.plot_losses", plot_losses)
    monkeypatch.setattr(builtins, "__import__", without)
    said: list[str] = []
    fit(run, threads=1, quiet=True, say=said.append)
    assert said == [MISSING]
    assert plot_losses(run.folder, run.result or {}) == MISSING
    assert not (run.folder / "loss.png").exists()


def test_recomputation_is_asked_for_and_changes_no_bit(prepared, monkeypatch):
    asked = []
    forward = Encoder.forward

    def watched(self, ids, **arguments):
        asked.append(arguments["recompute"])
        return forward(self, ids, **arguments)

    monkeypatch.setattr(Encoder, "forward", watched)
    weights = []
    for recompute in (False, True):
        config = RunConfig(steps=3, dropout=0.2, recompute=recompute, **{**SIZE, "layers": 2})
        trainer = Trainer(config, prepared.tokenizer, prepared.train)
        for step in range(2):
            trainer.update(step)
        weights.append(trainer.model.params.flat)
        assert set(asked) == {recompute}
        asked.clear()
    assert np.array_equal(*weights)
