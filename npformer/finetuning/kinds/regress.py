"""A number for a text, or for a pair of texts.

The model learns (y - mean) / deviation of the training numbers, so that rates and the initial head suit
numbers of any size; the two are kept with the model, and what is predicted is in the units of the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...models import Decoder, Encoder
from ...objectives import Regression
from ...scores import pearson, spearman
from ...text import CorpusError, Tokenizer
from ...text.labelled import Example
from ..rows import Rows, grid
from .classify import rows as rows
from .kind import Array, Prediction

MODELS, HEAD, LABELS, CHOOSE_BY = (Encoder, Decoder), "regress", "numbers", None
LARGEST = 1e100  # whose square is still a number


def labels(examples: Sequence[Example]) -> tuple[str, ...]:
    """Return the training numbers' mean and deviation, as text that gives back their bits."""
    y = numbers(examples)
    return repr(float(y.mean())), repr(float(y.std()) or 1.0)


def numbers(examples: Sequence[Example]) -> Array:
    """Return the examples' numbers.

    Raises
    ------
    CorpusError
        Naming file and line of an example whose label is none, or beyond `LARGEST`.
    """
    for example in examples:
        if not isinstance(example.label, (int, float)):
            got = "none" if example.label is None else repr(example.label)
            raise CorpusError(f"{example.where}: expected a number as label, got {got}")
        if not abs(example.label) <= LARGEST:
            got = f"{example.label!r:.40}"
            raise CorpusError(f"{example.where}: expected a number within {LARGEST:g}, got {got}")
    return np.array([example.label for example in examples], np.float64)


def objective(labels: Sequence[str], class_weights: Array | None) -> Regression:
    """Return the objective."""
    return Regression()


def counts(examples: Sequence[Example], labels: Sequence[str]) -> None:
    """Return None: numbers are no classes."""


def targets(examples: Sequence[Example], labels: Sequence[str]) -> list[float]:
    """Return the numbers, less the mean and over the deviation."""
    mean, deviation = map(float, labels)
    scaled: list[float] = ((numbers(examples) - mean) / deviation).tolist()
    return scaled


def batch(
    objective: Regression, rows: Rows, targets: Sequence[float] | None, places: Sequence[int], pad_id: int
) -> Any:
    """Return a batch of the objective."""
    ids, mask, segment_ids = grid(rows, places, pad_id)
    own = None if targets is None else [targets[i] for i in places]
    return objective.make_batch(ids, mask, own, segment_ids)


def outputs(
    model: Any, objective: Regression, rows: Rows, places: Sequence[int], tokenizer: Tokenizer
) -> list[Array]:
    """Return the number () of each example."""
    return list(objective.predict(model, batch(objective, rows, None, places, tokenizer.pad_id)))


def predictions(
    outputs: Sequence[Array], examples: Sequence[Example], labels: Sequence[str]
) -> list[Prediction]:
    """Return the numbers in the units of the file."""
    mean, deviation = map(float, labels)
    return [Prediction(float(y) * deviation + mean) for y in outputs]


def scores(
    examples: Sequence[Example], said: Sequence[Prediction], labels: Sequence[str]
) -> dict[str, float]:
    """Return Pearson's and Spearman's correlation, and the root of the mean squared error."""
    truth, guess = numbers(examples), np.array([one.label for one in said])
    found = {"pearson": 0.0, "spearman": 0.0}  # of what is constant
    if np.ptp(guess) > 0 and np.ptp(truth) > 0:
        found = {"pearson": pearson(truth, guess), "spearman": spearman(truth, guess)}
    return {**found, "rmse": float(np.sqrt(((truth - guess) ** 2).mean()))}


def by_label(
    examples: Sequence[Example], said: Sequence[Prediction], labels: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Return nothing: numbers are no classes."""
    return {}


def baseline(
    train: Sequence[Example], examples: Sequence[Example], labels: Sequence[str]
) -> tuple[str, dict[str, float]]:
    """Return the mean of training, and its scores."""
    guess = Prediction(float(numbers(train).mean()))
    return "mean of training", scores(examples, [guess] * len(examples), labels)
