"""A run's configuration refuses what cannot be trained, and builds what it says."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from npformer.objectives.masking import choose_spans
from npformer.optim import SGD, Adam, AdamW
from npformer.text import WordPieceTokenizer
from npformer.training import PRESETS, RunConfig, preset
from npformer.training.config import build_model, build_objective, build_optimizer, build_schedule

BAD = [
    ("steps", -3, "steps: expected a whole number of at least 1, got -3"),
    ("steps", 0, "steps: expected a whole number"),
    ("steps", 2.5, "steps: expected a whole number"),
    ("steps", True, "steps: expected a whole number"),
    ("minutes", 0.0, "minutes: expected a finite number above 0, got 0.0"),
    ("minutes", math.inf, "minutes: expected a finite number"),
    ("seed", -1, "seed: expected a whole number of at least 0, got -1"),
    ("lr", math.nan, "lr: expected a finite number above 0, got nan"),
    ("lr", math.inf, "lr: expected"),
    ("lr", -1e-3, "lr: expected"),
    ("heads", 3, "heads: expected a divisor of d_model = 128, got 3"),
    ("heads", 128, "even"),  # rotary positions turn pairs
    ("d_ff", 0, "d_ff: expected"),
    ("dropout", 1.0, "dropout: expected a finite number of at least 0 and below 1, got 1.0"),
    ("mask_rate", 0.0, "mask_rate: expected"),
    ("masking", "words", "masking: expected one of token, whole_word, span, got 'words'"),
    ("corruption_rate", 0.0, "corruption_rate: expected a finite number above 0"),
    ("span_length", 0.5, "span_length: expected a finite number of at least 1, got 0.5"),
    ("temperature", 0.0, "temperature: expected a finite number above 0, got 0.0"),
    ("temperature", 0.1, "temperature: without a teacher there is no use for it"),
    ("span_length", 4.0, "span_length: the objective mlm has no use for it"),
    ("warmup", 1.0, "warmup: expected"),
    ("weight_decay", -0.1, "weight_decay: expected"),
    ("clip", math.nan, "clip: expected"),
    ("beta2", 1.0, "beta2: expected"),
    ("seq_len", 4, "seq_len: expected a whole number of at least 8, got 4"),
    ("vocab_size", 5, "vocab_size: expected"),
    ("lanes", 0, "lanes: expected"),
    ("eval_every", 0, "eval_every: expected"),
    ("norm", "both", "norm: expected one of pre, post, got 'both'"),
    ("positions", "alibi", "positions: expected one of"),
    ("activation", "mish", "activation: expected one of"),
    ("optimizer", "lion", "optimizer: expected one of"),
    ("schedule", "step", "schedule: expected one of"),
    ("dtype", "float16", "dtype: expected one of"),
]


@pytest.mark.parametrize(("field", "value", "message"), BAD, ids=[f"{f}={v}" for f, v, _ in BAD])
def test_bad_values_are_refused_by_name(field, value, message):
    with pytest.raises(ValueError, match=message):
        RunConfig(**{"steps": 10, field: value})


def test_characters_are_no_pieces_of_words():
    with pytest.raises(ValueError, match="masking: expected token or span where characters are tokens"):
        RunConfig(steps=1, tokenizer="char", masking="whole_word")
    RunConfig(steps=1, tokenizer="char", masking="span")


def test_a_run_needs_a_length():
    with pytest.raises(ValueError, match="steps: expected a number of steps, or minutes, got neither"):
        RunConfig()


def test_json_and_back():
    config = RunConfig(steps=10, lr=0.1 + 0.2, d_ff=7).with_steps(10)
    assert RunConfig.from_dict(json.loads(config.to_json())) == config
    earlier = {**config.to_dict(), "temperature": 2.0}  # the default that was written once
    assert RunConfig.from_dict(earlier) == config
    assert RunConfig.from_dict({**earlier, "teacher": "run"}).temperature == 2.0
    with pytest.raises(ValueError, match="leyers: not a field"):
        RunConfig.from_dict({"leyers": 2})


def test_presets_and_what_replaces_their_length():
    for name in PRESETS:
        preset(name)
    assert preset("tiny", steps=7).minutes is None
    assert preset("tiny", minutes=2.0).steps is None
    with pytest.raises(ValueError, match="preset: expected one of tiny, small, base, got 'huge'"):
        preset("huge")


def test_the_intervals_follow_the_number_of_steps():
    config = RunConfig(minutes=1.0).with_steps(20_000)
    assert (config.steps, config.eval_every, config.checkpoint_every) == (20_000, 2_000, 500)
    config = RunConfig(steps=3, eval_every=2).with_steps(3)
    assert (config.eval_every, config.checkpoint_every) == (2, 1)


def test_what_is_built():
    config = RunConfig(steps=100, layers=2, d_model=16, heads=2, dtype="float64", mask_rate=0.35, seed=3)
    config = replace(config, masking="span")
    tokenizer = WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefg", "##h"])
    model = build_model(config, tokenizer.vocab_size)
    assert model.params.flat.dtype == np.float64
    assert (model.config.d_ff, model.config.vocab_size, model.config.max_positions) == (64, 13, 64)
    assert np.array_equal(model.params.flat, build_model(config, 13).params.flat)
    objective = build_objective(config, tokenizer)
    assert (objective.rate, objective.choose) == (0.35, choose_spans)
    assert np.flatnonzero(objective.continues).tolist() == [12]
    for name, kind in (("adamw", AdamW), ("adam", Adam), ("sgd", SGD)):
        optimizer = build_optimizer(RunConfig(steps=1, optimizer=name, weight_decay=0.5), model)
        assert type(optimizer) is kind
        assert {decay for _, _, decay in optimizer.segments} == {0.0, 0.5}
    for name, last in (("constant", 3e-3), ("linear", 3e-3 / 95), ("cosine", None)):
        schedule = build_schedule(RunConfig(steps=100, schedule=name, lr=3e-3))
        assert math.isclose(schedule(5), 3e-3)
        assert math.isclose(schedule(0), 3e-3 / 6)
        if last is not None:
            assert math.isclose(schedule(99), last)
