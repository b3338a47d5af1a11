"""Causal language modelling: windows, bits per character, the n-gram beside the decoder."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from npformer.text import CharacterTokenizer, Document, open_corpus, packed_rows, streamed_split, token_rows
from npformer.training import create_run, fit, load_model, open_run, prepare, preset, table
from npformer.training.ngram import NGramWittenBell
from npformer.training.tasks import causal

SIZE = {"layers": 1, "d_model": 8, "heads": 2, "seq_len": 12, "batch_size": 4, "steps": 6, "eval_every": 3}


def config(**changes):
    return preset("tiny", **{"objective": "clm", "tokenizer": "char", **SIZE, **changes})


@pytest.mark.parametrize(("n", "length"), [(2, 8), (8, 8), (9, 8), (10, 8), (100, 8), (101, 9), (57, 1)])
def test_every_token_but_the_first_is_a_target_once(n, length):
    starts, first = causal.windows(np.arange(n), length)
    targets = [
        s + t + 1 for s, f in zip(starts, first, strict=True) for t in range(f, length) if s + t + 1 < n
    ]
    assert targets == list(range(1, n))
    assert (starts[1:] + first[1:] >= length // 2).all()


def test_of_much_text_windows_are_taken_evenly():
    starts, first = causal.windows(np.arange(100_000), 100, most=1000)
    assert len(starts) == 20
    assert starts[0] == 0
    assert np.ptp(np.diff(starts)) <= 50
    assert (first[1:] == 50).all()


def test_the_evaluation_is_the_loss_of_the_text_after_the_first_token():
    text = "to be or not to be that is the question\n" * 3
    tokenizer = CharacterTokenizer.train([text])
    rows = packed_rows(token_rows([Document("x", text)], tokenizer, 12), 13, 0)
    held_out = causal.evaluation(config(), tokenizer, rows)
    (batch,) = held_out.batches
    assert tokenizer.decode(batch.targets) == text
    assert batch.targets[-1] == tokenizer.sep_id
    assert (held_out.characters, held_out.bytes) == (len(text), len(text))
    figures = held_out.figures(2 * math.log(2))
    assert figures["perplexity"] == pytest.approx(4)
    assert math.isfinite(held_out.figures(800.0)["perplexity"])  # JSON has no infinity
    assert figures["bits_per_character"] == pytest.approx(
        2 * (len(text) + 1) / len(text)
    )  # [SEP] costs as well
    wide = text.replace("o", "ö")
    tokenizer = CharacterTokenizer.train([wide])
    rows = packed_rows(token_rows([Document("x", wide)], tokenizer, 12), 13, 0)
    held_out = causal.evaluation(config(), tokenizer, rows)
    assert held_out.bytes == len(wide.encode()) == held_out.characters + wide.count("ö")


def test_a_run_and_what_it_leaves(tmp_path, text):
    run = create_run(tmp_path / "run", prepare([Document("x", text)], config(held_out_tail=0.1)))
    cut = int(0.9 * len(text))
    tokens = causal.stream(run.held_out)
    assert run.tokenizer.decode(tokens) == text[cut:]
    assert run.tokenizer.decode(causal.stream(run.train)) == text[:cut]
    result = fit(run, threads=1, quiet=True, say=lambda line: None)
    ngram, decoder = result["models"]
    assert ngram["name"] == "5-gram (Witten-Bell)"
    assert decoder["positions"] == ngram["positions"] == tokens.size - 1
    counted = NGramWittenBell(causal.stream(run.train), run.tokenizer.vocab_size, 5, (0, 2, 4))
    assert counted.score(tokens, np.arange(1, tokens.size)) == (ngram["nats"], ngram["accuracy"])
    for model in result["models"]:
        assert model["perplexity"] == pytest.approx(math.exp(model["nats"]))
        bits = model["nats"] * model["positions"] / math.log(2) / len(text[cut:])
        assert model["bits_per_character"] == pytest.approx(bits)
    margin = ngram["bits_per_byte"] - decoder["bits_per_byte"]
    assert result["margin"]["bits_per_byte"] == pytest.approx(margin)
    assert "fewer than 10,000 tokens" in table(result)
    assert open_run(run.folder).result == result
    lines = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    look = next(line for line in lines if "held_out_loss" in line)
    assert {"held_out_perplexity", "held_out_bits_per_character", "held_out_bits_per_byte"} < set(look)
    model, tokenizer = load_model(run.folder)
    assert tokenizer.vocab == run.tokenizer.vocab
    # The stored model, on the whole held-out text where it fits, gives the figure of the result.
    held_out = causal.evaluation(run.config, tokenizer, run.held_out)
    loss = sum(
        held_out.objective.loss_and_grad(model, b, None, normalizer=1).loss_sum for b in held_out.batches
    )
    assert loss / (tokens.size - 1) == pytest.approx(decoder["nats"], rel=1e-5)


def test_large_files_are_a_stream_too(tmp_path, text, monkeypatch):
    monkeypatch.setattr(streamed_split, "LARGEST_BLOCK", 400)
    (tmp_path / "a.txt").write_text(text)
    files = open_corpus(tmp_path, in_memory=0)
    p = prepare(files, config())
    train, held_out = (
        p.tokenizer.decode(causal.stream(part.rows(slice(None)))) for part in (p.train, p.held_out)
    )
    assert sorted((train + held_out).splitlines()) == sorted(text.splitlines())
    assert held_out.splitlines()[0] in text
    with pytest.raises(ValueError, match="held_out_tail: expected a text that fits the memory, got 0 MB"):
        prepare(files, config(held_out_tail=0.1))


def test_wordpieces_and_forms_of_the_decoder(tmp_path, text):
    changes = {"tokenizer": "wordpiece", "vocab_size": 60, "norm_type": "layer_norm", "activation": "gelu"}
    run = create_run(tmp_path / "run", prepare([Document("x", text)], config(**changes, positions="alibi")))
    model = run.config.task.build_model(run.config, 60, np.random.default_rng(0))
    assert "decoder.0.attention.query.bias" in model.params
    assert fit(run, threads=1, quiet=True, say=lambda line: None)["models"][0]["name"].startswith("3-gram")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mask_rate": 0.2}, "mask_rate: the objective clm has no use for it"),
        ({"label_smoothing": 0.1}, "label_smoothing: the objective clm has no use for it"),
        ({"positions": "relative"}, "positions: expected one of rotary, learned, sinusoidal, alibi, none"),
        ({"activation": "mish"}, "activation: expected one of"),
        ({"tokenizer": "bytes"}, "tokenizer: expected one of wordpiece, char, got 'bytes'"),
        ({"held_out_tail": 1.0}, "held_out_tail: expected a finite number above 0 and below 1, got 1.0"),
    ],
)
def test_bad_values_are_refused_by_name(changes, message):
    with pytest.raises(ValueError, match=message):
        config(**changes)
