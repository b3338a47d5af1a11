"""`npformer generate`: prompts and sources, arguments and standard input, streams, JSON, bad usage."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from npformer.cli import main
from npformer.generation import Generation
from npformer.models import (
    Decoder,
    DecoderConfig,
    Encoder,
    EncoderConfig,
    EncoderDecoder,
    EncoderDecoderConfig,
    add_lora,
    from_pretrained,
    merge_lora,
)
from npformer.text import WordPieceTokenizer

VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "the", "cat", "sat", "on", "天"]
SIZES = {"vocab_size": len(VOCAB), "d_model": 8, "n_heads": 2, "max_positions": 8}


def stdin(data: bytes) -> io.TextIOWrapper:
    """As of a shell whose locale is C: what is not UTF-8 passes Python's decoder."""
    return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", errors="surrogateescape")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models")
    tokenizer, rng = WordPieceTokenizer(VOCAB), np.random.default_rng(0)
    decoder = Decoder(DecoderConfig.gpt2(**SIZES, n_layers=1), rng)
    config = EncoderDecoderConfig(**SIZES, d_ff=16, n_encoder_layers=1, n_decoder_layers=1)
    translator = EncoderDecoder(config, rng)
    encoder = Encoder(EncoderConfig(**SIZES, d_ff=16, n_layers=1), rng)
    for name, model in (("decoder", decoder), ("translator", translator), ("encoder", encoder)):
        for parameter, view in getattr(model, "params").items():  # noqa: B009 - of three kinds of models
            if view.ndim > 1:
                view[...] = rng.standard_normal(view.shape)
            if parameter == "embeddings.token":
                view[:5] *= 0.01  # special tokens are improbable
        model.save_pretrained(path / name, tokenizer)
    return path


