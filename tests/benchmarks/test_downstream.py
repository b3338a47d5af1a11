"""What pre-training is for, at a scale that says nothing: every step of it on made-up files."""

from __future__ import annotations

import json
import sys

import downstream
import numpy as np

from npformer.models import Encoder, EncoderConfig
from npformer.text import WordPieceTokenizer


def test_both_encoders_are_judged_on_the_same_examples(data, words, tmp_path, monkeypatch, capsys):
    tokenizer = WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words])
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
