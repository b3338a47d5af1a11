"""`npformer fill`: texts from arguments and standard input, and what it refuses."""

from __future__ import annotations

import io
import json
import sys

import numpy as np
import pytest

from npformer.cli import main
from npformer.models import Encoder, EncoderConfig
from npformer.text import WordPieceTokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> str:
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "the", "cat", "sat", "on", "天"]
    config = EncoderConfig(len(vocab), d_model=8, n_heads=2, d_ff=16, n_layers=1, max_positions=8)
    path = tmp_path_factory.mktemp("models") / "model"
    Encoder(config, np.random.default_rng(0)).save_pretrained(path, WordPieceTokenizer(vocab))
    return str(path)


def test_one_mask_and_several(folder, capsys):
    assert main(["fill", folder, "the [MASK].", "-k", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert main(["fill", folder, "the [MASK] [MASK].", "the [MASK].", "-k", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line.startswith("  ")] == [
        "the [MASK] [MASK].",
        "[MASK] 1",
        "[MASK] 2",
        "the [MASK].",
    ]
    assert len(lines) == 4 + 6


def test_json_and_standard_input(folder, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("the [MASK].\n天 [MASK] 天\n".encode())))
    assert main(["fill", folder, "--json", "-k", "20"]) == 0
    out = capsys.readouterr().out
    answers = [json.loads(line) for line in out.splitlines()]
    assert [answer["text"] for answer in answers] == ["the [MASK].", "天 [MASK] 天"]
    assert "天" in out  # readable, not escaped
    for answer in answers:
        (mask,) = answer["masks"]
        assert len(mask) == 11
        assert abs(sum(p["probability"] for p in mask) - 1) < 1e-5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["the cat sat"], "no [MASK] in the text: 'the cat sat'"),
        (["the [MASK].", "the cat sat"], "no [MASK] in the text: 'the cat sat'"),
        (["the cat sat on the cat [MASK]"], "the text has 9 tokens, the model reads at most 8"),
        (["the [MASK]", "-k", "0"], "-k: expected at least 1, got 0"),
        (["the [MASK]", "-k", "x"], "invalid int value: 'x'"),
    ],
)
def test_bad_input(folder, capsys, arguments, message):
    assert main(["fill", folder, *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert message in shown.err


def test_no_model(tmp_path, capsys, folder, monkeypatch):
    assert main(["fill", str(tmp_path / "none"), "the [MASK]"]) == 2
    assert capsys.readouterr().err.endswith("none: no such folder\n")
    assert main(["fill", str(tmp_path), "the [MASK]"]) == 2
    assert "config.json" in capsys.readouterr().err
    for data, message in (
        (b"\n", "no text: expected a text, as an argument or on"),
        (b"the [MASK]\n\nthe [MASK]\n", "<stdin>:2: expected a text in each line, got a blank one"),
        (b"the \xff [MASK]", "<stdin>: not UTF-8: byte 0xff at offset 4"),
        (None, "<stdin>: standard input is closed"),
    ):
        stdin = data if data is None else io.TextIOWrapper(io.BytesIO(data), errors="surrogateescape")
        monkeypatch.setattr(sys, "stdin", stdin)
        assert main(["fill", folder]) == 2
        assert capsys.readouterr().err.startswith(f"npformer fill: {message}")