def test_a_model_with_adapters_writes_what_the_merged_one_does(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    adapted = add_lora(from_pretrained(folders / "decoder"), r=2, targets=["attention", "feed_forward"])
    adapted.params.flat[...] = np.random.default_rng(5).standard_normal(adapted.params.flat.size)
    tokenizer = WordPieceTokenizer(VOCAB)
    adapted.save_pretrained(tmp_path / "adapted", tokenizer)
    merge_lora(adapted).save_pretrained(tmp_path / "merged", tokenizer)
    written = []
    for folder in (folders / "decoder", tmp_path / "adapted", tmp_path / "merged"):
        assert main(["generate", str(folder), "--prompt", "the cat", "--max-new-tokens", "5"]) == 0
        written.append(capsys.readouterr().out)
    assert written[1] == written[2] != written[0]


def test_a_prompt_and_what_follows_it(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["generate", str(folders / "decoder"), "--prompt", "the cat", "--max-new-tokens", "12"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert out.startswith("the cat ")
    assert main([*arguments, "--stream"]) == 0
    assert capsys.readouterr().out == out
    assert main([*arguments, "--temperature", "5", "--seed", "1"]) == 0
    drawn = capsys.readouterr().out
    assert drawn != out
    assert main([*arguments, "--temperature", "5", "--seed", "1", "--stream"]) == 0
    assert capsys.readouterr().out == drawn
    assert (
        main(
            [
                *arguments,
                "--temperature",
                "5",
                "--seed",
                "1",
                "--top-k",
                "1",
                "--top-p",
                "0.9",
                "--min-p",
                "0.1",
            ]
        )
        == 0
    )
    assert capsys.readouterr().out == out


def test_standard_input_and_json(
    folders: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["generate", str(folders / "decoder"), "--json", "--max-new-tokens", "5"]
    monkeypatch.setattr(sys, "stdin", stdin("the cat\n天 sat\n".encode()))
    assert main([*arguments, "-n", "2", "--temperature", "2"]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer["prompt"] for answer in answers] == ["the cat", "天 sat"]
    for answer in answers:
        assert len(answer["results"]) == 2
        for result in answer["results"]:
            assert set(result) == {"ids", "logprobs", "score", "finished", "text"}
            assert len(result["ids"]) == len(result["logprobs"]) <= 5
    monkeypatch.setattr(sys, "stdin", stdin("the cat\n\n天 sat\n".encode()))
    assert main([*arguments, "--whole"]) == 0
    (answer,) = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert answer["prompt"] == "the cat\n\n天 sat"
    assert main([*arguments, "--prompt", "the", "--prompt", "天", "--stream"]) == 0
    tokens = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert tokens[-1]["finished"] in ("length", "stop_token")
    assert all(isinstance(token["text"], str) for token in tokens)
    assert [token["sequence"] for token in tokens if token["finished"]] == [0, 1]


def test_sources_and_beams(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "generate",
        str(folders / "translator"),
        "--source",
        "the cat",
        "--source",
        "天",
        "--max-new-tokens",
        "4",
    ]
    assert main(arguments) == 0
    greedy = capsys.readouterr().out.splitlines()
    assert len(greedy) == 2
    assert main([*arguments, "--beams", "3", "--n", "3", "--length-penalty", "0.5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    scores = [float(line.split()[0]) for line in lines]
    assert scores[:3] == sorted(scores[:3], reverse=True)
    assert main([*arguments, "--json"]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer["source"] for answer in answers] == ["the cat", "天"]


def test_several_results_with_line_breaks_stay_apart(
    folders: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    results = [
        Generation([5], [-1.25], -1.25, "length", " sat\n\non"),
        Generation([5], [-100.5], -100.5, "length", " slept"),
    ]
    monkeypatch.setattr("npformer.generation.texts.generate_texts", lambda *_, n, **__: [results[:n]])
    arguments = ["generate", str(folders / "decoder"), "--prompt", "the\ncat"]
    assert main([*arguments, "-n", "2", "--temperature", "1"]) == 0
    out, margin = capsys.readouterr().out, "\n" + 10 * " "
    assert out == f"  -1.250  the{margin}cat sat{margin}{margin}on\n-100.500  the{margin}cat slept\n"
    assert main(arguments) == 0  # one result is the text as it is
    assert capsys.readouterr().out == "the\ncat sat\n\non\n"


def test_a_stop_string_ends_the_text(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "generate",
        str(folders / "decoder"),
        "--prompt",
        "the cat",
        "--max-new-tokens",
        "6",
        "--json",
    ]
    assert main(arguments) == 0
    text = json.loads(capsys.readouterr().out)["results"][0]["text"]
    stop = text.split()[-1]
    assert main([*arguments, "--stop", "nothing", "--stop", stop]) == 0
    result = json.loads(capsys.readouterr().out)["results"][0]
    assert result["text"] == text[: text.index(stop)]
    assert result["finished"] == "stop_string"


def test_standard_input_that_is_no_text(
    folders: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for data, message in (
        (b"ab\xffcd", "<stdin>: not UTF-8: byte 0xff at offset 2"),
        (b"ab\0cd", "<stdin>: a binary file"),
        (None, "<stdin>: standard input is closed"),
    ):
        monkeypatch.setattr(sys, "stdin", None if data is None else stdin(data))
        assert main(["generate", str(folders / "decoder")]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert err.startswith(f"npformer generate: {message}")


def test_unknown_tokens_are_told_and_read(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["generate", str(folders / "decoder"), "--max-new-tokens", "1", "--prompt", "the cat"]
    assert main(arguments) == 0
    assert capsys.readouterr().err == ""
    assert main([*arguments, "--prompt", "the zebra", "--prompt", "?"]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 3
    assert err == (
        "npformer generate: text 2: of 2 tokens 1 is not in the vocabulary and read as [UNK], in zebra; "
        "so in 1 more text\n"
    )


@pytest.mark.parametrize(
    ("model", "arguments", "message"),
    [
        ("decoder", ["--source", "the"], "--source: the model is a decoder, which takes --prompt"),
        (
            "translator",
            ["--prompt", "the"],
            "--prompt: the model is an encoder-decoder, which takes --source",
        ),
        ("translator", ["--source", ""], "source 1: expected a text, got an empty one"),
        ("decoder", ["--prompt", "the", "--prompt", ""], "prompt 2: expected a text, got an empty one"),
        ("decoder", [], "no text: expected a prompt, as an argument or on standard input"),
        (
            "decoder",
            ["--prompt", "the", "--temperature", "1", "--top-p", "0"],
            "top_p: expected a number in (0, 1], got 0.0",
        ),
        (
            "decoder",
            ["--prompt", "the", "--temperature", "1", "--top-k", "0"],
            "top_k: expected an integer of at least 1, got 0",
        ),
        ("decoder", ["--prompt", "the", "--top-p", "0.9"], "top_p: only draws have a use for it"),
        (
            "decoder",
            ["--prompt", "the", "--temperature", "-1"],
            "temperature: expected a number of at least 0",
        ),
        ("decoder", ["--prompt", "the", "--beams", "12"], "beams: expected 1 to 11 (the vocabulary), got 12"),
        ("decoder", ["--prompt", "the", "--beams", "0"], "beams: expected 1 to 11 (the vocabulary), got 0"),
        ("decoder", ["--prompt", "the", "--beams", "2", "--temperature", "1"], "beams: expected 1 with"),
        ("decoder", ["--prompt", "the", "--beams", "2", "--top-p", "0"], "beams: expected 1 with top_p"),
        ("decoder", ["--prompt", "the", "--temperature", "nan"], "temperature: expected a number"),
        ("decoder", ["--prompt", "the", "--n", "0"], "n: expected at least 1, got 0"),
        ("decoder", ["--prompt", "the", "--seed=-1", "--temperature", "1"], "numbers of at least 0, got -1"),
        ("decoder", ["--prompt", "the", "--n", "2"], "n: expected 1, as greedy decoding has one result"),
        (
            "decoder",
            ["--prompt", "the", "--max-new-tokens", "0"],
            "max_new_tokens: expected at least 1, got 0",
        ),
        ("decoder", ["--prompt", "the", "--stop", ""], "stop_strings: expected strings that are not empty"),
        ("decoder", ["--prompt", 9 * "the "], "expected at most max_positions = 8 tokens, got 9"),
        ("decoder", ["--prompt", "the", "--stream", "--beams", "2"], "--stream: expected one result"),
        ("decoder", ["--prompt", "the", "--length-penalty", "2"], "--length-penalty: only beams have a use"),
        ("decoder", ["--prompt", "the", "--whole"], "--whole: expected the text on standard input alone"),
        ("encoder", ["--prompt", "the"], "expected a Decoder or EncoderDecoder, got an Encoder"),
        ("nowhere", ["--prompt", "the"], "no such folder"),
    ],
)
def test_bad_usage_is_one_line(
    folders: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.setattr(sys, "stdin", stdin(b""))
    assert main(["generate", str(folders / model), *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("npformer generate: ")
    assert err.count("generate: ") == 1  # the library's errors name the op, which is the command
    assert message in err
