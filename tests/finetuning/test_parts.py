"""Scores of a model and of a guess on examples."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from npformer.finetuning import KINDS, Task, parts
from npformer.finetuning.parts import guess, judge, part_of, unigram_perplexity
from npformer.functional import log_softmax
from npformer.text.labelled import Example


def test_some_are_spread_over_all_of_them(decoder, tokenizer, turned):
    task = Task("clm", ())
    part = part_of(task, turned[:9], decoder, tokenizer)
    part.most = 3
    examples, rows = part.asked
    assert [example.where for example in examples] == [turned[i].where for i in (0, 4, 8)]
    whole = task.rows(turned, decoder, tokenizer)
    for row, i in zip(rows.ids, (0, 4, 8), strict=True):
        np.testing.assert_array_equal(row, whole.ids[i])
    for most in (None, 9, 20):
        part.most = most
        assert len(part.asked[0]) == 9


def test_perplexity_is_that_of_each_target_token(decoder, tokenizer, turned):
    task = Task("clm", ())
    part = part_of(task, turned[:4], decoder, tokenizer)
    part.most = 1
    found, by_label = judge(decoder, tokenizer, task, part)
    assert by_label == {}
    nats = []
    for example in turned[:4]:
        source, target = (tokenizer.encode_plain(text) for text in example.texts)
        row = [*source, tokenizer.sep_id, *target, tokenizer.sep_id]
        hidden, _ = decoder.forward([row[:-1]])
        logits, _ = decoder.lm_head.forward(decoder.params, hidden[0])
        logp, _ = log_softmax(logits)
        nats += [-logp[i, row[i + 1]] for i in range(len(source), len(row) - 1)]
    assert found["perplexity"] == pytest.approx(np.exp(np.mean(nats)), rel=1e-5)
    assert list(found) == ["rouge1", "rouge2", "rougeL", "perplexity"]


def test_a_unigram_of_the_targets_has_one_more_of_each_token(encoder_decoder, tokenizer, turned):
    task = Task("seq2seq", ())
    train, dev = (part_of(task, some, encoder_decoder, tokenizer) for some in (turned[:8], turned[8:12]))
    _, found = guess(task, train, dev, tokenizer)
    learnt, tokens = (
        [i for example in part.examples for i in tokenizer.encode_plain(example.texts[1]) + [3]]
        for part in (train, dev)
    )
    p = [(learnt.count(i) + 1) / (len(learnt) + tokenizer.vocab_size) for i in tokens]
    assert found["perplexity"] == pytest.approx(np.exp(-np.mean(np.log(p))), rel=1e-12)
    assert unigram_perplexity(np.array([0]), np.array([1]), 2) == pytest.approx(3.0)


def test_the_guess_is_made_of_the_tokens_that_a_batch_predicts_and_of_no_batch(
    writer, tokenizer, turned, monkeypatch
):
    (name, model), kind = writer, KINDS[writer[0]]
    task = Task(name, (), 4)  # so that sources and targets are cut
    train, dev = (part_of(task, some, model, tokenizer) for some in (turned[:14], turned[14:]))
    for part in (train, dev):
        places = range(len(part.examples))
        batch = kind.batch(kind.objective((), None), part.rows, part.targets, places, tokenizer.pad_id)
        np.testing.assert_array_equal(part.rows.predicted, batch.targets)
        assert part.rows.targets_cut > 0

    def batch(*arguments):
        raise AssertionError("all examples need not stand in one grid")

    monkeypatch.setattr(kind, "batch", batch)
    assert guess(task, train, dev, tokenizer)[1]["perplexity"] > 1


def test_a_perplexity_is_a_number_whatever_the_loss(decoder, tokenizer, turned, monkeypatch):
    task = Task("clm", ())
    monkeypatch.setattr(parts, "evaluate", lambda *arguments: SimpleNamespace(loss=1000.0))
    found = judge(decoder, tokenizer, task, part_of(task, turned[:1], decoder, tokenizer))
    assert np.isfinite(found.scores["perplexity"])


def test_the_guess_is_judged_by_what_the_model_writes_of(decoder, tokenizer):
    pairs = [("red cat", "red cat"), ("dog", "fish"), ("dog", "fish")]
    examples = [Example(pair, None, None, f"a.tsv:{i}") for i, pair in enumerate(pairs)]
    task = Task("clm", ())
    train, part = (part_of(task, examples, decoder, tokenizer) for _ in range(2))
    every = guess(task, train, part, tokenizer)[1]
    part.most = 1
    first = guess(task, train, part, tokenizer)[1]
    assert (every["rouge1"], first["rouge1"]) == (pytest.approx(2 / 9), pytest.approx(2 / 3))
    assert first["perplexity"] == every["perplexity"]  # of all
