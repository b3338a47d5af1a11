"""The heads for fine-tuning: what they pool, what they drop, their gradients, and their configuration."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.models import (
    Decoder,
    DecoderConfig,
    Encoder,
    EncoderConfig,
    SequenceHead,
    TokenHead,
    from_pretrained,
)
from npformer.models.task_heads import POOLINGS

SIZES = {"vocab_size": 13, "d_model": 8, "n_heads": 2, "d_ff": 12, "n_layers": 2, "max_positions": 7}
TASKS = [
    {"task": "classify", "n_labels": 3, "task_pooling": "cls"},
    {"task": "classify", "n_labels": 2, "task_pooling": "pooler", "pooler": True, "task_dropout": 0.1},
    {"task": "tag", "n_labels": 5},
    {"task": "regress", "n_labels": 1, "task_pooling": "mean"},
    {"task": "classify", "n_labels": 3, "task_pooling": "last"},
]


def gradients_are_right(head, params, hidden, **options):
    """Assert that the backward agrees with the complex step of a forward with the same draws."""
    rng = np.random.default_rng(2)

    def forward(values, hidden):
        return head.forward(values, hidden, rng=np.random.default_rng(5), **options)

    y, cache = forward(params, hidden)
    dy = rng.standard_normal(y.shape)
    grads = {name: np.zeros_like(x) for name, x in params.items()}
    found = {"hidden": head.backward(params, dy, cache, grads), **grads}
    for name, given in found.items():
        values = {"hidden": hidden.astype(complex), **{k: v.astype(complex) for k, v in params.items()}}
        numeric = np.zeros_like(given)
        for where in np.ndindex(given.shape):
            values[name][where] += 1e-30j
            numeric[where] = (forward(values, values["hidden"])[0].imag * dy).sum() / 1e-30
            values[name][where] -= 1e-30j
        np.testing.assert_allclose(given, numeric, rtol=0, atol=1e-13, err_msg=name)
    assert head.forward(params, hidden, False, **options)[1] is None


@pytest.mark.parametrize("task", TASKS)
def test_every_gradient_by_complex_step(make_encoder, task):
    model = make_encoder(**{"task_dropout": 0.3, **task})
    head, rng = model.task_head, np.random.default_rng(0)
    mask = np.array([[True, True, False], [True, True, True]])
    whole = task.get("task_pooling") == "mean"
    params = {name: x for name, x in model.params.items() if name.startswith(("task.", "pooler."))}
    options = {} if task["task"] == "tag" else {"mask": mask}
    gradients_are_right(head, params, rng.standard_normal((2, 3, 8) if whole else (2, 8)), **options)


def test_which_outputs_a_head_wants():
    mask = np.array([[1, 1, 1, 1, 1], [0, 1, 1, 0, 0], [0, 0, 0, 0, 0]], bool)
    assert SequenceHead(8, 3, "mean").at(mask) is None
    for pooling in ("cls", "pooler"):
        assert SequenceHead(8, 3, pooling).at(mask).tolist() == [0, 5, 10]
    assert SequenceHead(8, 3, "last").at(mask).tolist() == [4, 7, 10]


def test_the_pooler_is_the_models(make_encoder):
    model = make_encoder(pooler=True, task="classify", n_labels=3, task_pooling="pooler")
    assert model.task_head.pooler is model.pooler
    assert list(model.params)[-4:] == ["pooler.weight", "pooler.bias", "task.weight", "task.bias"]
    first = np.random.default_rng(0).standard_normal((2, 8))
    pooled, _ = model.pooler.forward(model.params, first)
    expected = pooled @ model.params["task.weight"] + model.params["task.bias"]
    np.testing.assert_allclose(model.task_head.forward(model.params, first)[0], expected, rtol=1e-13)


def test_dropout_is_the_heads_own():
    head = TokenHead(4, 2, dropout=0.5)
    params = {"task.weight": np.eye(4)[:, :2], "task.bias": np.zeros(2)}
    y, _ = head.forward(params, np.ones((50, 4)), rng=np.random.default_rng(0))
    assert set(np.unique(y)) == {0.0, 2.0}
    assert (head.forward(params, np.ones((50, 4)))[0] == 1).all()


@pytest.mark.parametrize("task", TASKS)
def test_a_model_with_a_task_is_saved_and_loaded(make_encoder, inputs, task, tmp_path):
    model = make_encoder(mlm=False, **task)
    model.save_pretrained(tmp_path)
    again = from_pretrained(tmp_path)
    assert again.config == model.config
    np.testing.assert_array_equal(again.params.flat, model.params.flat)
    assert type(again.task_head) is type(model.task_head)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"task": "parse", "n_labels": 2}, "task: expected one of classify, tag, regress, got 'parse'"),
        ({"n_labels": 2}, "n_labels: expected 0 without a task, got 2"),
        ({"task": "classify"}, "n_labels: expected at least 2 for task 'classify', got 0"),
        ({"task": "tag", "n_labels": 1}, "n_labels: expected at least 2 for task 'tag', got 1"),
        ({"task": "regress", "n_labels": 2}, "n_labels: expected 1 for task 'regress', got 2"),
        ({"task": "classify", "n_labels": -1}, "n_labels: expected at least 0, got -1"),
        ({"task_pooling": "max"}, "task_pooling: expected one of mean, cls, pooler, last, got 'max'"),
        ({"task_dropout": 1.0}, r"task_dropout: expected a number in \[0, 1\), got 1.0"),
        (
            {"task": "classify", "n_labels": 2, "task_pooling": "pooler"},
            "task_pooling: expected 'mean', 'cls' or 'last' without a pooler, got 'pooler'",
        ),
    ],
)
def test_a_bad_task_is_named(values, message):
    with pytest.raises(ValueError, match=f"EncoderConfig: {message}"):
        EncoderConfig(**SIZES, **values)


@pytest.mark.parametrize(("build", "configure"), [(Encoder, EncoderConfig), (Decoder, DecoderConfig)])
def test_without_a_task_there_is_no_head_and_old_configurations_are_read(build, configure):
    config = configure(**SIZES)
    new = ("task", "n_labels", "task_pooling", "task_dropout", "lm")
    old = {name: value for name, value in config.to_dict().items() if name not in new}
    assert configure.from_dict(old) == config
    model = build(config)
    assert not hasattr(model, "task_head")
    assert not any(name.startswith("task.") for name in model.params)
    assert set(POOLINGS) == {"mean", "cls", "pooler", "last"}


@pytest.mark.parametrize("pooling", ["cls", "pooler", "max"])
def test_a_decoder_is_not_pooled_by_its_first_token(pooling):
    expected = f"DecoderConfig: task_pooling: expected one of mean, last, got '{pooling}'"
    with pytest.raises(ValueError, match=expected):
        DecoderConfig(**SIZES, task="classify", n_labels=2, task_pooling=pooling)
    with pytest.raises(ValueError, match="n_labels: expected at least 2 for task 'tag', got 0"):
        DecoderConfig(**SIZES, task="tag")


@pytest.mark.parametrize("tied", [True, False])
def test_a_decoder_has_the_heads_that_it_is_asked_for(make_decoder, tied, tmp_path):
    model = make_decoder(tied=tied, lm=False, task="tag", n_labels=3)
    assert not hasattr(model, "lm_head")
    assert list(model.params)[-2:] == ["task.weight", "task.bias"]
    assert "lm_head.weight" not in model.params
    assert isinstance(model.task_head, TokenHead)
    both = make_decoder(tied=tied, task="regress", n_labels=1, task_pooling="last")
    assert both.lm_head.tied == tied
    assert isinstance(both.task_head, SequenceHead)
    both.save_pretrained(tmp_path)
    assert from_pretrained(tmp_path).config == both.config
