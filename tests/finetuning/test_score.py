"""Scores of a model that is finished: those that fine-tuning gave it."""

from __future__ import annotations

import json
import shutil

import pytest

from npformer.finetuning import (
    Recipe,
    Task,
    finetune,
    hold_out,
    load_task_model,
    predict,
    prepare_model,
    score,
)
from npformer.finetuning.score import training_examples
from npformer.text import CorpusError
from npformer.text.labelled import read_examples


@pytest.mark.parametrize(
    ("task", "fixture"),
    [("classify", "classes"), ("tag", "tagged"), ("regress", "numbered"), ("similarity", "numbered")],
)
def test_they_are_those_of_the_test_file(encoder, tokenizer, tmp_path, request, task, fixture):
    examples = request.getfixturevalue(fixture)
    train, dev, test = examples[:40], examples[40:50], examples[50:]
    recipe = Recipe(task, epochs=2, lr=1e-2, batch_size=8, max_len=6)
    result = finetune(encoder, tokenizer, train, dev, recipe, tmp_path / "out", test=test, quiet=True)
    model, _, task_of_model = load_task_model(tmp_path / "out")
    assert task_of_model.longest == 6
    found = score(model, tokenizer, task_of_model, test, train=train, threads=1)
    assert found["scores"] == result["test"]
    assert (found["baseline"], found["baseline_is"]) == (result["test_baseline"], result["baseline_is"])
    of_dev = score(model, tokenizer, task_of_model, dev)
    assert (of_dev["scores"], of_dev["by_label"]) == (result["dev"], result["by_label"])
    assert "baseline" not in of_dev


def test_texts_are_all_written(writer, tokenizer, turned, tmp_path):
    task, model = writer
    train, dev, test = turned[:14], turned[14:20], turned[20:]
    recipe = Recipe(task, epochs=2, lr=1e-2, batch_size=8, rouge_examples=2)
    result = finetune(model, tokenizer, train, dev, recipe, tmp_path / "out", test=test, quiet=True)
    model, _, task_of_model = load_task_model(tmp_path / "out")
    found = score(model, tokenizer, task_of_model, test, train=train, threads=1)
    assert list(found["scores"]) == ["rouge1", "rouge2", "rougeL", "perplexity"]
    assert (found["scores"], found["by_label"]) == (result["test"], {})
    assert (found["baseline"], found["baseline_is"]) == (result["test_baseline"], "lead; a unigram")
    of_dev = score(model, tokenizer, task_of_model, dev)["scores"]
    assert of_dev["perplexity"] == result["dev"]["perplexity"]
    said = predict(model, tokenizer, task_of_model, [example.texts[0] for example in dev])
    assert of_dev["rouge1"] == task_of_model.kind.scores(dev, said, ())["rouge1"]
    with pytest.raises(CorpusError, match=r"train.tsv:1: expected a source and a target, got \('red',\)"):
        score(model, tokenizer, task_of_model, [turned[0]._replace(texts=("red",))])


def test_a_label_of_another_kind_is_named(encoder, tokenizer, classes, numbered):
    classifier = prepare_model(encoder, Recipe("classify"), 2)
    other = [classes[0]._replace(label="shade")]
    with pytest.raises(CorpusError, match=r"train.tsv:1: expected a label of training .* got 'shade'"):
        score(classifier, tokenizer, Task("classify", ("colour", "none")), other)
    similar = prepare_model(encoder, Recipe("similarity"), 0)
    for label in ("much", None):
        with pytest.raises(CorpusError, match="train.csv:1: expected a number as label, got"):
            score(similar, tokenizer, Task("similarity", ("0", "1")), [numbered[0]._replace(label=label)])
    with pytest.raises(CorpusError, match="expected an example, got none"):
        score(classifier, tokenizer, Task("classify", ("colour", "none")), [])


def test_the_training_examples_are_found_again(tmp_path, monkeypatch):
    file = tmp_path / "train.tsv"
    file.write_text("".join(f"label {i % 2}\ttext {i}\n" for i in range(20)) + "bad\n")
    how = {"columns": "text=2,label=1", "format": "tsv", "skip_bad": True}
    about = {"run": "finetune", "train": str(file), "read": how}
    (tmp_path / "out" / "model").mkdir(parents=True)
    config, task = tmp_path / "out" / "config.json", Task("classify", ("label 0", "label 1"))
    config.write_text(json.dumps(about))
    examples = read_examples(file, "classify", **how).examples
    for folder in ("out", "out/model"):
        assert training_examples(tmp_path / folder, task) == examples
    monkeypatch.chdir(tmp_path / "out" / "model")
    assert training_examples(".", task) == examples
    monkeypatch.chdir(tmp_path)
    result = tmp_path / "out" / "result.json"
    result.write_text(json.dumps({"examples": {"train": 19}}))
    with pytest.raises(CorpusError, match=r"train.tsv: expected the 19 examples of training, got 20"):
        training_examples("out", task)
    result.unlink()
    config.write_text(json.dumps({**about, "dev_share": 0.2, "dev_seed": 7}))
    assert training_examples(tmp_path / "out", task) == hold_out(examples, 0.2, 7)[0]
    with pytest.raises(CorpusError, match=r"train.tsv:1: expected a label of training .* got 'label 0'"):
        training_examples(tmp_path / "out", Task("classify", ("label 1", "label 2")))  # it has changed
    for values in ({**about, "train": "-"}, {**about, "train": None}):
        config.write_text(json.dumps(values))
        with pytest.raises(CorpusError, match="expected the file of its training examples"):
            training_examples(tmp_path / "out", task)
    shutil.rmtree(tmp_path / "out" / "model")
    config.unlink()
    with pytest.raises(CorpusError, match=r"expected the config.json of its fine-tuning, found none"):
        training_examples(tmp_path / "out", task)
