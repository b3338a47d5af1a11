"""The teacher of a run that distils: a finished run's model, and what its student takes over from it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..objectives import Distillation
from ..text import Tokenizer
from .fill import load_model

if TYPE_CHECKING:
    from .config import RunConfig


TEMPERATURE = 2.0


def student_of(folder: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a run's configuration that follow from its teacher, beside those that are `given`.

    The tokenizer is the teacher's. Sequences are as long as the teacher reads, unless said otherwise.

    Raises
    ------
    OSError, ValueError
        If there is no finished run in the folder, or a given field contradicts it.
    """
    model, tokenizer = load_model(folder)
    fields = {"tokenizer": tokenizer.kind, "cased": tokenizer.kind == "wordpiece" and not tokenizer.lowercase}
    for name, value in fields.items():
        if given.get(name, value) != value:
            raise ValueError(f"{name}: expected {value!r}, as the teacher {folder} has, got {given[name]!r}")
    if "vocab_size" in given:
        raise ValueError(f"vocab_size: the vocabulary is that of the teacher {folder}, none was expected")
    longest = model.config.max_positions
    return {"seq_len": longest, **given, **fields, "teacher": str(Path(folder).absolute())}


def read_teacher(config: RunConfig) -> tuple[Any, Tokenizer]:
    """Return the model of a run's teacher, and its tokenizer.

    Raises
    ------
    OSError, ValueError
        If the teacher is not there, is a model of another kind or without the head, or does not read as long
        sequences.
    """
    assert config.teacher is not None
    model, tokenizer = load_model(config.teacher, dtype=config.dtype)
    expected = config.task.model_config(config, tokenizer.vocab_size)
    headless = getattr(expected, "mlm", False) and not getattr(model.config, "mlm", False)
    if type(model.config) is not type(expected) or headless:
        kind = type(model).__name__ + (" without a head for masked tokens" if headless else "")
        raise ValueError(
            f"teacher: {config.teacher}: expected a model for --objective {config.objective}, got one of "
            f"the kind {kind}"
        )
    if model.config.max_positions < config.seq_len:
        raise ValueError(
            f"seq_len: expected at most {model.config.max_positions}, what the teacher {config.teacher} "
            f"reads, got {config.seq_len}"
        )
    return model, tokenizer


def with_teacher(objective: Any, config: RunConfig, tokenizer: Tokenizer) -> Distillation:
    """Return the objective of a run with its teacher.

    Raises
    ------
    OSError, ValueError
        As `read_teacher`; or if the teacher has another vocabulary.
    """
    model, its = read_teacher(config)
    if (its.kind, its.lowercase, its.vocab) != (tokenizer.kind, tokenizer.lowercase, tokenizer.vocab):
        raise ValueError(f"teacher: {config.teacher}: expected the vocabulary of this run, got another")
    temperature = TEMPERATURE if config.temperature is None else config.temperature
    return Distillation(objective, model, config.alpha, temperature)
