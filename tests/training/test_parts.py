"""Accumulation: the bits of the whole batch, without the whole batch."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.text import Document
from npformer.training import RunConfig, Trainer, prepare
from npformer.training.parts import BatchInParts
from npformer.training.trainer import workers

SIZE = {"layers": 1, "d_model": 8, "heads": 2, "vocab_size": 60, "seq_len": 12}
SIZE |= {"steps": 3, "dtype": "float64"}


def trainer(text, **changes):
    prepared = prepare([Document("text", text)], RunConfig(**{**SIZE, **changes}))
    return Trainer(prepared.config, prepared.tokenizer, prepared.train)


@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize(("lanes", "threads"), [(1, 1), (2, 2), (3, 1)])
def test_the_gradient_has_the_bits_of_the_whole_batch(text, monkeypatch, dropout, lanes, threads):
    monkeypatch.setattr("npformer.training.step.MICRO_NUMBERS", 24 * 8)
    whole = trainer(text, batch_size=84, dropout=dropout, lanes=lanes)
    parts = trainer(text, batch_size=7, accumulate=12, dropout=dropout, lanes=lanes)
    batch, chosen = parts.batch(1)
    expected, of_whole = whole.batch(1)
    assert isinstance(batch, BatchInParts)
    assert batch.n_targets == expected.n_targets
    assert batch.shape == expected.shape == (84, 12)
    assert np.array_equal(chosen, of_whole)
    counts = {batch.rows(a, a + 7).n_targets for a in range(0, 84, 7)}
    assert len(counts) > 3  # parts with different numbers of targets
    with workers(threads, lanes) as executor:
        for step in range(2):
            assert parts.update(step, executor) == whole.update(step, executor)
            assert np.array_equal(parts.lanes[0].flat, whole.lanes[0].flat)
    assert np.array_equal(parts.model.params.flat, whole.model.params.flat)


def test_at_most_a_micro_batch_is_made_at_once(text, monkeypatch):
    parts = trainer(text, batch_size=50, accumulate=8, dropout=0.1)
    made, make_batch = [], parts.objective.make_batch

    def noted(ids, *args):
        made.append(len(ids))
        return make_batch(ids, *args)

    monkeypatch.setattr(parts.objective, "make_batch", noted)
    monkeypatch.setattr("npformer.training.step.MICRO_NUMBERS", 1024 * 8)
    parts.update(0)
    assert max(made) <= 1024 // 12
    assert sum(made) == 2 * 400  # counted, and made again


def test_what_is_not_finite_is_explained(text):
    parts = trainer(text, batch_size=5, accumulate=4, dropout=0.1)
    parts.model.params["encoder.0.feed_forward.up.bias"][...] = np.nan
    with pytest.raises(RuntimeError, match=r"step 1: the loss is nan; first not finite: .*feed_forward"):
        parts.update(0)
