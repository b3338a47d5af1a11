"""What a fine-tuned model says, and its folder."""

from __future__ import annotations

import json

import numpy as np
import pytest

from npformer.finetuning import (
    Recipe,
    Task,
    finetune,
    load_task_model,
    predict,
    prepare_model,
    save_task_model,
)
from npformer.finetuning.predict import read_texts
from npformer.functional import softmax
from npformer.models import Encoder, load_adapter, save_adapter
from npformer.text.labelled.columns import roles_of


@pytest.fixture
def classifier(encoder):
    return prepare_model(encoder, Recipe("classify"), 3)


def test_the_label_is_the_most_probable_one_whatever_else_is_asked(classifier, tokenizer):
    task = Task("classify", ("a", "b", "c"))
    texts = ["red cat runs", "dog", "fish sleeps red blue green", "cats"]
    said = predict(classifier, tokenizer, task, texts)
    for text, one in zip(texts, said, strict=True):
        hidden, _ = classifier.forward([tokenizer.encode(text).ids])
        pooled = hidden[0].mean(axis=0)
        p, _ = softmax(pooled @ classifier.params["task.weight"] + classifier.params["task.bias"])
        assert one.label == "abc"[int(p.argmax())]
        assert one.probability == pytest.approx(p.max(), abs=1e-6)
    assert predict(classifier, tokenizer, task, texts[1:2], threads=1)[0].label == said[1].label
    assert predict(classifier, tokenizer, task, []) == []


def test_words_that_are_cut_off_have_no_tag(encoder, tokenizer):
    model = prepare_model(encoder, Recipe("tag"), 2)
    words = ["red", "cat"] * 8  # twelve tokens are read
    (said,) = predict(model, tokenizer, Task("tag", ("X", "Y")), [words])
    assert len(said.label) == len(said.probability) == 16
    assert None not in said.label[:10]
    assert said.label[10:] == (None,) * 6


def test_numbers_come_in_the_units_of_the_file(encoder, tokenizer):
    model = prepare_model(encoder, Recipe("regress"), 1)
    model.params["task.weight"] = np.zeros((16, 1))
    model.params["task.bias"] = [0.5]
    (said,) = predict(model, tokenizer, Task("regress", ("10.0", "4.0")), ["red"])
    assert said.label == pytest.approx(12.0)
    assert said.probability is None
    same = prepare_model(encoder, Recipe("similarity"), 0)
    (said,) = predict(same, tokenizer, Task("similarity", ("1.0", "5.0")), [("red cat", "red cat")])
    assert said.label == pytest.approx(5.0, abs=1e-5)


def test_one_text_is_no_sequence_of_texts(classifier, tokenizer):
    with pytest.raises(TypeError, match="texts: expected a sequence of texts, got one text"):
        predict(classifier, tokenizer, Task("classify", ("a", "b", "c")), "red")


def test_a_folder_gives_back_what_was_saved(classifier, tokenizer, tmp_path):
    task = Task("classify", ("a", "b", "ç"))
    save_task_model(classifier, tokenizer, task, tmp_path / "model")
    model, read, same = load_task_model(tmp_path / "model")
    assert same == task
    assert read.vocab == tokenizer.vocab
    np.testing.assert_array_equal(model.params.flat, classifier.params.flat)


def test_a_model_that_cannot_be_written_leaves_the_task_of_the_one_before(
    classifier, tokenizer, tmp_path, monkeypatch
):
    task = Task("classify", ("a", "b", "c"))
    save_task_model(classifier, tokenizer, task, tmp_path)

    def full(*arguments):
        raise OSError("no space left")

    other = prepare_model(classifier, Recipe("classify", seed=1), 3)
    monkeypatch.setattr(type(other), "save_pretrained", full)
    with pytest.raises(OSError, match="no space left"):
        save_task_model(other, tokenizer, Task("classify", ("x", "y", "z")), tmp_path)
    assert load_task_model(tmp_path)[2] == task


def test_adapters_alone_give_back_what_was_fine_tuned(encoder, tokenizer, classes, tmp_path):
    recipe = Recipe("classify", epochs=1, lora=2)
    out = tmp_path / "out"
    finetune(encoder, tokenizer, classes[:20], classes[20:30], recipe, out, quiet=True, threads=1)
    model, _, _ = load_task_model(tmp_path / "out")
    save_adapter(model, tmp_path / "adapter")
    again = load_adapter(encoder, tmp_path / "adapter")
    assert set(again.params) == set(model.params)
    for name, value in model.params.items():
        np.testing.assert_array_equal(again.params[name], value)
    size = (tmp_path / "adapter" / "adapter.npz").stat().st_size
    assert size < 0.5 * (tmp_path / "out" / "model" / "model.npz").stat().st_size
    with pytest.raises(ValueError, match="expected the model that was adapted, got one with other weights"):
        load_adapter(Encoder(encoder.config, np.random.default_rng(1)), tmp_path / "adapter")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "expected a fine-tuned model, found no task.json"),
        ("{", "not the description of a task"),
        ("[]", "not the description of a task"),
        ('{"task": "sing", "labels": []}', "not the description of a task"),
        ('{"task": "tag", "labels": ["a", "b"]}', "expected a model with a head for tag"),
        ('{"task": "classify", "labels": ["a"], "longest": "all"}', "not the description of a task"),
    ],
)
def test_a_damaged_folder_is_told(classifier, tokenizer, tmp_path, content, message):
    save_task_model(classifier, tokenizer, Task("classify", ("a", "b", "c")), tmp_path)
    assert json.loads((tmp_path / "task.json").read_text())["labels"] == ["a", "b", "c"]
    if content is None:
        (tmp_path / "task.json").unlink()
    else:
        (tmp_path / "task.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        load_task_model(tmp_path)


@pytest.mark.parametrize(
    ("task", "lines"),
    [
        ("classify", [" ab ", "\u3000ab", "ab\u00a0c "]),
        ("pair", [" a \t b", "a\tb c "]),
        ("tag", ["10\u00a0000  men ", " a", "\u2009b c"]),
        ("clm", [" ab "]),
    ],
)
def test_a_line_is_the_text_that_json_gives(tmp_path, task, lines):
    plain, rows = tmp_path / "x.txt", tmp_path / "x.jsonl"
    plain.write_text("".join(f"{line}\n" for line in lines))
    (roles,) = roles_of(f"texts of {task}")
    fields = [dict(zip(roles, line.split("\t"), strict=True)) for line in lines]
    rows.write_text("".join(json.dumps(row) + "\n" for row in fields))
    found, expected = (
        [(example.texts, example.words) for example in read_texts(str(file), task)] for file in (plain, rows)
    )
    assert found == expected


@pytest.mark.parametrize(
    ("task", "text", "message"),
    [
        ("classify", "  ", "text 2: expected a text, got a blank one"),
        ("classify", ("a", "b"), "text 2: expected one text for classify, got 2"),
        ("pair", "a", "text 2: expected two texts for pair, got 1"),
        ("tag", " ", "text 2: expected words, got none"),
        ("tag", ["a", ""], "text 2: expected words, got a blank one"),
        ("tag", "a \u00a0", "text 2: expected words, got a blank one"),
    ],
)
def test_texts_that_do_not_fit_are_named(classifier, tokenizer, task, text, message):
    first = {"classify": "red", "pair": ("red", "cat"), "tag": "red"}[task]
    with pytest.raises(ValueError, match=message):
        predict(classifier, tokenizer, Task(task, ("a", "b", "c")), [first, text])
