"""The table: the same corrupted text and positions for encoder and baselines."""

from __future__ import annotations

import numpy as np

from npformer.text import Document
from npformer.training import RunConfig, create_run, fit, fixed_corruptions, prepare, table
from npformer.training.baselines import MostFrequentToken, TrigramWittenBell


def test_every_model_is_scored_on_all_passes(make_run):
    run = make_run()
    result = fit(run, threads=1, quiet=True)
    passes = fixed_corruptions(run.held_out, run.tokenizer)
    assert result["passes"] == len(passes) == 6
    n = sum(batch.n_targets for batch in passes)
    for model, kind in zip(result["models"], (MostFrequentToken, TrigramWittenBell), strict=False):
        baseline = kind(*run.train.rows(slice(None)), run.tokenizer.vocab_size, run.tokenizer.special_ids)
        scores = [(b.n_targets, *baseline.score(b.ids, b.at, b.targets)) for b in passes if b.n_targets]
        assert model["positions"] == n
        assert np.isclose(model["nats"], sum(k * nats for k, nats, _ in scores) / n, rtol=1e-12)
        assert np.isclose(model["accuracy"], sum(k * share for k, _, share in scores) / n, rtol=1e-12)
    _, trigram, encoder = result["models"]
    assert result["margin"]["nats"] == trigram["nats"] - encoder["nats"]
    assert result["margin"]["accuracy"] == encoder["accuracy"] - trigram["accuracy"]
    assert "fewer than 10,000 positions" in table(result)


def test_nothing_to_predict_is_said_and_not_called_perfect(tmp_path):
    config = RunConfig(steps=2, layers=1, d_model=8, heads=2)
    run = create_run(tmp_path / "run", prepare([Document("a", "a b c\nd\n")], config))
    assert not sum(batch.n_targets for batch in fixed_corruptions(run.held_out, run.tokenizer))
    result = fit(run, threads=1, quiet=True)
    assert result["margin"] is None
    assert result["models"][-1]["nats"] is None
    assert table(result) == "the held-out part of the text is too small to be predicted"
    assert "held_out_loss" not in (run.folder / "metrics.jsonl").read_text()
