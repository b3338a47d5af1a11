"""`npformer finetune` and `npformer predict`, from files to files."""

from __future__ import annotations

import json

import numpy as np
import pytest

from npformer.cli import main
from npformer.models import (
    Decoder,
    DecoderConfig,
    Encoder,
    EncoderConfig,
    EncoderDecoder,
    EncoderDecoderConfig,
)
from npformer.text import WordPieceTokenizer

VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film", "a", "the", "very"]
ROWS = [("a good film", "pos"), ("the bad film", "neg"), ("very good", "pos"), ("a very bad film", "neg")]


@pytest.fixture
def place(tmp_path, monkeypatch):
    sizes = {"d_model": 8, "n_heads": 2, "d_ff": 16, "n_layers": 1, "max_positions": 8}
    tokenizer = WordPieceTokenizer(VOCAB)
    encoder = Encoder(EncoderConfig(len(VOCAB), **sizes, init_std=0.1), np.random.default_rng(0))
    encoder.save_pretrained(tmp_path / "encoder", tokenizer)
    Decoder(DecoderConfig(len(VOCAB), **sizes)).save_pretrained(tmp_path / "decoder", tokenizer)
    del sizes["n_layers"]
    config = EncoderDecoderConfig(len(VOCAB), **sizes, n_encoder_layers=1, n_decoder_layers=1, norm="pre")
    EncoderDecoder(config, np.random.default_rng(0)).save_pretrained(tmp_path / "translator", tokenizer)
    lines = [f"{label}\t{text}\n" for text, label in ROWS]
    (tmp_path / "train.tsv").write_text("".join(lines * 6))
    (tmp_path / "dev.tsv").write_text("".join(lines))
    (tmp_path / "train.conll").write_text("good B-x\nfilm I-x\n\na O\nbad O\nfilm O\n\n" * 10)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def finetune(*more, model="encoder", task="classify", train="train.tsv", dev="dev.tsv"):
    quick = ["--epochs", "15", "--lr", "0.01", "--dropout", "0", "--quiet"]
    return main(["finetune", model, "--task", task, "--train", train, "--dev", dev, *quick, *more])


def test_from_a_file_to_predictions(place, capsys):
    assert finetune("--test", "dev.tsv") == 0
    out = capsys.readouterr().out
    assert "most frequent label" in out
    assert "try it:     echo 'a good film' | npformer predict runs/finetune-1 -" in out
    assert "difference                          0.5000" in out
    result = json.loads((place / "runs" / "finetune-1" / "result.json").read_text())
    assert result["dev"]["accuracy"] == result["test"]["accuracy"] == 1.0
    config = json.loads((place / "runs" / "finetune-1" / "config.json").read_text())
    assert (config["base"], config["train"], config["labels"]) == ("encoder", "train.tsv", ["neg", "pos"])
    (place / "texts.txt").write_text("very good\nthe bad film\n")
    assert main(["predict", "runs/finetune-1", "texts.txt"]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [label for label, _ in lines] == ["pos", "neg"]
    assert main(["predict", "runs/finetune-1", "texts.txt", "--json"]) == 0
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert first["text"] == "very good"
    assert first["label"] == "pos"
    assert first["probability"] == pytest.approx(float(lines[0][1]), abs=1e-4)


def test_scores_of_each_label(place, capsys):
    assert finetune("--by-label", "--choose-by", "macro_f1") == 0
    lines = capsys.readouterr().out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("dev, by label"))
    assert [line.split() for line in lines[at + 1 : at + 3]] == [
        ["neg", "1.0000", "1.0000", "1.0000", "2"],
        ["pos", "1.0000", "1.0000", "1.0000", "2"],
    ]
    assert finetune("--choose-by", "f2", "--out", "other") == 2
    err = capsys.readouterr().err
    assert "choose_by: expected one of accuracy, macro_f1, matthews, got 'f2'" in err


def test_texts_that_are_cut_are_told(place, capsys):
    assert finetune("--out", "tuned") == 0
    (place / "texts.txt").write_text("good film\n" + 9 * "very " + "bad\n")
    capsys.readouterr()
    assert main(["predict", "tuned", "texts.txt"]) == 0
    assert capsys.readouterr().err == "1 of 2 rows are cut to 8 tokens\n"
    (place / "texts.txt").write_text("pos\tgood film\n")
    assert main(["predict", "tuned", "texts.txt"]) == 2
    assert "texts.txt:1: expected a text without its label, got a tab in" in capsys.readouterr().err


