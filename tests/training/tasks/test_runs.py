"""What the loop promises holds for every objective: threads, pieces, interruptions, ranks, diagnosis."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.text import Document, Pair
from npformer.training import (
    Ranks,
    Trainer,
    TrainingStopped,
    create_run,
    fit,
    load_newest,
    open_run,
    prepare,
    preset,
)
from npformer.training import trainer as trainer_module
from npformer.training.step import gradient
from npformer.training.trainer import workers

TINY = {
    "steps": 8,
    "layers": 2,
    "d_model": 8,
    "heads": 2,
    "d_ff": 16,
    "tokenizer": "char",
    "seq_len": 12,
    "batch_size": 6,
    "dropout": 0.1,
    "eval_every": 4,
    "checkpoint_every": 3,
}
OBJECTIVES = ("rtd", "clm", "seq2seq", "prefix", "mlm+nsp", "mlm+0.5*sop")  # t5 is prefix with another rule
COUPLED = ("simcse",)  # a share of the batch alone has no loss
# Of those that differ by what they draw alone, one by default.
SOME = [
    pytest.param(objective, marks=pytest.mark.thorough if objective in ("prefix", "mlm+0.5*sop") else ())
    for objective in OBJECTIVES + COUPLED
]


def prepared(objective, text, **changes):
    config = preset("tiny", objective=objective, **{**TINY, **changes})
    if objective == "seq2seq":
        lines = enumerate(text.splitlines())
        return prepare([Pair(line[: 5 + i % 5], line[2 + i % 3 :: -1]) for i, line in lines], config)
    if "+" in objective:  # each line a document
        return prepare([Document(line, line) for line in text.splitlines()], config)
    return prepare([Document("text", text)], config)


def trainer(objective, text, ranks=None, **changes):
    p = prepared(objective, text, **changes)
    ranks = {} if ranks is None else {"ranks": ranks}
    return Trainer(p.config.with_steps(8), p.tokenizer, p.train, **ranks)


def everything(run) -> dict[str, object]:
    newest = load_newest(run.checkpoints, print)
    assert newest is not None
    arrays = {f"{g}/{n}": a.tobytes() for g in ("params", "optimizer") for n, a in getattr(newest, g).items()}
    return {**arrays, **{name: (run.folder / name).read_bytes() for name in ("metrics.jsonl", "result.json")}}


@pytest.mark.parametrize("objective", SOME)
def test_threads_and_interruptions_change_no_bit(tmp_path, text, objective, monkeypatch):
    p = prepared(objective, text)
    runs = [create_run(tmp_path / name, p) for name in ("calm", "threads", "stopped")]
    for run, threads in zip(runs[:2], (1, 2), strict=True):
        fit(run, threads=threads, quiet=True, say=[].append)
    update = trainer_module.Trainer.update

    def fails_once(self, step, executor=None):
        if step == 5:
            raise MemoryError
        return update(self, step, executor)

    monkeypatch.setattr(trainer_module.Trainer, "update", fails_once)
    with pytest.raises(MemoryError):
        fit(runs[2], threads=1, quiet=True, say=[].append)
    monkeypatch.undo()
    said: list[str] = []
    fit(open_run(runs[2].folder), threads=1, quiet=True, say=said.append)
    assert said[0] == "going on after step 3 of 8"
    assert everything(runs[0]) == everything(runs[1]) == everything(runs[2])


@pytest.mark.parametrize("objective", SOME)
def test_pieces_and_recomputation_change_no_bit(text, objective, monkeypatch):
    monkeypatch.setattr("npformer.training.step.MICRO_NUMBERS", 30 * 8)
    whole = trainer(objective, text, batch_size=24)
    parts = trainer(objective, text, batch_size=6, accumulate=4, recompute=True)
    with workers(2, 2) as executor:
        for step in range(3):
            assert parts.update(step, executor) == whole.update(step)
    assert np.array_equal(parts.model.params.flat, whole.model.params.flat)


class OneOf(Ranks):
    """Rank `rank` of `size`, for what needs no exchange."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_shares_of_ranks_are_the_batch(text, objective):
    whole = trainer(objective, text, dtype="float64")
    batch, chosen = whole.batch(2)
    grads = whole.model.params.zeros_like()
    rng = {"normalizer": batch.n_targets}
    whole.objective.loss_and_grad(whole.model, batch, grads, **rng)
    total, rows = whole.model.params.zeros_like(), []
    for rank in range(3):
        share = trainer(objective, text, OneOf(rank, 3), dtype="float64")
        of_rank, of_rows = share.batch(2)
        rows += of_rows.tolist()
        share.objective.loss_and_grad(whole.model, of_rank, total, **rng)
    assert rows == chosen.tolist()
    assert np.abs(total.flat - grads.flat).max() <= 1e-14 * np.abs(grads.flat).max()


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("accumulate", [1, 3])
def test_ranks_and_lanes_drop_the_same(text, objective, accumulate):
    """However a batch is shared, and how wide a share's longest pair makes it: the same elements."""
    sizes = {"dtype": "float64", "dropout": 0.3, "batch_size": 18 // accumulate, "accumulate": accumulate}
    whole = trainer(objective, text, **sizes)
    rows = np.linspace(0, len(whole.train.ids) - 1, 18).astype(int)
    if objective == "mlm+nsp":
        rows = np.stack([rows, rows[::-1]], axis=1)
    whole.rows_of_step = lambda step: rows
    batch, _ = whole.batch(2)
    if objective == "seq2seq":
        assert len(set(batch.extents[1].tolist())) > 1
    gradient(whole.model, whole.objective, batch, whole.lanes, generators=whole.dropout(2))
    expected, total = whole.lanes[0].flat, np.zeros_like(whole.lanes[0].flat)
    for rank in range(3):
        share = trainer(objective, text, OneOf(rank, 3), **sizes, lanes=1 + rank)
        share.rows_of_step = whole.rows_of_step
        of_rank, _ = share.batch(2)
        draws = {"generators": share.dropout(2), "normalizer": batch.n_targets}
        gradient(whole.model, share.objective, of_rank, share.lanes, **draws)
        total += share.lanes[0].flat
    assert np.abs(total - expected).max() <= 1e-12 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("objective", "parameter", "where"),
    [
        ("rtd", "generator.encoder.0.attention.key.weight", "the output of generator.encoder.0.attention"),
        ("rtd", "generator.mlm.norm.gamma", "the loss"),
        ("rtd", "encoder.1.feed_forward.up.bias", "the output of encoder.1.feed_forward"),
        ("rtd", "rtd.logit.weight", "the loss"),
        ("clm", "decoder.1.feed_forward.down.weight", "the output of decoder.1.feed_forward"),
        ("clm", "decoder.norm.gamma", "the output of decoder.norm"),
        ("seq2seq", "encoder.0.attention.value.weight", "the output of encoder.0.attention"),
        ("seq2seq", "decoder.1.cross_attention.key.weight", "the output of decoder.1.cross_attention"),
        ("seq2seq", "decoder.norm.beta", "the output of decoder.norm"),
        ("mlm+nsp", "embeddings.segment", "the output of embeddings"),
        ("mlm+nsp", "mlm.bias", "the logits"),
        ("mlm+nsp", "pair.weight", "the loss"),
        ("simcse", "encoder.1.feed_forward.down.weight", "the output of encoder.1.feed_forward"),
        ("simcse", "encoder.norm.gamma", "the output of encoder.norm"),
    ],
)
def test_what_is_not_finite_is_found(text, objective, parameter, where):
    of_run = trainer(objective, text, accumulate=2)
    of_run.model.params[parameter].flat[1] = np.nan
    with pytest.raises(TrainingStopped) as error:
        of_run.update(0)
    line = str(error.value)
    assert line.startswith(f"step 1: the loss is nan; first not finite: {where}")
    assert f"(parameter {parameter} is not finite), training sequences " in line
