"""Summaries and answers, at a scale that says nothing: every step of it on made-up files."""

from __future__ import annotations

import doctest
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import summaries

from npformer.models import Decoder, DecoderConfig, EncoderDecoder, EncoderDecoderConfig
from npformer.text import WordPieceTokenizer

WORDS = ["play", "music", "rain", "today", "good", "bad", "film", "dogs", "run"]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(summaries, "CHOSEN_BY", 4)
    rng, folder = np.random.default_rng(0), tmp_path / "data"

    def sentence() -> list[str]:
        return [WORDS[i] for i in rng.integers(len(WORDS), size=5)]

    (folder / "snips").mkdir(parents=True)
    for part, n in (("train", 20), ("validate", 5)):
        rows = []
        for _ in range(n):
            words = sentence()
            tags = ["B-x" if word == "music" else "O" for word in words]
            intent = "GetWeather" if "rain" in words else "Play"
            rows.append({"intent": intent, "tokens": words, "tags": tags})
        (folder / "snips" / f"{part}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "tinyshakespeare").mkdir()
    blocks = [f"SPEAKER {i}:\n{i} {' '.join(sentence())}" for i in range(40)]
    (folder / "tinyshakespeare" / "input.txt").write_text("\n\n".join([*blocks, "NOBODY:"]))
    return folder


@pytest.fixture
def models(tmp_path: Path) -> list[str]:
    tokenizer = WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS])
    sizes = {"d_model": 8, "n_heads": 2, "d_ff": 16, "max_positions": 12}
    both = EncoderDecoderConfig(tokenizer.vocab_size, **sizes, n_encoder_layers=1, n_decoder_layers=1)
    EncoderDecoder(both).save_pretrained(tmp_path / "both", tokenizer)
    Decoder(DecoderConfig(tokenizer.vocab_size, **sizes, n_layers=1)).save_pretrained(
        tmp_path / "decoder", tokenizer
    )
    return [str(tmp_path / "decoder"), str(tmp_path / "both")]


def run(monkeypatch: pytest.MonkeyPatch, data: Path, out: Path, *more: str) -> None:
    arguments = [str(data), "--out", str(out), "--epochs", "1", "--examples", "8", *more]
    monkeypatch.setattr(sys, "argv", ["summaries.py", *arguments])
    summaries.main()


def test_both_tasks_are_in_one_table(data, models, tmp_path, monkeypatch, capsys):
    run(monkeypatch, data, tmp_path / "out", "--run", *models, "--seeds", "2")
    lines = capsys.readouterr().out.split("\n\n")[-1].splitlines()
    assert lines[0] == "| data | model | ROUGE-1 | ROUGE-2 | ROUGE-L | perplexity | seconds |"
    assert [line.split(" | ")[1] for line in lines[2:]] == 2 * [
        "lead; a unigram",
        "from scratch",
        "pre-trained",
    ]
    rows = json.loads((tmp_path / "out" / "summaries.json").read_text())
    for row, score in zip(rows, ("rougeL", "perplexity"), strict=True):
        for which in ("from scratch", "pre-trained"):
            assert len(row[which]["runs"]) == 2
            assert row[which]["dev"] == pytest.approx(
                np.mean([of_seed["dev"][score] for of_seed in row[which]["runs"]])
            )
            assert {one["examples"]["train"] for one in row[which]["runs"]} == {8}


def test_what_is_not_given_is_pretrained(data, models, tmp_path, monkeypatch, capsys):
    asked = []

    def pretrain(folder, out, job, minutes, options):
        asked.append((job.objective, minutes, options))
        return models[1]

    monkeypatch.setattr(summaries, "pretrain", pretrain)
    more = ["--run", models[0], "--tasks", "summaries", "--seeds", "1", "--minutes", "3"]
    run(monkeypatch, data, tmp_path / "out", *more, "--options=--cased")
    assert asked == [("t5", 3.0, "--cased")]


def test_of_several_rates_each_model_has_its_best(data, models, tmp_path, monkeypatch, capsys):
    dev = {1e-3: {True: 9.0, False: 5.0}, 1e-2: {True: 7.0, False: 6.0}}

    def tuned(start, job, parts, recipe, n):
        scores = {"perplexity": dev[recipe.lr][recipe.from_scratch]}
        return {"score": "perplexity", "dev": scores, "test": dict.fromkeys(summaries.SCORES, 1.0)} | {
            "baseline_is": "a guess",
            "test_baseline": dict.fromkeys(summaries.SCORES, 0.5),
            "seconds": 1.0,
        }

    monkeypatch.setattr(summaries, "tuned", tuned)
    rates = ["--lr", "1e-3", "1e-2", "--seeds", "1", "--tasks", "dialogue"]
    run(monkeypatch, data, tmp_path / "out", "--run", *models, *rates)
    (row,) = json.loads((tmp_path / "out" / "summaries.json").read_text())
    assert (row["from scratch"]["lr"], row["pre-trained"]["lr"]) == (1e-2, 1e-3)  # the lowest perplexity
    assert "| pre-trained | 100.0 | 100.0 | 100.0 | 1.0 | 1 |" in capsys.readouterr().out


@pytest.mark.thorough
def test_it_pretrains(data, tmp_path):
    options = "--preset tiny --steps 2 --d-model 8 --batch-size 2 --seq-len 16 --vocab-size 60"
    for job in summaries.JOBS.values():
        out = summaries.pretrain(data, tmp_path, job, 1.0, options)
        assert isinstance(summaries.load_model(out)[0], job.model)


def test_nothing_that_is_judged_is_pretrained_on(data):
    found, of_turns = summaries.queries(data), summaries.turns(data)
    assert [len(found[part]) for part in summaries.PARTS] == [16, 4, 5]
    assert [len(of_turns[part]) for part in summaries.PARTS] == [31, 3, 3]
    queries, speeches = summaries.unlabelled(data)
    assert queries.splitlines() == [source for source, _ in found["train"]]
    numbers = [int(speech.split()[0]) for speech in speeches.split("\n\n")]
    assert numbers == list(range(32))
    assert [int(target.split()[0]) for _, target in of_turns["test"]] == [37, 38, 39]
    assert "SPEAKER" not in speeches


def test_the_examples_in_the_script_are_right():
    assert doctest.testmod(summaries).failed == 0
    assert summaries.summary("AddToPlaylist", ["add", "it"], ["O", "O"]) == "add to playlist"
