"""`npformer finetune` and `npformer predict`, from files to files."""

from __future__ import annotations

import json
import os
import signal

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
    assert (config["base"], config["labels"]) == ("encoder", ["neg", "pos"])
    assert config["train"] == str(place / "train.tsv")  # found from any folder
    (place / "texts.txt").write_text("very good\nthe bad film\n")
    assert main(["predict", "runs/finetune-1", "texts.txt"]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [label for label, _ in lines] == ["pos", "neg"]
    assert main(["predict", "runs/finetune-1", "texts.txt", "--json"]) == 0
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert first["text"] == "very good"
    assert first["label"] == "pos"
    assert first["probability"] == pytest.approx(float(lines[0][1]), abs=1e-4)


def test_a_decoder_does_the_same(place, capsys):
    quick = ["--epochs", "15", "--lr", "0.01", "--dropout", "0", "--pooling", "last", "--quiet"]
    files = ["--train", "train.tsv", "--dev", "dev.tsv", "--out", "out"]
    assert main(["finetune", "decoder", "--task", "classify", *files, *quick]) == 0
    assert json.loads((place / "out" / "result.json").read_text())["dev"]["accuracy"] == 1.0
    (place / "texts.txt").write_text("very good\nthe bad film\n")
    capsys.readouterr()
    assert main(["predict", "out", "texts.txt"]) == 0
    assert [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()] == ["pos", "neg"]
    assert main(["generate", "out", "--prompt", "a good"]) == 2
    assert "got one that was fine-tuned for classify (npformer predict out FILE)" in capsys.readouterr().err


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
    assert not (place / "other").exists()  # so the same command, put right, may have it


@pytest.mark.parametrize("task", ["regress", "similarity", "seq2seq", "clm"])
def test_what_has_no_labels_has_no_scores_of_each(place, capsys, task):
    assert finetune("--by-label", task=task) == 2
    assert f"by_label: the labels of {task} are " in capsys.readouterr().err
    assert not (place / "runs").exists()


def test_texts_that_are_cut_are_told(place, capsys):
    assert finetune("--out", "tuned") == 0
    (place / "texts.txt").write_text("good film\n" + 9 * "very " + "bad\n")
    capsys.readouterr()
    assert main(["predict", "tuned", "texts.txt"]) == 0
    assert capsys.readouterr().err == "1 of 2 rows are cut to 8 tokens\n"
    (place / "texts.txt").write_text("pos\tgood film\n")
    assert main(["predict", "tuned", "texts.txt"]) == 2
    err = capsys.readouterr().err
    assert "texts.txt:1: expected a text without its label, got a tab in" in err
    assert "of a labelled file: --score, or --columns text=N" in err


@pytest.mark.parametrize("pairs", [False, True])
def test_numbers_are_of_as_many_texts_as_in_training(place, capsys, pairs):
    texts = ["a good film\tgood" if pairs else "a good film", "bad\tthe film" if pairs else "bad"]
    (place / "numbers.tsv").write_text("".join(f"{text}\t{i}.5\n" for i, text in enumerate(texts * 5)))
    assert finetune("--out", "numbers", task="regress", train="numbers.tsv", dev="numbers.tsv") == 0
    (place / "like.txt").write_text("\n".join(texts))
    (place / "other.txt").write_text("very good\n" if pairs else "very good\tgood\n")
    assert main(["predict", "numbers", "like.txt"]) == 0
    assert len(capsys.readouterr().out.splitlines()[-2:]) == 2
    assert main(["predict", "numbers", "other.txt"]) == 2
    one, two = "one text", "two texts (text1 and text2)"
    wanted, got = (two, one) if pairs else (one, two)
    assert f"text 1: expected {wanted}, as in training, got {got}" in capsys.readouterr().err


@pytest.mark.parametrize(("task", "model"), [("classify", "encoder"), ("tag", "encoder"), ("clm", "decoder")])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_model_of_nan_is_no_best_epoch(place, capsys, task, model):
    (place / "turns.tsv").write_text("".join(f"{text}\t{text}\n" for text, _ in ROWS))
    file = {"tag": "train.conll", "clm": "turns.tsv"}.get(task, "train.tsv")
    steps = ("--epochs", "1", "--batch-size", "64", "--lr", "1e30", "--warmup", "0", "--out", "out")
    assert finetune(*steps, model=model, task=task, train=file, dev=file) == 1
    err = capsys.readouterr().err
    assert "npformer finetune: epoch 1: " in err
    assert "no epoch was finished, nothing is saved" in err
    assert not (place / "out" / "model").exists()


def test_a_signal_before_the_first_step_of_a_seed(place, capsys, monkeypatch):
    def one(*data, **options):
        if data[4].seed == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return {"score": "accuracy", "dev": {"accuracy": 0.5}}

    monkeypatch.setattr("npformer.finetuning.seeds.finetune", one)
    assert finetune("--seeds", "3", "--out", "five") == 130
    assert "seed 1: stopped; 1 of 3 seeds have finished, in five" in capsys.readouterr().err


def test_labels_with_line_ends_are_on_one_line(place, capsys):
    rows = [{"text": text, "label": label + "\tor\nso"} for text, label in ROWS * 6]
    (place / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert finetune("--out", "tuned", train="train.jsonl", dev="train.jsonl") == 0
    capsys.readouterr()
    (place / "texts.txt").write_text("good\nbad\n")
    assert main(["predict", "tuned", "texts.txt"]) == 0
    assert [line.partition("\t")[0][3:] for line in capsys.readouterr().out.splitlines()] == [" or so"] * 2


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
    err = capsys.readouterr().err
    assert "texts.txt:1: expected two texts with a tab between, got 'good film'; of a table: --columns" in err
    assert finetune("--out", "again", "--epochs", "1", task="similarity", train="sts.csv", dev="sts.csv") == 0
    out = capsys.readouterr().out
    assert "(rmse: the lower the better)" in out
    assert r"try it:     printf '%s\t%s\n' 'good film' 'very good film' | npformer predict again -" in out


def test_labels_are_printed_as_they_are(place, capsys):
    for file in ("train.tsv", "dev.tsv"):
        (place / file).write_text((place / file).read_text().replace("pos", "gut").replace("neg", "übel"))
    (place / "dev.tsv").write_text("gut\ta good film\nübel\tvery bad\ngut\tvery good good\n")
    assert finetune("--epochs", "1", "--json") == 0
    told = capsys.readouterr()
    assert '"übel": {' in told.out
    assert told.err == "dev: 1 of 3 texts are in train.tsv, too: such scores flatter\n"


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
def test_labelled_sources_are_scored_or_read_alone(place, capsys, task, model, score):
    lines = [f"{text}\t{text.split()[-1]}\n" for text, _ in ROWS]
    (place / "turns.tsv").write_text("source\ttarget\n" + "".join(lines * 4))
    files = ["--task", task, "--train", "turns.tsv", "--dev-share", "0.5", "--epochs", "2", "--quiet"]
    assert main(["finetune", model, *files, "--seeds", "2", "--out", "both", "--test", "turns.tsv"]) == 0
    out = capsys.readouterr().out
    whole = json.loads((place / "both" / "result.json").read_text())
    names = [score, "perplexity"]  # of equal ones the lower perplexity

    def rank(run):
        return [-run["dev"][name] if name == "perplexity" else run["dev"][name] for name in names]

    assert whole["best"] == max(whole["runs"], key=rank)["seed"]
    assert f"npformer predict both/seed-{whole['best']} -" in out
    assert "try it:     echo 'a good film' |" in out or "try it:     echo 'the bad film' |" in out
    for run in whole["runs"]:
        assert run["examples"] == {"train": 8, "dev": 8}
    assert main(["predict", "both/seed-1", "turns.tsv", "--score", "--json", "--threads", "1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["scores"] == whole["runs"][1]["test"]
    assert found["baseline"] == whole["test_baseline"]
    assert main(["predict", "both/seed-1", "turns.tsv", "--score", "--by-label"]) == 2
    assert f"by_label: the labels of {task} are texts, not classes" in capsys.readouterr().err
    assert main(["predict", "both/seed-1", "turns.tsv", "--score"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].split() == ["turns.tsv", "rouge1", "rouge2", "rougeL", "perplexity"]
    assert [line.split("  ")[0] for line in out[1:4]] == ["lead; a unigram", "fine-tuned", "difference"]
    assert out[4:] == ["(perplexity: the lower the better)"]
    assert main(["predict", "both/seed-1", "turns.tsv"]) == 0
    out, err = capsys.readouterr()
    assert err.splitlines()[0] == "turns.tsv: TSV, a header, source in 'source': 16 examples"
    (place / "texts.txt").write_text("".join(f"{text}\n" for text, _ in 4 * ROWS))
    assert main(["predict", "both/seed-1", "texts.txt"]) == 0
    assert capsys.readouterr().out == out


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
        (None, ["--lora", "2", "--freeze", "1"], "freeze: with lora the whole model is frozen"),
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


def test_each_kind_of_file_is_read_in_its_own_way(place, capsys):
    (place / "dev.jsonl").write_text('{"text": "a good film", "intent": "pos"}\n')
    (place / "test.tsv").write_text("neg\tthe film\npos\tvery good good\n")  # labels first, as in train.tsv
    assert finetune("--epochs", "1", "--out", "tuned", "--test", "test.tsv", dev="dev.jsonl") == 0
    result = json.loads((place / "tuned" / "result.json").read_text())
    capsys.readouterr()
    assert main(["predict", "tuned", "test.tsv", "--score", "--columns", "text=2,label=1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["scores"] == result["test"]


def test_a_header_of_the_dev_file_says_its_columns(place, capsys):
    (place / "dev.tsv").write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in ROWS))
    assert finetune("--out", "tuned") == 0
    assert json.loads((place / "tuned" / "result.json").read_text())["dev"]["accuracy"] == 1.0
    assert finetune("--out", "other", "--columns", "text=2,label=1") == 2  # said, whatever the header
    assert "dev.tsv:2: expected a label of training" in capsys.readouterr().err


@pytest.mark.parametrize("said", [True, False])
def test_a_file_is_scored_in_the_columns_of_training(place, capsys, said):
    task, model = ("seq2seq", "translator") if said else ("classify", "encoder")
    columns = ["--columns", "source=2,target=1"] if said else []
    (place / "test.tsv").write_text("neg\tbad\npos\ta\n")  # of which nobody can tell
    files = ["--out", "tuned", "--epochs", "1", "--test", "test.tsv"]
    assert finetune(*files, *columns, task=task, model=model) == 0
    result = json.loads((place / "tuned" / "result.json").read_text())
    capsys.readouterr()
    for more in ([], columns, ["--train", "train.tsv"]):
        assert main(["predict", "tuned", "test.tsv", "--score", "--json", *more]) == 0
        out, err = capsys.readouterr()
        assert ("source in column 2, target in column 1" in err) == said
        found = json.loads(out)
        assert (found["scores"], found["baseline"]) == (result["test"], result["test_baseline"])
    # of another kind: by its header, or as was said of all files
    (place / "test.csv").write_text("neg,bad\npos,a\n" if said else "text,label\nbad,neg\na,pos\n")
    assert main(["predict", "tuned", "test.csv", "--score", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["scores"] == result["test"]


def test_columns_said_by_number_are_numbers_in_every_file(place, capsys):
    """Whether it has a header or not."""
    train = (place / "train.tsv").read_text()
    (place / "headed.tsv").write_text("label\ttext\n" + train)
    files = ["--train", "headed.tsv", "--columns", "label=1,text=2", "--epochs", "1", "--out", "tuned"]
    assert finetune(*files) == 0
    assert main(["predict", "tuned", "train.tsv", "--score"]) == 0
    assert "text in column 2, label in column 1" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["[]", "// of something else"])
def test_a_config_of_something_else_beside_a_model_is_passed_over(place, capsys, text):
    assert finetune("--epochs", "1", "--out", "tuned") == 0
    (place / "other").mkdir()
    (place / "tuned" / "model").rename(place / "other" / "model")
    (place / "other" / "config.json").write_text(text)
    capsys.readouterr()
    assert main(["predict", "other/model", "dev.tsv", "--score"]) == 0
    assert "AttributeError" not in capsys.readouterr().err


def test_a_byte_of_another_encoding_is_named(place, capsys):
    (place / "train.tsv").write_bytes(b"pos\ta film\n" + b"neg\tun caf\xe9\n")
    assert finetune() == 2
    err = capsys.readouterr().err
    assert "train.tsv:2: " in err
    assert "0xe9" in err


def test_bad_rows_can_be_skipped(place, capsys):
    (place / "dev.tsv").write_text("pos\ta good film\nneg\nneg\tbad\n")
    assert finetune("--skip-bad") == 0


def test_a_finished_model_is_scored_as_in_its_fine_tuning(place, capsys):
    (place / "test.tsv").write_text("neg\tgood film\npos\tvery good\nneg\tbad\n")
    assert finetune("--out", "tuned", "--test", "test.tsv") == 0
    lines = capsys.readouterr().out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("test"))
    rows = ("pos", "good film"), ("pos", "very good"), ("neg", "bad")
    (place / "other.jsonl").write_text(
        "".join(json.dumps({"text": text, "intent": label}) + "\n" for label, text in rows)
    )
    assert main(["predict", "tuned", "test.tsv", "--score", "--threads", "1"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0].split() == ["test.tsv", "accuracy", "macro_f1", "matthews"]
    assert out.splitlines()[1:] == lines[at + 1 : at + 4]
    assert err == "test.tsv: TSV, no header, text in column 2, label in column 1: 3 examples\n"
    assert main(["predict", "tuned", "other.jsonl", "--score", "--by-label"]) == 0
    out = capsys.readouterr().out
    assert "other.jsonl, by label" in out
    assert main(["predict", "tuned/model", "other.jsonl", "--score", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["baseline_is"] == "most frequent label"
    assert result["examples"] == 3
    without = "no guess beside the scores without the training examples (--train FILE):"
    train = place / "train.tsv"
    train.write_text(train.read_text().replace("pos\t", "neg\t", 1))
    assert main(["predict", "tuned", "test.tsv", "--score"]) == 0
    assert f"{without} {train}: expected the examples of training, got others" in capsys.readouterr().err
    train.unlink()
    assert main(["predict", "tuned", "test.tsv", "--score"]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2
    assert f"{without} {train}: No such file" in err
    assert main(["predict", "tuned", "test.tsv", "--score", "--train", "dev.tsv"]) == 0
    assert "most frequent label" in capsys.readouterr().out
    assert main(["predict", "tuned", "test.tsv", "--by-label"]) == 2
    assert "by_label: there is no use for it without --score" in capsys.readouterr().err
    (place / "odd.tsv").write_text("odd\tgood film\nneg\tbad\nneg\ta\n")
    assert main(["predict", "tuned", "odd.tsv", "--score"]) == 2
    assert "odd.tsv:1: expected a label of training ('neg', 'pos'), got 'odd'" in capsys.readouterr().err


def test_the_texts_of_a_labelled_file_are_told_apart(place, capsys):
    assert finetune("--out", "tuned", "--epochs", "1") == 0
    capsys.readouterr()
    (place / "texts.txt").write_text("very good\nthe bad film\n")
    assert main(["predict", "tuned", "texts.txt"]) == 0
    expected = capsys.readouterr().out
    (place / "a.jsonl").write_text('{"text": "very good", "intent": 5}\n{"text": "the bad film"}\n')
    (place / "b.txt").write_text("label\ttext\n?\tvery good\n\tthe bad film\n")
    (place / "c.csv").write_text('text,label\n"very good",\nthe bad film,\n')
    for name, how in (
        ("a.jsonl", "JSONL, text in 'text'"),
        ("b.txt", "TSV, a header, text in 'text'"),
        ("c.csv", "CSV, a header, text in 'text'"),
    ):
        assert main(["predict", "tuned", name]) == 0
        out, err = capsys.readouterr()
        assert (out, err) == (expected, f"{name}: {how}: 2 examples\n")
    assert main(["predict", "tuned", "dev.tsv", "--columns", "text=2,label=1"]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 4
    assert "no header, text in column 2: 4 examples" in err
    (place / "b.txt").write_text("label\ttext\n?\tvery good\n?\n")
    assert main(["predict", "tuned", "b.txt"]) == 2
    assert "b.txt:3: expected 2 columns, got 1" in capsys.readouterr().err
    assert main(["predict", "tuned", "b.txt", "--skip-bad"]) == 0
    assert "skipped b.txt:3: expected 2 columns, got 1" in capsys.readouterr().err


def test_a_table_that_is_read_as_lines_is_told(place, capsys):
    assert finetune("--out", "tuned", "--epochs", "1") == 0
    (place / "later.csv").write_text("very good,pos\nthe bad film,neg\n")
    capsys.readouterr()
    assert main(["predict", "tuned", "later.csv"]) == 0
    line = "later.csv: no header is known, each whole line is read as a text; of a table: --columns text=N"
    assert capsys.readouterr().err.splitlines() == [line]
    assert main(["predict", "tuned", "later.csv", "--columns", "text=1"]) == 0
    assert capsys.readouterr().err == "later.csv: CSV, no header, text in column 1: 2 examples\n"


def test_a_line_that_is_blank_or_no_text_is_named(place, capsys):
    assert finetune("--out", "tuned", "--epochs", "1") == 0
    capsys.readouterr()
    for content, message in (
        (b"good\n\nbad\n", "texts.txt:2: expected a text in each line, got a blank one"),
        (b"good\nun caf\xe9\n", "texts.txt:2: expected UTF-8, got byte 0xe9"),
        (b"", "texts.txt: the file is empty"),
    ):
        (place / "texts.txt").write_bytes(content)
        assert main(["predict", "tuned", "texts.txt"]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert message in err
    (place / "texts.txt").write_bytes(b"good\n\nbad\nun caf\xe9\npos\tgood\n")
    assert main(["predict", "tuned", "texts.txt", "--skip-bad", "--json"]) == 0
    out, err = capsys.readouterr()
    assert [json.loads(line)["text"] for line in out.splitlines()] == ["good", "bad"]
    assert [line.split(": ")[0] for line in err.splitlines()] == [f"skipped texts.txt:{n}" for n in (2, 4, 5)]
    (place / "texts.txt").write_bytes(b"un caf\xe9\n")
    assert main(["predict", "tuned", "texts.txt", "--skip-bad"]) == 2
    assert "texts.txt: expected a text in each line, got none" in capsys.readouterr().err
    assert main(["predict", "tuned", "texts.txt", "--threads", "0"]) == 2
    assert "threads: expected at least 1, got 0" in capsys.readouterr().err


def test_tagged_words_are_scored_and_tagged_anew(place, capsys):
    assert finetune("--out", "tags", task="tag", train="train.conll", dev="train.conll") == 0
    capsys.readouterr()
    assert main(["predict", "tags", "train.conll", "--score"]) == 0
    out, err = capsys.readouterr()
    assert "each word's most frequent tag" in out
    assert "tags are BIO" in err
    assert main(["predict", "tags", "train.conll"]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == ["good/B-x film/I-x", "a/O bad/O film/O"]


def test_dev_is_drawn_from_training_where_it_is_not_given(place, capsys):
    files = ["--task", "classify", "--train", "train.tsv", "--epochs", "1", "--seed", "3", "--out", "tuned"]
    lines = [f"{'np'[i % 2]}\tgood film {i}\n" for i in range(20)]
    (place / "train.tsv").write_text("".join(lines) + "once\tbad\n")
    assert main(["finetune", "encoder", *files, "--dev-share", "0.2", "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert "dev: 4 of 21 examples of train.tsv, drawn by seed 3\n" in err
    assert "dev has none of 'once': one text alone, which stays in training\n" in err
    config = json.loads((place / "tuned" / "config.json").read_text())
    assert (config["dev_share"], config["dev_seed"]) == (0.2, 3)
    assert json.loads((place / "tuned" / "result.json").read_text())["examples"] == {"train": 17, "dev": 4}
    for more, got in (([], "neither"), (["--dev", "dev.tsv", "--dev-share", "0.2"], "both")):
        assert main(["finetune", "encoder", *files[:-1], "other", *more]) == 2
        assert f"dev: expected --dev or --dev-share, got {got}" in capsys.readouterr().err


def test_several_seeds(place, capsys):
    more = ["--seed", "4", "--test", "dev.tsv", "--epochs", "2"]
    assert finetune("--out", "seeds", "--seeds", "2", *more) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines()[:3]] == ["dev", "seed", "seed"]
    assert "mean and deviation" in out
    assert "±" in out
    whole = json.loads((place / "seeds" / "result.json").read_text())
    assert whole["seeds"] == [4, 5]
    assert f"the best on dev: seeds/seed-{whole['best']}" in out
    assert f"npformer predict seeds/seed-{whole['best']} -" in out
    assert main(["predict", "seeds/seed-5", "dev.tsv", "--score"]) == 0
    assert main(["predict", "seeds", "dev.tsv", "--score"]) == 2
    several = "seeds: expected one run, got a folder of several seeds (seeds/seed-4, say)"
    assert several in capsys.readouterr().err
    assert finetune("--out", "one", "--seeds", "2", "--by-label") == 2
    assert "by_label: with --seeds" in capsys.readouterr().err
    assert finetune("--out", "one", "--seeds", "1") == 2
    assert "seeds: expected a whole number of at least 2, got 1" in capsys.readouterr().err


def test_numbers_that_are_taken_for_names_are_told(place, capsys):
    (place / "train.tsv").write_text("".join(f"{i / 4}\tgood film {i}\n" for i in range(8)))
    (place / "dev.tsv").write_text("0.25\tfilm\n")
    assert finetune("--epochs", "1", "--columns", "label=1,text=2") == 0
    message = "train.tsv: the labels are 8 different numbers, and each is taken for a name: for amounts, take"
    assert message in capsys.readouterr().err


def test_other_models_are_refused(place, capsys):
    files = ["--train", "train.tsv", "--dev", "dev.tsv", "--quiet"]
    sizes = {"d_model": 8, "n_heads": 2, "d_ff": 16, "n_encoder_layers": 1, "n_decoder_layers": 1}
    both = EncoderDecoder(EncoderDecoderConfig(len(VOCAB), **sizes))
    both.save_pretrained("both", WordPieceTokenizer(VOCAB))
    assert main(["finetune", "both", "--task", "classify", *files]) == 2
    err = capsys.readouterr().err
    assert "expected an encoder or a decoder for classify (pretrain --objective mlm or clm), got Enc" in err
    assert main(["finetune", "decoder", "--task", "classify", "--pooling", "cls", *files]) == 2
    assert "pooling: expected mean or last for a decoder, got cls" in capsys.readouterr().err
    assert main(["finetune", "encoder", "--task", "seq2seq", *files]) == 2
    assert "expected an encoder-decoder for seq2seq (pretrain --objective t5" in capsys.readouterr().err
    assert not (place / "runs").exists()
    assert main(["predict", "encoder", "dev.tsv"]) == 2
    assert "expected a fine-tuned model, found no task.json" in capsys.readouterr().err
