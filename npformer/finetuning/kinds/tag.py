"""A label for each word of a text: parts of speech, or entities as BIO tags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...models import Decoder, Encoder
from ...objectives import TokenClassification
from ...scores import accuracy, class_scores, entity_scores
from ...text import Tokenizer
from ...text.labelled import Example, check_labels, is_bio, labels_of
from ..rows import Rows, grid, rows_of_words
from .kind import Array, Prediction, figures, most_frequent

MODELS, HEAD, LABELS, CHOOSE_BY = (Encoder, Decoder), "tag", "classes", None


def labels(examples: Sequence[Example]) -> tuple[str, ...]:
    """Return the names of the tags; of BIO tags O is the first."""
    return labels_of(examples)


def objective(labels: Sequence[str], class_weights: Array | None) -> TokenClassification:
    """Return the objective."""
    return TokenClassification(len(labels), class_weights)


def counts(examples: Sequence[Example], labels: Sequence[str]) -> Array:
    """Return how often each tag is there."""
    return np.bincount(np.concatenate(targets(examples, labels)), minlength=len(labels))


def rows(examples: Sequence[Example], tokenizer: Tokenizer, longest: int, segments: bool) -> Rows:
    """Return the words as rows of tokens."""
    return rows_of_words([example.words or () for example in examples], tokenizer, longest, segments)


def targets(examples: Sequence[Example], labels: Sequence[str]) -> list[Array]:
    """Return the numbers of each example's tags."""
    check_labels(examples, labels)
    number = {label: i for i, label in enumerate(labels)}
    return [np.array([number[tag] for tag in tags_of(example)], np.intp) for example in examples]


def tags_of(example: Example) -> tuple[str, ...]:
    """Return the tags of an example."""
    assert isinstance(example.label, tuple)
    return example.label


def batch(
    objective: TokenClassification,
    rows: Rows,
    targets: Sequence[Array] | None,
    places: Sequence[int],
    pad_id: int,
) -> Any:
    """Return a batch of the objective; words whose first piece was cut off are not in it."""
    ids, mask, segment_ids = grid(rows, places, pad_id)
    assert rows.firsts is not None
    firsts = [rows.firsts[i] for i in places]
    at = np.concatenate([b * ids.shape[1] + first for b, first in enumerate(firsts)])
    own = None
    if targets is not None:
        own = np.concatenate([targets[i][: len(first)] for i, first in zip(places, firsts, strict=True)])
    return objective.make_batch(ids, mask, at, own, segment_ids)


def outputs(
    model: Any, objective: TokenClassification, rows: Rows, places: Sequence[int], tokenizer: Tokenizer
) -> list[Array]:
    """Return the probabilities (words, n_labels) of each example's words, as far as they were not cut off."""
    of_words = objective.predict(model, batch(objective, rows, None, places, tokenizer.pad_id))
    assert rows.firsts is not None
    stops = np.cumsum([len(rows.firsts[i]) for i in places])
    return np.split(of_words, stops[:-1])


def predictions(
    outputs: Sequence[Array], examples: Sequence[Example], labels: Sequence[str]
) -> list[Prediction]:
    """Return the most probable tag of each word, None for one that was cut off."""
    found = []
    for p, example in zip(outputs, examples, strict=True):
        missing = (None,) * (len(example.words or ()) - len(p))
        tags = tuple(labels[i] for i in p.argmax(axis=1).tolist())
        found.append(Prediction(tags + missing, tuple(p.max(axis=1).tolist()) + missing))
    return found


def scores(
    examples: Sequence[Example], said: Sequence[Prediction], labels: Sequence[str]
) -> dict[str, float]:
    """Return the entities' F1, precision and recall where all `labels` are BIO, and the tags' accuracy.

    A word that was cut off has a wrong tag; of entities, O.
    """
    truth = [tags_of(example) for example in examples]
    found: dict[str, float] = {}
    if is_bio([labels]):
        guess = [tuple(tag or "O" for tag in one.label) for one in said]
        overall = entity_scores(truth, guess).overall
        found = {"f1": overall.f1, "precision": overall.precision, "recall": overall.recall}
    flat = [tag for tags in truth for tag in tags]
    found["accuracy"] = accuracy(flat, [tag or "" for one in said for tag in one.label])
    return found


def by_label(
    examples: Sequence[Example], said: Sequence[Prediction], labels: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Return the scores of each kind of entity where the tags are BIO, else of each tag.

    A word that was cut off counts as missed for its own tag, and for no other.
    """
    truth = [tags_of(example) for example in examples]
    if is_bio([labels]):
        return figures(
            entity_scores(truth, [tuple(tag or "O" for tag in one.label) for one in said]).per_type
        )
    flat = [tag for tags in truth for tag in tags]
    found = figures(class_scores(flat, [tag or "" for one in said for tag in one.label]))
    return {tag: of for tag, of in found.items() if tag}


def baseline(
    train: Sequence[Example], examples: Sequence[Example], labels: Sequence[str]
) -> tuple[str, dict[str, float]]:
    """Return every word's most frequent tag in training, and its scores; of new words that of all words."""
    tags: dict[str, list[str]] = {}
    for example in train:
        for word, tag in zip(example.words or (), tags_of(example), strict=True):
            tags.setdefault(word.lower(), []).append(tag)
    usual = {word: most_frequent(of_word) for word, of_word in tags.items()}
    other = most_frequent([tag for of_word in tags.values() for tag in of_word])
    said = [
        Prediction(tuple(usual.get(word.lower(), other) for word in example.words or ()))
        for example in examples
    ]
    return "each word's most frequent tag", scores(examples, said, labels)
