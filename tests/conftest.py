"""What several rooms' tests share: --thorough, --exhaustive, the shared data, a generic point for models."""

# ruff: noqa: E402
from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from npformer._threads import BLAS_VARIABLES

for name in BLAS_VARIABLES:  # as the commands have it; before NumPy loads, and for the tests' own processes
    os.environ.setdefault(name, "1")

import numpy as np

from npformer.models import (
    Decoder,
    DecoderConfig,
    Electra,
    ElectraConfig,
    Encoder,
    EncoderConfig,
    EncoderDecoder,
    EncoderDecoderConfig,
    Parameters,
)
from npformer.teaching import child
from npformer.teaching.exercises import grading


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--thorough",
        action="store_true",
        help="more seeds of the proofs, derivatives of every entry of an op, ten kills, long runs",
    )
    parser.addoption(
        "--exhaustive", action="store_true", help="twenty seeds of everything that has seeds"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = [name for name in ("thorough", "exhaustive") if not config.getoption(f"--{name}")]
    waiting = [item for item in items if any(item.get_closest_marker(name) for name in left_out)]
    if waiting:
        config.hook.pytest_deselected(items=waiting)  # the last line of pytest's output counts them
        items[:] = [item for item in items if item not in set(waiting)]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real text beside the checkout; a test that needs it says what is missing."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("shared data: no folder shared/data beside this checkout")
    return folder


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., child.Outcome]:
    """Have somebody's file run here by what a new Python would run, which takes half a second to start.

    For files that end by themselves: what a process of its own is for, tests/teaching/test_child.py shows.
    """
    one_at_a_time = threading.Lock()

    def run_here(task: str, payload: Any, *, seconds: float = 10.0) -> child.Outcome:
        request, answer = tmp_path / "request.json", tmp_path / "answer.json"
        with one_at_a_time, contextlib.redirect_stdout(io.StringIO()) as out, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            request.write_text(json.dumps({"task": task, "payload": payload}))
            child._main(str(request), str(answer))
            told = json.loads(answer.read_text())
        return child.Outcome(told["status"], told.get("value"), told.get("error", ""), out.getvalue())

    monkeypatch.setattr(child.os, "_exit", lambda status: None)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for module in (child, grading):
        monkeypatch.setattr(module, "run_child", run_here)
    return run_here


@pytest.fixture(scope="session")
def numbers_once() -> Callable[[Callable[..., Any]], contextlib.AbstractContextManager[None]]:
    """Within `numbers_once(forward)`, the referee takes the numeric gradients of a forward once.

    For many wrong backwards of one forward at one point: they have no part in what they are held against.
    """
    of_checks = importlib.import_module("npformer.gradcheck.check")
    true, known = of_checks.reference, {}

    def told(x: Any) -> Any:
        if isinstance(x, np.ndarray):
            return x.shape, x.dtype.str, x.tobytes()
        return str(x.bit_generator.state) if isinstance(x, np.random.Generator) else repr(x)

    @contextlib.contextmanager
    def remembered(forward: Callable[..., Any]) -> Iterator[None]:
        def reference(f: Any, inputs: dict[str, Any], name: str, dout: np.ndarray) -> Any:
            key = forward, name, told(dout), tuple((other, told(x)) for other, x in inputs.items())
            if key not in known:
                known[key] = true(f, inputs, name, dout)
            return known[key]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(of_checks, "reference", reference)
            yield

    return remembered


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have runs draw no loss curve, which takes as long as a tiny run. (test_trainer.py has one drawn.)"""
    monkeypatch.setattr("npformer.training.loop.plot_losses", lambda *arguments: None)


# A generic point for whole models: never initialisation (DESIGN section 7)


def generic(params: Parameters, rng: np.random.Generator) -> None:
    """Fill `params` with O(1/sqrt(fan_in)) weights, gamma in U(0.5, 1.5), and biases that are not zero."""
    for name, view in params.items():
        if name.endswith(".gamma"):
            view[...] = rng.uniform(0.5, 1.5, view.shape)
        elif view.ndim == 1:
            view[...] = 0.3 * rng.standard_normal(view.shape)
        elif name.startswith("embeddings."):
            view[...] = rng.standard_normal(view.shape)
        else:
            view[...] = rng.standard_normal(view.shape) / np.sqrt(view.shape[0])


def small_encoder(seed: int = 0, **changes: object) -> Encoder:
    """Return a 2-layer encoder at a generic point, in float64."""
    values: dict[str, object] = {
        "vocab_size": 13,
        "d_model": 8,
        "n_heads": 2,
        "d_ff": 12,
        "n_layers": 2,
        "max_positions": 7,
        **changes,
    }
    model = Encoder(EncoderConfig(**values), dtype=np.float64)  # type: ignore[arg-type]
    generic(model.params, np.random.default_rng(seed))
    return model


@pytest.fixture
def make_encoder():
    return small_encoder


def small_decoder(seed: int = 0, **changes: object) -> Decoder:
    """Return a 2-layer decoder at a generic point, in float64."""
    values: dict[str, object] = {
        "vocab_size": 13,
        "d_model": 8,
        "n_heads": 2,
        "d_ff": 12,
        "n_layers": 2,
        "max_positions": 9,
        **changes,
    }
    model = Decoder(DecoderConfig(**values), dtype=np.float64)  # type: ignore[arg-type]
    generic(model.params, np.random.default_rng(seed))
    return model


def small_encoder_decoder(seed: int = 0, **changes: object) -> EncoderDecoder:
    """Return an encoder-decoder with two layers on either side at a generic point, in float64."""
    values: dict[str, object] = {
        "vocab_size": 13,
        "d_model": 8,
        "n_heads": 2,
        "d_ff": 12,
        "n_encoder_layers": 2,
        "n_decoder_layers": 2,
        "max_positions": 9,
        **changes,
    }
    model = EncoderDecoder(EncoderDecoderConfig(**values), dtype=np.float64)  # type: ignore[arg-type]
    generic(model.params, np.random.default_rng(seed))
    return model


def small_electra(seed: int = 0, generator_size: float = 0.5, **changes: object) -> Electra:
    """Return a generator and a discriminator, the size of `small_encoder`, at a generic point in float64."""
    discriminator = small_encoder(**changes).config
    model = Electra(ElectraConfig.scaled(discriminator, generator_size), dtype=np.float64)
    generic(model.params, np.random.default_rng(seed))
    return model


@pytest.fixture
def make_electra():
    return small_electra


@pytest.fixture
def make_decoder():
    return small_decoder


@pytest.fixture
def make_encoder_decoder():
    return small_encoder_decoder


@pytest.fixture
def inputs() -> dict[str, np.ndarray]:
    """Three sequences of five tokens: ids that repeat, one padded sequence, two segments."""
    ids = np.array([[2, 7, 5, 7, 3], [2, 9, 3, 0, 0], [2, 11, 7, 12, 3]])
    return {
        "ids": ids,
        "mask": ids != 0,
        "segment_ids": np.array([[0, 0, 1, 1, 1], [0, 0, 0, 0, 0], [0, 1, 1, 1, 1]]),
    }