def test_tags_are_printed_beside_their_words(place, capsys):
    assert finetune("--out", "tags", task="tag", train="train.conll", dev="train.conll") == 0
    assert capsys.readouterr().out.split()[1] == "f1"
    (place / "texts.txt").write_text("good film\n")
    assert main(["predict", "tags", "texts.txt"]) == 0
    assert capsys.readouterr().out == "good/B-x film/I-x\n"
    assert main(["predict", "tags", "texts.txt", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tags"] == ["B-x", "I-x"]


def test_numbers_and_pairs(place, capsys):
    rows = [("good film", "very good film", 4), ("bad film", "very good film", 1), ("bad", "a bad film", 3)]
    (place / "sts.csv").write_text("".join(f"{a},{b},{n}\n" for a, b, n in rows * 5))
    arguments = ["--out", "sts", "--json"]
    assert finetune(*arguments, task="similarity", train="sts.csv", dev="sts.csv") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["score"] == "pearson"
    assert list(result["dev"]) == ["pearson", "spearman", "rmse"]
    (place / "texts.txt").write_text("good film\tvery good film\n")
    assert main(["predict", "sts", "texts.txt"]) == 0
    assert 1 <= float(capsys.readouterr().out) <= 5
    (place / "texts.txt").write_text("good film\n")
    assert main(["predict", "sts", "texts.txt"]) == 2
    assert "texts.txt:1: expected two texts with a tab between, got 'good film'" in capsys.readouterr().err


WRITERS = [("seq2seq", "translator", "rougeL"), ("clm", "decoder", "perplexity")]


@pytest.mark.parametrize(("task", "model", "score"), WRITERS)
def test_texts_are_written(place, capsys, task, model, score):
    rows = "".join(f"{text}\t{text.split()[-1]} {text.split()[0]}\n" for text, _ in ROWS)
    (place / "train.tsv").write_text(8 * rows)
    (place / "dev.tsv").write_text(rows)
    assert finetune("--test", "dev.tsv", "--lr", "0.03", "--out", "tuned", model=model, task=task) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].split() == ["dev", "rouge1", "rouge2", "rougeL", "perplexity"]
    assert "lead; a unigram" in out
    assert "try it:     echo 'a good film' | npformer predict tuned -" in out
    assert json.loads((place / "tuned" / "result.json").read_text())["score"] == score
    (place / "texts.txt").write_text("very good\nthe bad film\n" + 9 * "very " + "\n")
    assert main(["predict", "tuned", "texts.txt"]) == 0
    lines, err = capsys.readouterr()
    assert len(lines.splitlines()) == 3
    assert err == f"1 of 3 rows are cut to {8 if task == 'seq2seq' else 4} tokens\n"
    assert main(["predict", "tuned", "texts.txt", "--json"]) == 0
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert first == {"source": "very good", "target": lines.splitlines()[0]}
    (place / "texts.txt").write_text("very good\tgood very\n")
    assert main(["predict", "tuned", "texts.txt"]) == 2
    assert "texts.txt:1: expected a source without its target, got a tab in" in capsys.readouterr().err
    if task == "seq2seq":  # it is an encoder-decoder like others
        assert main(["generate", "tuned", "--source", "very good"]) == 0
        assert capsys.readouterr().out.strip() == first["target"]
    else:
        assert main(["generate", "tuned", "--prompt", "very good"]) == 2
        assert "was fine-tuned to answer them (npformer predict tuned FILE)" in capsys.readouterr().err
        assert main(["generate", "decoder", "--prompt", "very good", "--max-new-tokens", "2"]) == 0


@pytest.mark.parametrize(("task", "model", "score"), WRITERS)
@pytest.mark.parametrize(
    ("content", "more", "message"),
    [
        ("a film\ta\nbad\n", [], "dev.tsv:2: expected 2 columns, got 1"),
        ("a film\ta\nbad\t \n", [], "dev.tsv:2: expected a text as target, got an empty one"),
        ("a film\ta\n\tbad\n", [], "dev.tsv:2: expected a text as source, got an empty one"),
        ("a film\n", [], "dev.tsv"),
        ("a film\ta\n", ["--columns", "source=1,target=3"], "expected a column 3, got 2 columns"),
        ("a film\ta\n", ["--choose-by", "bleu"], "expected one of rouge1, rouge2, rougeL, perplexity, got"),
        ("a film\ta\n", ["--labels", "dev.tsv"], "are texts"),
    ],
)
def test_bad_sources_and_targets_are_one_line(place, capsys, task, model, score, content, more, message):
    (place / "dev.tsv").write_text(content)
    assert finetune(*more, model=model, task=task) == 2
    err = capsys.readouterr().err
    assert message in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("dev", "more", "message"),
    [
        ("pos\ta film\nodd\tthe film\n", [], "dev.tsv:2: expected a label of training ('neg', 'pos'), got"),
        ("pos\ta film\nneg\t\n", [], "dev.tsv:2: expected a text, got an empty one"),
        ("pos\ta film\nneg\n", [], "dev.tsv:2: expected"),
        ("", [], "dev.tsv: "),
        (None, ["--lr", "-1"], "lr: expected a finite number above 0, got -1.0"),
        (None, ["--threads", "0"], "threads: expected at least 1, got 0"),
        (None, ["--columns", "text=9,label=1"], "train.tsv"),
        (None, ["--lora", "2", "--freeze", "1"], "freeze: with lora the whole encoder is frozen"),
        (None, ["--labels", "none.txt"], "none.txt: no such file"),
        (None, ["--out", "encoder"], "the folder is not empty"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(place, capsys, dev, more, message):
    if dev is not None:
        (place / "dev.tsv").write_text(dev)
    before = sorted(path.name for path in place.iterdir())
    assert finetune(*more) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1, err
    assert message in err
    assert sorted(path.name for path in place.iterdir()) == before


def test_a_byte_of_another_encoding_is_named(place, capsys):
    (place / "train.tsv").write_bytes(b"pos\ta film\n" + b"neg\tun caf\xe9\n")
    assert finetune() == 2
    err = capsys.readouterr().err
    assert "train.tsv:2: " in err
    assert "0xe9" in err


def test_bad_rows_can_be_skipped(place, capsys):
    (place / "dev.tsv").write_text("pos\ta good film\nneg\nneg\tbad\n")
    assert finetune("--skip-bad") == 0


def test_other_models_are_refused(place, capsys):
    files = ["--train", "train.tsv", "--dev", "dev.tsv", "--quiet"]
    assert main(["finetune", "decoder", "--task", "classify", *files]) == 2
    assert "expected an encoder to fine-tune, got Decoder" in capsys.readouterr().err
    assert main(["finetune", "encoder", "--task", "seq2seq", *files]) == 2
    err = capsys.readouterr().err
    assert "expected an encoder-decoder to fine-tune, got Encoder (seq2seq needs one of npformer" in err
    assert main(["predict", "encoder", "dev.tsv"]) == 2
    assert "expected a fine-tuned model, found no task.json" in capsys.readouterr().err
