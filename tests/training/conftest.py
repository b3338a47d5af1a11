"""Runs small enough to train in a second, and text for them."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from npformer.text import Document
from npformer.training import Run, RunConfig, create_run, prepare

WORDS = "the cat sat on a mat and saw one dog run over green hills while rain fell from grey clouds"

TINY = {
    "steps": 12,
    "layers": 1,
    "d_model": 8,
    "heads": 2,
    "d_ff": 16,
    "vocab_size": 60,
    "seq_len": 12,
    "batch_size": 5,
    "eval_every": 4,
    "checkpoint_every": 3,
    "lr": 1e-2,
}


def make_text(lines: int = 120, seed: int = 0) -> str:
    """Return lines of words, all different."""
    draw = random.Random(seed)
    return "".join(" ".join(draw.choices(WORDS.split(), k=7)).capitalize() + f" {i}.\n" for i in range(lines))


@pytest.fixture(scope="session")
def text() -> str:
    return make_text()


@pytest.fixture
def lines_of_words() -> Callable[..., str]:
    """Return `make_text`."""
    return make_text


@pytest.fixture
def make_run(tmp_path: Path, text: str) -> Callable[..., Run]:
    """Return a function that makes a run folder, with changes to the tiny configuration."""

    def make(name: str = "run", **changes: object) -> Run:
        config = RunConfig(**{**TINY, **changes})  # type: ignore[arg-type]
        return create_run(tmp_path / name, prepare([Document("text", text)], config))

    return make
