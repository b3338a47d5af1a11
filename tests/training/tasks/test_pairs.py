"""Pairs: batches of one length, the loss without smoothing, copying and reversing strings never seen."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from npformer.text import CorpusError, Pair
from npformer.training import Trainer, create_run, fit, prepare, preset, table
from npformer.training.tasks import pairs

SIZE = {"layers": 1, "d_model": 8, "heads": 2, "seq_len": 14, "batch_size": 8, "steps": 6}


def strings(n: int, longest: int = 10, letters: str = "abcdefgh") -> list[str]:
    draw = random.Random(0)
    found = sorted({"".join(draw.choices(letters, k=draw.randint(3, longest))) for _ in range(n)})
    draw.shuffle(found)
    return found


def prepared(n: int = 300, **changes):
    config = preset("tiny", **{"objective": "seq2seq", "tokenizer": "char", **SIZE, **changes})
    return prepare([Pair(s, s[::-1] + "!") for s in strings(n)], config)


def test_an_epoch_has_every_pair_at_most_once_in_batches_of_one_length():
    p = prepared(2000)
    order = pairs.order(p.config, p.train)
    n = len(p.train.ids) // 8
    epoch = [order(step) for step in range(n)]
    assert len(np.unique(np.concatenate(epoch))) == 8 * n > len(p.train.ids) - 8
    of_rows = pairs.lengths(p.train)
    padding = [1 - of_rows[rows].sum() / (8 * of_rows[rows].max(axis=0).sum()) for rows in epoch]
    assert np.mean(padding) < 0.02
    assert {tuple(sorted(b)) for b in epoch} != {tuple(sorted(order(n + step))) for step in range(n)}
    assert np.array_equal(order(3), pairs.order(p.config, p.train)(3))  # whoever asks, and when
    lengths = [of_rows[rows[0], 1] for rows in epoch]
    assert lengths != sorted(lengths)


def test_a_batch_is_its_pairs():
    p = prepared()
    trainer = Trainer(p.config.with_steps(6), p.tokenizer, p.train)
    batch, chosen = trainer.batch(1)
    S, T = batch.source_ids.shape[1], batch.ids.shape[1]
    assert batch.shape == (8, max(S, T))
    lengths = pairs.lengths(p.train)[chosen].max(axis=0)
    assert (lengths[0], lengths[1] - 1) == (S, T)
    for b in range(8):
        source = p.tokenizer.decode(batch.source_ids[b][batch.source_mask[b]])
        row = batch.rows(b, b + 1)
        assert row.targets[-1] == p.tokenizer.sep_id
        assert p.tokenizer.decode(row.targets) == source[::-1] + "!"
        assert row.ids[0, 0] == p.tokenizer.cls_id


def test_the_held_out_loss_is_not_smoothed(tmp_path):
    p = prepared()
    run = create_run(tmp_path / "run", p)
    assert run.config.label_smoothing == 0.1
    result = fit(run, threads=1, quiet=True, say=lambda line: None)
    held_out = pairs.evaluation(run.config, run.tokenizer, run.held_out)
    assert held_out.objective.label_smoothing == 0
    ngram, model = result["models"]
    targets = pairs._targets(run.held_out)
    assert model["positions"] == ngram["positions"] == (targets != run.tokenizer.cls_id).sum()
    assert result["pairs"] == len(run.held_out.ids)
    assert ngram["nats"] < np.log(run.tokenizer.vocab_size)
    assert table(result).splitlines()[2].startswith("encoder-decoder")


def test_pairs_that_are_too_long_are_left_out_and_counted():
    assert prepared().warnings[0].startswith("little text")
    p = prepared(seq_len=8)
    told = "of 270 pairs left out: the source has more than 8 tokens, or the target more than 9"
    assert f" {told}" in p.warnings[0]
    config = preset("tiny", **{"objective": "seq2seq", "tokenizer": "char", **SIZE, "seq_len": 8})
    with pytest.raises(CorpusError, match=f"270 {told}"):
        prepare([Pair(s * 3, s * 3) for s in strings(300)], config)


def test_a_word_and_its_translation_can_begin_close():
    """Every word stands where it likes among the others, so that its pairs alone tell what it means."""
    rng = np.random.default_rng(0)
    chosen = [rng.choice(20, 3, replace=False) for _ in range(400)]
    pairs = [Pair(*("".join(chr(ord(first) + i) for i in words) for first in "aA")) for words in chosen]
    p = prepare(pairs, preset("tiny", **{"objective": "seq2seq", "tokenizer": "char", **SIZE}))
    trainer = Trainer(replace(p.config, embedding_init="cooccurrence"), p.tokenizer, p.train)
    trainer.start_from_text()
    small, large = (
        p.tokenizer.encode_plain("".join(chr(ord(first) + i) for i in range(20))) for first in "aA"
    )
    table = trainer.model.params["embeddings.token"]
    np.testing.assert_allclose(np.linalg.norm(table[small], axis=1), 1, rtol=1e-5)
    assert (table[small] @ table[large].T).argmax(axis=1).tolist() == list(range(20))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"positions": "rotary"}, "positions: expected one of sinusoidal, learned, got 'rotary'"),
        ({"embedding_init": "zeros"}, "embedding_init: expected one of cooccurrence, random"),
        ({"mask_rate": 0.2}, "mask_rate: the objective seq2seq has no use for it"),
        ({"label_smoothing": 1.0}, "label_smoothing: expected a finite number"),
    ],
)
def test_bad_values_are_refused_by_name(changes, message):
    with pytest.raises(ValueError, match=message):
        preset("tiny", objective="seq2seq", steps=3, **changes)


def greedy(model, tokenizer, sources: list[str], longest: int) -> list[str]:
    """The most probable token after the most probable token, of sources of one length."""
    state = model.start(np.array([tokenizer.encode(source).ids for source in sources]), longest)
    ids = np.full((len(sources), 1), tokenizer.cls_id)
    while ids.shape[1] < longest:
        logits, _ = model.lm_head.forward(model.params, model.step(ids[:, -1:], state), False)
        ids = np.append(ids, logits.argmax(axis=-1), axis=1)
    ends = (ids == tokenizer.sep_id).argmax(axis=1)
    return [tokenizer.decode(row[:end]) for row, end in zip(ids, ends, strict=True)]


@pytest.mark.thorough
@pytest.mark.parametrize(("task", "step"), [("copy", 1), ("reverse", -1)])
def test_a_tiny_model_learns_to(task, step):
    longest, steps = 7, 700
    known = [Pair(s, s[::step]) for s in strings(8000, longest)]
    sizes = {"layers": 1, "d_model": 64, "heads": 4, "d_ff": 128, "seq_len": 9}
    recipe = {"batch_size": 64, "lr": 6e-3, "positions": "learned", "label_smoothing": 0.0}
    p = prepare(known, preset("tiny", objective="seq2seq", tokenizer="char", steps=steps, **sizes, **recipe))
    trainer = Trainer(p.config.with_steps(steps), p.tokenizer, p.train)
    for at in range(steps):
        trainer.update(at)
    unseen = [p.tokenizer.decode(row[:9]) for row in p.held_out.ids]
    assert len(unseen) > 100
    assert not set(unseen) & {p.tokenizer.decode(row[:9]) for row in p.train.ids}
    for length in range(3, longest + 1):
        sources = [s for s in unseen if len(s) == length]
        written = greedy(trainer.model, p.tokenizer, sources, 9)
        assert written == [s[::step] for s in sources]
