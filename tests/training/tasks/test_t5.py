"""The objectives t5 and prefix: rows become pairs, the vocabulary has sentinels, a run from end to end."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.objectives.span_corruption import restored
from npformer.text import Document
from npformer.training import Trainer, create_run, fit, load_model, open_run, prepare, preset, table
from npformer.training.tasks import TASKS, t5

SIZE = {"layers": 1, "d_model": 8, "heads": 2, "seq_len": 40, "batch_size": 8, "steps": 6}


def prepared(text, objective="t5", **changes):
    config = preset("tiny", **{"objective": objective, "tokenizer": "char", **SIZE, **changes})
    return prepare([Document("text", text)], config)


def test_the_vocabulary_has_as_many_sentinels_as_a_row_can_have_spans(text):
    p = prepared(text)
    assert p.config.n_sentinels == len(p.tokenizer.sentinel_ids) == 2  # 38 tokens, 6 taken out, in 2 spans
    assert p.tokenizer.vocab[-2:] == ["[S0]", "[S1]"]
    assert prepared(text, corruption_rate=0.5, span_length=1.0).config.n_sentinels == 19
    for objective in set(TASKS) - {"t5"}:
        assert preset("tiny", objective=objective, steps=1).n_sentinels == 0
    assert prepared(text, "prefix").tokenizer.sentinel_ids == ()
    assert max(p.train.ids.max(), p.held_out.ids.max()) < p.tokenizer.sentinel_ids[0]
    pieces = prepared(text, tokenizer="wordpiece", vocab_size=60)
    assert pieces.tokenizer.vocab[-2:] == ["[S0]", "[S1]"]


@pytest.mark.parametrize("objective", ["t5", "prefix"])
def test_a_batch_is_its_rows_taken_apart(text, objective):
    p = prepared(text, objective)
    trainer = Trainer(p.config.with_steps(6), p.tokenizer, p.train)
    batch, chosen = trainer.batch(1)
    assert max(batch.source_ids.shape[1], batch.ids.shape[1]) <= 40
    cls, sep = p.tokenizer.cls_id, p.tokenizer.sep_id
    for b, row in enumerate(chosen):
        source = batch.source_ids[b][batch.source_mask[b]]
        target = batch.rows(b, b + 1).targets
        assert (source[0], source[-1], batch.ids[b, 0], target[-1]) == (cls, sep, cls, sep)
        source, target = source[1:-1], target[:-1]
        again = np.concatenate([source, target])
        if objective == "t5":
            again = restored(source, target, p.tokenizer.sentinel_ids)
        np.testing.assert_array_equal(again, p.train.ids[row][p.train.mask[row]])
    later, _ = trainer.batch(1 + len(p.train.ids))
    assert later.source_ids.shape != batch.source_ids.shape or (later.source_ids != batch.source_ids).any()


@pytest.mark.parametrize("objective", ["t5", "prefix"])
def test_a_run_from_end_to_end(text, objective, tmp_path):
    run = create_run(tmp_path / "run", prepared(text, objective, label_smoothing=0.1))
    result = fit(run, threads=1, quiet=True, say=[].append)
    held_out = run.config.task.evaluation(run.config, run.tokenizer, run.held_out)
    assert held_out.objective.seq2seq.label_smoothing == 0
    again = run.config.task.evaluation(run.config, run.tokenizer, run.held_out)
    np.testing.assert_array_equal(held_out.batches[0].source_ids, again.batches[0].source_ids)
    ngram, model = result["models"]
    assert result["objective"] == objective
    assert ngram["positions"] == model["positions"] == held_out.batches[0].n_targets
    assert ngram["nats"] < np.log(run.tokenizer.vocab_size)
    assert table(result).splitlines()[2].startswith("encoder-decoder")
    assert open_run(run.folder).tokenizer.vocab == run.tokenizer.vocab
    model, tokenizer = load_model(run.folder)
    assert tokenizer.sentinel_ids == run.tokenizer.sentinel_ids
    command, _, option, source = t5.try_it(run)
    assert (command, option) == ("generate", "--source")
    assert ("[S0]" in source) == (objective == "t5")
    real = held_out.batches[0].source_mask[0]
    ids = [i for i in held_out.batches[0].source_ids[0][real].tolist() if i not in tokenizer.special_ids]
    assert tokenizer.encode_plain(source) == ids
    assert model.config.vocab_size == tokenizer.vocab_size
