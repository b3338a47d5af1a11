"""What a recipe refuses."""

from __future__ import annotations

import json

import pytest

from npformer.cli.finetune import FIELDS, TASKS
from npformer.finetuning import KINDS, Recipe


@pytest.mark.parametrize(
    ("task", "changes", "message"),
    [
        ("translate", {}, "task: expected one of classify, pair, tag, .*, seq2seq, clm, got 'translate'"),
        ("classify", {"epochs": 0}, "epochs: expected a whole number of at least 1, got 0"),
        ("classify", {"epochs": True}, "epochs: expected a whole number"),
        ("classify", {"patience": 0}, "patience: expected a whole number of at least 1"),
        ("classify", {"lr": float("nan")}, "lr: expected a finite number above 0"),
        ("classify", {"lr": 0.0}, "lr: expected a finite number above 0"),
        ("classify", {"dropout": 1.0}, "dropout: expected a finite number of at least 0 and below 1"),
        ("classify", {"layer_decay": 0.0}, r"layer_decay: expected a number in \(0, 1\], got 0.0"),
        ("classify", {"freeze": -1}, "freeze: expected a whole number of at least 0"),
        ("classify", {"lora": 4, "freeze": 1}, "freeze: with lora the whole model is frozen"),
        ("classify", {"lora_alpha": 8.0}, "lora_alpha: without lora there is no use for it"),
        ("classify", {"from_scratch": True, "freeze": 1}, "freeze: weights that are fresh"),
        ("classify", {"from_scratch": True, "lora": 2}, "lora: weights that are fresh"),
        ("classify", {"class_weights": "some"}, "class_weights: expected one of none, balanced, got 'some'"),
        ("regress", {"class_weights": "balanced"}, "class_weights: the labels of regress are numbers"),
        ("seq2seq", {"class_weights": "balanced"}, "class_weights: the labels of seq2seq are texts, not cl"),
        ("tag", {"pooling": "cls"}, "pooling: the task tag has no use for it"),
        ("clm", {"pooling": "cls"}, "pooling: the task clm has no use for it"),
        ("tag", {"rouge_examples": 5}, "rouge_examples: the task tag writes no texts"),
        ("clm", {"rouge_examples": 0}, "rouge_examples: expected a whole number of at least 1, got 0"),
        ("classify", {"max_len": 3}, "max_len: expected a whole number of at least 4"),
    ],
)
def test_bad_fields_are_named(task, changes, message):
    with pytest.raises(ValueError, match=message):
        Recipe(task, **changes)


def test_the_command_knows_every_field_and_task():
    fields = set(json.loads(json.dumps(Recipe("tag").to_dict())))
    assert fields == {"task", "from_scratch", *FIELDS}
    assert tuple(KINDS) == TASKS
