"""The benchmarks are scripts beside the package; their tests import them from there."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path[:0] = [str(BENCHMARKS), str(BENCHMARKS / "peers")]

WORDS = ["play", "music", "rain", "today", "good", "bad", "film", "dogs", "run"]


@pytest.fixture
def words() -> list[str]:
    """Those that the texts of `data` are made of."""
    return WORDS


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of made-up files, as benchmarks/downstream.py reads them."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "data"

    def sentence() -> list[str]:
        return [WORDS[i] for i in rng.integers(len(WORDS), size=5)]

    def write(name: str, text: str) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)

    for part, n in (("train", 740), ("validate", 10)):
        rows = []
        for _ in range(n):
            words = sentence()
            tags = ["B-x" if word == "music" else "O" for word in words]
            rows.append({"intent": "A" if "rain" in words else "B", "tokens": words, "tags": tags})
        write(f"snips/{part}.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    for part in ("train", "dev", "test"):
        sentences = ["".join(f"{word}\tNOUN\n" for word in sentence()) for _ in range(20)]
        write(f"ud_ewt/{part}.tsv", "\n".join(sentences))
    for name in ("pos", "neg"):
        lines = [" ".join(sentence()) + "\n" for _ in range(1300)]
        write(f"sentence_polarity/rt-polarity.{name}", "".join(lines))
    for name in ("state_union/state_union.txt", "devil/devil.txt"):
        write(name, "\n".join(" ".join(sentence()) for _ in range(20)))
    (folder / "jargon").mkdir()
    (folder / "jargon" / "jargon.txt.gz").write_bytes(gzip.compress(b"dogs run\n"))
    return folder
