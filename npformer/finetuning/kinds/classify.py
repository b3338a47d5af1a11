"""A label for a text, or for a pair of texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...models import Decoder, Encoder
from ...objectives import SequenceClassification
from ...scores import accuracy, class_scores, macro_f1, matthews
from ...text import Tokenizer
from ...text.labelled import Example, check_labels, labels_of
from ..rows import Rows, grid, rows_of_texts
from .kind import Array, Prediction, figures, most_frequent

MODELS, HEAD, LABELS, CHOOSE_BY = (Encoder, Decoder), "classify", "classes", None


def labels(examples: Sequence[Example]) -> tuple[str, ...]:
    """Return the names of the labels, sorted."""
    return labels_of(examples)


def objective(labels: Sequence[str], class_weights: Array | None) -> SequenceClassification:
    """Return the objective."""
    return SequenceClassification(len(labels), class_weights)


def counts(examples: Sequence[Example], labels: Sequence[str]) -> Array:
    """Return how often each label is there."""
    return np.bincount(np.array(targets(examples, labels), np.intp), minlength=len(labels))


def rows(examples: Sequence[Example], tokenizer: Tokenizer, longest: int, segments: bool) -> Rows:
    """Return the texts, or the pairs, as rows of tokens."""
    return rows_of_texts([example.texts for example in examples], tokenizer, longest, segments)


def targets(examples: Sequence[Example], labels: Sequence[str]) -> list[int]:
    """Return the number of each label."""
    check_labels(examples, labels)
    number = {label: i for i, label in enumerate(labels)}
    return [number[str(example.label)] for example in examples]


def batch(
    objective: SequenceClassification,
    rows: Rows,
    targets: Sequence[int] | None,
    places: Sequence[int],
    pad_id: int,
) -> Any:
    """Return a batch of the objective."""
    ids, mask, segment_ids = grid(rows, places, pad_id)
    own = None if targets is None else [targets[i] for i in places]
    return objective.make_batch(ids, mask, own, segment_ids)


def outputs(
    model: Any, objective: SequenceClassification, rows: Rows, places: Sequence[int], tokenizer: Tokenizer
) -> list[Array]:
    """Return the probabilities (n_labels,) of each example."""
    return list(objective.predict(model, batch(objective, rows, None, places, tokenizer.pad_id)))


def predictions(
    outputs: Sequence[Array], examples: Sequence[Example], labels: Sequence[str]
) -> list[Prediction]:
    """Return the most probable label of each example."""
    return [Prediction(labels[int(p.argmax())], float(p.max())) for p in outputs]


def scores(
    examples: Sequence[Example], said: Sequence[Prediction], labels: Sequence[str]
) -> dict[str, float]:
    """Return accuracy, macro-F1 and Matthews' correlation."""
    truth, guess = [str(example.label) for example in examples], [one.label for one in said]
    return {
        "accuracy": accuracy(truth, guess),
        "macro_f1": macro_f1(truth, guess),
        "matthews": matthews(truth, guess),
    }


def by_label(
    examples: Sequence[Example], said: Sequence[Prediction], labels: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Return the scores of each label."""
    return figures(class_scores([str(example.label) for example in examples], [one.label for one in said]))


def baseline(
    train: Sequence[Example], examples: Sequence[Example], labels: Sequence[str]
) -> tuple[str, dict[str, float]]:
    """Return the most frequent label of training, and its scores."""
    guess = Prediction(most_frequent([str(example.label) for example in train]))
    return "most frequent label", scores(examples, [guess] * len(examples), labels)
