"""Replaced-token detection as a run: the step's gradient, what is held out, what is left in the folder."""

from __future__ import annotations

import json
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from npformer.models import Encoder
from npformer.nn import SequenceRandom
from npformer.objectives import ReplacedTokens
from npformer.text import Document
from npformer.training import create_run, fit, load_model, prepare, preset, table
from npformer.training.metrics import read_metrics
from npformer.training.step import gradient
from npformer.training.tasks import masked, replaced

SIZE = {"layers": 1, "d_model": 8, "heads": 2, "vocab_size": 60, "seq_len": 12, "batch_size": 4, "steps": 6}
B, T, V = 7, 6, 13


@pytest.fixture(scope="module")
def finished(tmp_path_factory, text):
    config = preset("tiny", objective="rtd", **SIZE, eval_every=3)
    run = create_run(tmp_path_factory.mktemp("rtd") / "run", prepare([Document("text", text)], config))
    return run, fit(run, threads=1, quiet=True, say=[].append)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize(("lanes", "threads", "micro_tokens"), [(1, 1, T), (2, 2, 2 * T), (3, 1, T)])
def test_lanes_and_micro_batches_are_the_whole_batch(make_electra, dropout, lanes, threads, micro_tokens):
    model = make_electra(norm="pre", positions="rotary", dropout=dropout)
    rng = np.random.default_rng(0)
    ids = rng.integers(5, V, (B, T))
    ids[:, 0] = 2
    ids[2, 3:] = ids[4, 1:] = 0  # padded; nothing to mask

    def rngs(purpose):
        return [np.random.default_rng((purpose, b)) for b in range(B)]

    objective = ReplacedTokens(V, 4, range(5), rate=0.3)
    batch = objective.make_batch(ids, ids != 0, rngs(1))
    assert (np.bincount(batch.at // T, minlength=B) == 0).sum() >= 2  # micro-batches without a masked token
    expected = model.params.zeros_like()
    source = SequenceRandom(rngs(2), batch.extents) if dropout else None
    whole = objective.loss_and_grad(model, batch, expected, normalizer=batch.n_targets, rng=source)
    places = [model.params.zeros_like() for _ in range(lanes)]
    with ThreadPoolExecutor(threads) as executor:
        metrics = gradient(
            model,
            objective,
            batch,
            places,
            generators=rngs(2) if dropout else None,
            executor=executor,
            micro_tokens=micro_tokens,
            recompute=lanes == 3,
        )
    np.testing.assert_allclose(metrics.loss_sum, whole.loss_sum, rtol=1e-12)
    np.testing.assert_array_equal(metrics.n_targets, whole.n_targets)
    scale = max(np.abs(value).max() for value in expected.values())
    for name, value in expected.items():
        error = np.abs(places[0][name] - value).max()
        assert error <= 1e-12 * max(np.abs(value).max(), 1e-3 * scale), name


def test_what_is_left_is_the_discriminator(finished):
    run, _ = finished
    model, _ = load_model(run.folder)
    assert type(model) is Encoder
    config = masked.model_config(run.config, run.tokenizer.vocab_size)
    assert (model.config.mlm, model.config.rtd) == (False, True)
    assert model.config.d_model == config.d_model
    values = json.loads((run.folder / "model" / "config.json").read_text())
    assert values["architecture"] == "encoder"
    assert replaced.try_it(run)[:2] == ["finetune", str(run.folder)]


def test_every_line_has_both_parts(finished):
    run, _ = finished
    lines = read_metrics(run.folder / "metrics.jsonl")
    parts = {f"{what}_{part}" for what in ("loss", "accuracy") for part in ReplacedTokens.parts}
    assert all(parts < set(line) for line in lines if "loss" in line)
    looks = [line for line in lines if "held_out_loss" in line]
    assert len(looks) == 2
    for line in looks:
        assert line["held_out_loss"] == pytest.approx(
            line["held_out_loss_generator"] + line["held_out_loss_discriminator"]
        )


def test_the_scores_by_hand(finished):
    run, result = finished
    held_out = replaced.evaluation(run.config, run.tokenizer, run.held_out)
    passes = masked.fixed_corruptions(run.held_out, run.tokenizer)
    assert len(held_out.batches) == len(passes) == result["passes"]
    for mine, of_words in zip(held_out.batches, passes, strict=True):
        np.testing.assert_array_equal(mine.at, of_words.at)
        assert (mine.ids.reshape(-1)[mine.at] == run.tokenizer.mask_id).all()
    (discriminator,), original = result["models"], result["original"]
    real = sum(int(batch.mask.sum()) for batch in held_out.batches)
    at = sum(batch.at.size for batch in held_out.batches)
    assert discriminator["positions"] == original["positions"] == real
    assert result["generator"]["positions"] == at
    replaced_tokens = round((1 - original["accuracy"]) * real)
    assert 0 < replaced_tokens < at  # some guesses are right
    share = replaced_tokens / real
    assert original["nats"] == pytest.approx(-share * math.log(share) - (1 - share) * math.log(1 - share))
    assert discriminator["nats"] < 1.0  # without the weight of 50
    assert 0.5 * math.log(60) < result["generator"]["nats"] < 2 * math.log(60)
    assert result["margin"]["nats"] == original["nats"] - discriminator["nats"]
    lines = table(result).splitlines()
    assert [line.split()[0] for line in lines[1:5]] == ["generator,", "always", "discriminator", "margin"]


def test_nothing_to_judge_has_no_figures():
    assert "too small" in replaced.table({"margin": None})
    assert replaced.entropy(0.0) == replaced.entropy(1.0) == 0.0


@pytest.mark.parametrize("name", ["tiny", "small", "base"])
def test_the_generator_is_narrower(name):
    config = replaced.model_config(preset(name, objective="rtd"), 100)
    assert config.generator.d_model < config.discriminator.d_model
    assert config.generator.embedding_width == config.discriminator.d_model


def test_a_size_is_for_this_objective_alone():
    assert preset("tiny", objective="rtd", generator_size=1.0).generator_size == 1.0
    with pytest.raises(ValueError, match=r"generator_size: expected a number in \(0, 1\], got 2"):
        preset("tiny", objective="rtd", generator_size=2.0)
    for objective in ("mlm", "clm", "seq2seq"):
        with pytest.raises(ValueError, match=f"generator_size: the objective {objective} has no use for it"):
            preset("tiny", objective=objective, generator_size=0.5)
