"""`npformer embed` and `npformer similar`."""

from __future__ import annotations

import json

import numpy as np
import pytest

import npformer.training
from npformer.cli import main
from npformer.models import Decoder, DecoderConfig, Encoder, EncoderConfig
from npformer.text import WordPieceTokenizer
from npformer.training import embed, load_model

LINES = ["the cat sat", "on the cat", "sat on", "the the the"]


@pytest.fixture
def place(tmp_path):
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "the", "cat", "sat", "on"]
    config = EncoderConfig(len(vocab), d_model=8, n_heads=2, d_ff=16, n_layers=1, max_positions=8)
    Encoder(config, np.random.default_rng(0)).save_pretrained(tmp_path / "model", WordPieceTokenizer(vocab))
    (tmp_path / "lines.txt").write_text("\n".join(LINES) + "\n")
    return tmp_path


def test_embed_writes_a_vector_for_each_line(place, capsys):
    out = place / "vectors.npy"
    arguments = ["embed", str(place / "model"), str(place / "lines.txt"), "--out", str(out), "--normalize"]
    assert main(arguments) == 0
    assert "4 vectors of 8 numbers (float32)" in capsys.readouterr().out
    vectors = np.load(out, allow_pickle=False)
    np.testing.assert_array_equal(vectors, embed(*load_model(place / "model"), LINES, normalize=True))
    (place / "lines.txt").rename(place / "lines.csv")
    arguments[2] = str(place / "lines.csv")
    assert main(arguments) == 0
    told = "lines.csv: each whole line is read as a text, a header and labels, too\n"
    assert capsys.readouterr().err.endswith(told)


def test_similar_prints_the_nearest_lines(place, capsys):
    arguments = ["similar", str(place / "model"), "sat on", str(place / "lines.txt"), "-k", "2"]
    assert main(arguments) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == "  1.000  sat on"
    assert main([*arguments, "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert found[0]["line"] == 3
    assert found[0]["cosine"] == pytest.approx(1.0)
    assert second.endswith(found[1]["text"])


def test_similar_takes_the_last_token_of_a_decoder(place, capsys):
    _, tokenizer = load_model(place / "model")
    sizes = {"d_model": 8, "n_heads": 2, "d_ff": 16, "n_layers": 1, "max_positions": 8}
    decoder = Decoder(DecoderConfig(tokenizer.vocab_size, **sizes, init_std=0.3), np.random.default_rng(0))
    decoder.save_pretrained(place / "decoder", tokenizer)
    arguments = ["similar", str(place / "decoder"), "sat on", str(place / "lines.txt"), "--json", "-k", "4"]
    cosines = {}
    for pooling in ("mean", "last"):
        assert main([*arguments, "--pooling", pooling]) == 0
        found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        query, *vectors = embed(decoder, tokenizer, ["sat on", *LINES], pooling=pooling, normalize=True)
        cosines[pooling] = {one["line"]: one["cosine"] for one in found}
        assert cosines[pooling] == {i: pytest.approx(query @ v, abs=1e-5) for i, v in enumerate(vectors, 1)}
    assert cosines["mean"][1] != pytest.approx(cosines["last"][1], abs=1e-3)


@pytest.mark.parametrize("command", ["embed", "similar"])
def test_threads_are_passed_on(place, capsys, monkeypatch, command):
    asked = []
    true = npformer.training.embed

    def noted(*arguments, **options):
        asked.append(options["threads"])
        return true(*arguments, **options)

    monkeypatch.setattr("npformer.training.embed", noted)
    model, lines = str(place / "model"), str(place / "lines.txt")
    more = [lines, "--out", str(place / "x.npy")] if command == "embed" else ["sat", lines]
    assert main([command, model, *more, "--threads", "3"]) == 0
    assert main([command, model, *more]) == 0
    assert asked == [3, None]


@pytest.mark.parametrize(
    ("command", "changes", "message"),
    [
        ("embed", {"out": "x.npz"}, "--out: expected a name that ends in .npy, got 'x.npz'"),
        ("embed", {"file": "none.txt"}, "none.txt: no such file"),
        ("embed", {"content": "a\n\nb\n"}, ":2: expected a text in each line, got a blank one"),
        ("embed", {"content": ""}, "the file is empty"),
        ("embed", {"pooling": "pooler"}, "expected a model with a pooler"),
        ("similar", {"query": " "}, "TEXT: expected a text, got a blank one"),
        ("similar", {"k": "0"}, "-k: expected at least 1, got 0"),
        ("embed", {"threads": "0"}, "threads: expected at least 1, got 0"),
        ("similar", {"threads": "-1"}, "threads: expected at least 1, got -1"),
    ],
)
def test_bad_usage_is_one_line(place, capsys, command, changes, message):
    file = place / "lines.txt"
    if "content" in changes:
        file.write_text(changes["content"])
    file = changes.get("file", file)
    if command == "embed":
        out = changes.get("out", str(place / "x.npy"))
        more = ["--out", out, "--pooling", changes.get("pooling", "mean")]
        arguments = ["embed", str(place / "model"), str(file), *more]
    else:
        query = changes.get("query", "sat")
        arguments = ["similar", str(place / "model"), query, str(file), "-k", changes.get("k", "1")]
    assert main([*arguments, "--threads", changes.get("threads", "1")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert message in err
    assert not (place / "x.npy").exists()
