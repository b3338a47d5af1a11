"""Several seeds of one recipe: as each alone, and what is finished stays."""

from __future__ import annotations

import json
import os
import signal

import numpy as np
import pytest

from npformer.finetuning import Recipe, finetune, finetune_seeds, load_task_model, loop
from npformer.finetuning.seeds import summary
from npformer.scores import mean_and_std
from npformer.training import Interruption

RECIPE = Recipe("classify", seed=3, epochs=2, batch_size=10)


def run(encoder, tokenizer, classes, out, n=2, **options):
    parts = (classes[:20], classes[40:], RECIPE, out, n)
    return finetune_seeds(encoder, tokenizer, *parts, threads=1, quiet=True, **options)


def test_each_seed_is_a_run_of_its_own_and_the_moments_are_theirs(encoder, tokenizer, classes, tmp_path):
    told = []
    whole = run(encoder, tokenizer, classes, tmp_path / "out", 2, tell=told.append, test=classes[40:50])
    assert whole["seeds"] == [3, 4]
    assert len(told) == 2
    for part in ("dev", "test"):
        for name, moments in whole[part].items():
            values = [one[part][name] for one in whole["runs"]]
            assert (moments["mean"], moments["std"]) == mean_and_std(values)
    best = max(whole["runs"], key=lambda one: one["dev"]["accuracy"])
    assert whole["best"] == best["seed"]
    assert json.loads((tmp_path / "out" / "result.json").read_text()) == whole
    alone = Recipe("classify", seed=4, epochs=2, batch_size=10)
    finetune(
        encoder, tokenizer, classes[:20], classes[40:], alone, tmp_path / "alone", quiet=True, threads=1
    )
    folders = [tmp_path / name for name in ("alone", "out/seed-4", "out/seed-3")]
    flats = [load_task_model(folder)[0].params.flat for folder in folders]
    np.testing.assert_array_equal(flats[0], flats[1])
    assert not np.array_equal(flats[0], flats[2])


@pytest.mark.parametrize(("score", "best"), [("perplexity", 1), ("rougeL", 0)])
def test_the_best_of_scores_where_less_is_better(score, best):
    base = {"task": "clm", "score": score, "baseline_is": "lead", "baseline": {score: 0.1}}
    values = [0.9, 0.2, 0.2, 0.4]
    runs = [{**base, "seed": seed, "dev": {score: value}} for seed, value in enumerate(values)]
    assert summary(runs)["best"] == best


def test_an_interruption_keeps_what_has_finished(encoder, tokenizer, classes, tmp_path, monkeypatch):
    save, saved = loop.save_task_model, []

    def save_and_interrupt(*arguments):
        save(*arguments)
        saved.append(arguments[-1].parent.name)
        if saved[-1] == "seed-4":
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(loop, "save_task_model", save_and_interrupt)
    with pytest.raises(Interruption, match="^seed 4: stopped after epoch 1; .*; 1 of 2 seeds have finished"):
        run(encoder, tokenizer, classes, tmp_path / "out")
    assert (tmp_path / "out" / "seed-3" / "result.json").exists()
    assert load_task_model(tmp_path / "out" / "seed-4")[2].name == "classify"
    assert not (tmp_path / "out" / "result.json").exists()


@pytest.mark.parametrize("n", [1, 0, True, 2.0])
def test_one_seed_has_no_deviation(encoder, tokenizer, classes, tmp_path, n):
    with pytest.raises(ValueError, match="^seeds: expected a whole number of at least 2"):
        run(encoder, tokenizer, classes, tmp_path / "out", n)
    assert not (tmp_path / "out").exists()


def test_a_folder_with_something_in_it_is_left_alone(encoder, tokenizer, classes, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="the folder is not empty"):
        run(encoder, tokenizer, classes, tmp_path)
