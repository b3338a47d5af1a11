"""Contrastive learning as a task: a row is a sentence, evaluation is the same for every model, it learns."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from npformer.objectives import Contrastive
from npformer.text import CorpusError, Document, TextFiles, WordPieceTokenizer
from npformer.training import RunConfig, Trainer, create_run, fit, prepare, preset
from npformer.training.evaluate import evaluate
from npformer.training.tasks import contrastive, table

SIZES = {"layers": 1, "d_model": 16, "heads": 2, "d_ff": 32, "vocab_size": 60, "seq_len": 12}
VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "a", "b", "c", "d"]


def prepared(text, steps=20, **changes):
    config = preset("tiny", objective="simcse", steps=steps, **{**SIZES, "batch_size": 16, **changes})
    return prepare([Document("text", text)], config)


def rows_of(text, seq_len=8, **changes):
    config = preset("tiny", objective="simcse", steps=1, seq_len=seq_len, **changes)
    tokenizer = WordPieceTokenizer(VOCAB, lowercase=True)
    rows = contrastive.rows([Document("t", text)], tokenizer, config)
    return [" ".join(VOCAB[i] for i in row) for row in rows]


def test_a_row_is_a_sentence():
    text = "A b c d. B a.\nC\nd a b. A b\tc d. D. D d d d d d d d d d."
    assert rows_of(text) == [
        "[CLS] a b c d . [SEP]",
        "[CLS] c d a b . [SEP]",  # over the end of a line; before it one too short, after it one again
        "[CLS] d d d d d d [SEP]",  # cut
    ]


def test_a_line_may_be_a_sentence():
    text = "a b c d\nb c d a. C d a b.\nd c b a\n"
    assert [row[6:-6] for row in rows_of(text)] == ["a b c d b c", "c d a b . d"]  # no capital follows
    lines = ["a b c d", "b c d a .", "c d a b .", "d c b a"]
    assert [row[6:-6] for row in rows_of(text, lines=True)] == lines
    with pytest.raises(ValueError, match="^lines: the objective mlm has no use for it"):
        RunConfig(steps=1, lines=True)


def test_sentences_that_are_cut_are_counted(text, tmp_path, monkeypatch):
    told = "of .* sentences fill all 8 tokens of a row, and what was longer is cut"
    p = prepared(text, seq_len=8)
    full = [int(part.mask[:, -1].sum()) for part in (p.train, p.held_out)]
    assert full[0] > 0
    assert re.match(f"{full[0]} {told} .with --lines a sentence ends", p.warnings[0])
    assert re.match(f"held out: {full[1]} {told}", p.warnings[1])
    roomy = prepared(text, seq_len=40)
    assert not any("tokens of a row" in line for line in roomy.warnings)
    unbroken = text.replace(".", "")
    assert len(prepared(unbroken, batch_size=8).train.ids) < 20
    assert len(prepared(unbroken, lines=True).train.ids) == len(roomy.train.ids)
    monkeypatch.setattr("npformer.text.streamed_split.LARGEST_BLOCK", 40)
    path = tmp_path / "text.txt"
    path.write_text(text)
    config = preset("tiny", objective="simcse", steps=1, **{**SIZES, "seq_len": 8})
    large = prepare(TextFiles([(str(path), True)]), config)  # a stream
    for i, (what, part) in enumerate((("", large.train), ("held out: ", large.held_out))):
        assert re.match(f"{what}{int(part.mask[:, -1].sum())} {told}", large.warnings[i])


def test_text_without_a_sentence_is_refused(tmp_path, monkeypatch):
    text = "".join(f"{a}{b}.\n\n" for a in "abcdefghijklmn" for b in "abcdefghijklmn")
    with pytest.raises(CorpusError, match="expected sentences of at least 4 tokens"):
        prepared(text)
    monkeypatch.setattr("npformer.text.streamed_split.LARGEST_BLOCK", 40)
    path = tmp_path / "text.txt"
    path.write_text(text)
    with pytest.raises(CorpusError, match="expected sentences of at least 4 tokens"):
        prepare(TextFiles([(str(path), True)]), preset("tiny", objective="simcse", steps=1, **SIZES))


def test_no_batch_has_a_sentence_twice(text):
    p = prepared(text)
    n = len(p.train.ids)
    order = contrastive.order(p.config, p.train)
    epoch = [order(step) for step in range(n // 16)]
    assert n % 16  # some are left over
    assert len(np.unique(epoch)) == n // 16 * 16
    for step in range(5 * n // 16):
        assert len(set(order(step).tolist())) == 16
    assert {*order(n // 16)} != {*epoch[0]}
    with pytest.raises(ValueError, match=rf"^batch_size: expected .* batch of simcse .{n + 1}., .* got {n}"):
        prepared(text, batch_size=n + 1)  # before there is a folder


def test_dropout_is_needed():
    for objective in (lambda: RunConfig(objective="simcse", steps=1), lambda: prepared("", dropout=0.0)):
        with pytest.raises(ValueError, match="^dropout: expected above 0 for simcse"):
            objective()
    with pytest.raises(ValueError, match="mask_rate: the objective simcse has no use for it"):
        preset("tiny", objective="simcse", steps=1, mask_rate=0.2)


def test_the_temperature_is_that_of_training_and_what_is_held_out_has_its_own(text):
    p = prepared(text, temperature=0.2)
    usual = prepared(text)
    losses = []
    for q, expected in ((p, 0.2), (usual, 0.05)):
        trainer = Trainer(q.config.with_steps(2), q.tokenizer, q.train)
        assert trainer.objective.temperature == expected
        held_out = contrastive.evaluation(q.config, q.tokenizer, q.held_out)
        assert held_out.objective.objective.temperature == 0.05
        losses.append(trainer.update(0).loss)
    assert losses[0] > losses[1]  # the same vectors, told apart less sharply
    with pytest.raises(ValueError, match="^temperature: expected at most 1 for simcse, .*, got 2"):
        prepared(text, temperature=2.0)


def test_the_model_has_no_head(text):
    p = prepared(text)
    params = Trainer(p.config.with_steps(2), p.tokenizer, p.train).model.params
    assert not any(name.startswith("mlm") for name in params)


def test_held_out_batches_are_of_one_size_and_of_different_sentences(text):
    p = prepared(text)
    held_out = contrastive.evaluation(p.config, p.tokenizer, p.held_out)
    sizes = {batch.n_targets for batch in held_out.batches}
    assert sizes == {min(len(p.held_out.ids), contrastive.OF_BATCH)}
    ids = np.concatenate([batch.ids[:, 0] for batch in held_out.batches])
    assert len(np.unique(ids, axis=0)) == len(ids)


def test_what_is_over_at_the_end_is_no_batch(text, monkeypatch):
    p = prepared(text)
    n = len(p.held_out.ids)
    size = next(k for k in range(3, n) if n % k)
    monkeypatch.setattr(contrastive, "OF_BATCH", size)
    held_out = contrastive.evaluation(p.config, p.tokenizer, p.held_out)
    assert [len(batch.ids) for batch in held_out.batches] == [size] * (n // size)


def test_evaluation_depends_neither_on_when_nor_on_threads(text, monkeypatch):
    monkeypatch.setattr(contrastive, "OF_BATCH", 4)
    p = prepared(text)
    model = Trainer(p.config.with_steps(2), p.tokenizer, p.train).model
    held_out = contrastive.evaluation(p.config, p.tokenizer, p.held_out)
    assert len(held_out.batches) > 2
    with ThreadPoolExecutor(2) as two:
        found = [evaluate(model, held_out.objective, held_out.batches, x) for x in (None, two, None)]
    assert found[0] == found[1] == found[2]
    plain = Contrastive(0.05)
    without = [plain.loss_and_grad(model, b.trimmed(), None, normalizer=1).loss_sum for b in held_out.batches]
    assert abs(sum(without) - found[0].loss_sum) > 1e-4  # there are masks


def test_a_run_from_beginning_to_end(tmp_path, text):
    run = create_run(tmp_path / "run", prepared(text, steps=40, lr=1e-2, dropout=0.3))
    trainer = Trainer(run.config, run.tokenizer, run.train)
    trainer.start_from_text()
    held_out = contrastive.evaluation(run.config, run.tokenizer, run.held_out)
    before = contrastive.figures(trainer.model, held_out)
    nats = evaluate(trainer.model, held_out.objective, held_out.batches).loss
    result = fit(run, threads=1, quiet=True, say=[].append)
    bag, encoder = result["models"]
    assert encoder["nats"] < 0.5 * nats
    assert encoder["alignment"] < 0.6 * before["alignment"]
    assert bag["alignment"] > 1e-3  # it sees two masks, too
    assert bag["positions"] == encoder["positions"] == sum(b.n_targets for b in held_out.batches)
    assert "alignment" in table(result)


def test_the_baseline_is_the_embeddings_that_the_run_began_with(tmp_path, text):
    p = prepared(text)
    run = create_run(tmp_path / "run", p)
    trainer = Trainer(run.config, run.tokenizer, run.train)
    trainer.start_from_text()
    expected = trainer.model.params["embeddings.token"]
    assert np.array_equal(contrastive.initial_table(run, trainer.model.config), expected)
