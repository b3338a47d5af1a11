"""What pre-training is for, at a scale that says nothing: every step of it on made-up files."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import downstream
import numpy as np
import pytest

from npformer.models import Encoder, EncoderConfig
from npformer.text import WordPieceTokenizer

WORDS = ["play", "music", "rain", "today", "good", "bad", "film", "dogs", "run"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
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


def test_both_encoders_are_judged_on_the_same_examples(data, tmp_path, monkeypatch, capsys):
    tokenizer = WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS])
    sizes = {"d_model": 8, "n_heads": 2, "d_ff": 16, "n_layers": 1, "max_positions": 12}
    Encoder(EncoderConfig(tokenizer.vocab_size, **sizes)).save_pretrained(tmp_path / "model", tokenizer)
    arguments = ["--lr", "1e-3", "1e-2", "--epochs", "1", "--seeds", "2"]
    arguments += ["--run", str(tmp_path / "model"), "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["downstream.py", str(data), "--tasks", "snips intents", *arguments])
    downstream.main()
    out = capsys.readouterr().out
    assert "| snips intents | 10 of each class | accuracy |" in out
    (row,) = json.loads((tmp_path / "out" / "few.json").read_text())
    for which in ("scratch", "pretrained"):
        assert len(row[which]["test"]) == 2
        assert (row[which]["lr"], row[which]["epochs"]) in [(1e-3, 1), (1e-2, 1)]


def test_what_is_tested_on_is_not_pretrained_on(data):
    task = downstream.polarity(data)
    tested = {example.where for part in (task.dev, task.test) for example in part}
    assert not tested & {example.where for example in task.train}
    assert len(task.test) == 2000
    texts = list(downstream.unlabelled(data))
    assert len(texts) == 6
    assert texts[2].count("\n") + 1 == len(task.train)
    intents = downstream.snips(data, "classify")
    assert (len(intents.train), len(intents.dev), len(intents.test)) == (40, 700, 10)
    drawn = intents.draw(intents.train, np.random.default_rng(1))
    counts = [sum(e.label == label for e in drawn) for label in ("A", "B")]
    available = [sum(e.label == label for e in intents.train) for label in ("A", "B")]
    assert counts == [min(10, n) for n in available]
