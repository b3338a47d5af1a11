"""What pre-training is for, at a scale that says nothing: every step of it on made-up files."""

from __future__ import annotations

import json
import re
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
    row["scratch"] |= {"test": [0.5, 0.6], "seconds": 61.4}
    row["pretrained"] |= {"test": [0.7, 0.8], "seconds": 58.6}
    (shown,) = downstream.table([row], few=True).splitlines()[2:]
    difference = "+20.0 (2.8 pooled deviations) | 61 and 59 |"
    assert shown == f"| snips intents | 10 of each class | accuracy | 55.0 ± 7.1 | 75.0 ± 7.1 | {difference}"


def test_all_examples_have_three_seeds_and_the_pretraining_its_seconds(
    data, words, tmp_path, monkeypatch, capsys
):
    asked = []

    def compared(start, name, of_task, seeds, few, grid):
        asked.append((name, seeds, few, grid))
        both = {which: {"test": seeds * [0.5], "seconds": 1.0} for which in ("scratch", "pretrained")}
        return {"task": name, "examples": "40", "score": "accuracy", **both}

    monkeypatch.setattr(downstream, "compare", compared)
    options = "--steps 1 --quiet --layers 1 --d-model 8 --heads 2 --seq-len 16 --batch-size 4"
    arguments = ["downstream.py", str(data), "--full", "--options", options, "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", arguments)
    downstream.main()
    assert asked == [(name, 3, False, [(1e-3, 5)]) for name in downstream.WHOLE]
    assert re.match(r"pre-trained for 1 steps, \d+ seconds\n", capsys.readouterr().out)


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
