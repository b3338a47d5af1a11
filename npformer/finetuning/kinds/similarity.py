"""How alike two texts are: the cosine of their vectors, learnt from pairs with a number.

The numbers of training are stretched to [0, 1], from the smallest to the largest, and what is predicted is
put back into the units of the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...models import Decoder, Encoder
from ...objectives import Similarity
from ...text import CorpusError, Tokenizer
from ...text.labelled import Example
from ..rows import Rows, grid, rows_of_texts
from .kind import Array, Prediction
from .regress import baseline as baseline
from .regress import by_label as by_label
from .regress import counts as counts
from .regress import numbers
from .regress import scores as scores

MODELS, HEAD, LABELS, CHOOSE_BY = (Encoder, Decoder), None, "numbers", None


def labels(examples: Sequence[Example]) -> tuple[str, ...]:
    """Return the smallest and the largest number of training, as text that gives back their bits.

    Raises
    ------
    CorpusError
        Naming file and line of an example that is no pair with a number; or if all numbers are the same.
    """
    for example in examples:
        if len(example.texts) != 2 or not isinstance(example.label, (int, float)):
            raise CorpusError(f"{example.where}: expected two texts and how alike they are, a number")
    y = numbers(examples)
    if np.ptp(y) == 0:
        raise CorpusError(f"{examples[0].where}: expected numbers that differ, got {y[0]:g} in every row")
    return repr(float(y.min())), repr(float(y.max()))


def objective(labels: Sequence[str], class_weights: Array | None) -> Similarity:
    """Return the objective."""
    return Similarity()


def rows(examples: Sequence[Example], tokenizer: Tokenizer, longest: int, segments: bool) -> Rows:
    """Return the texts as rows of tokens: those of example i are rows 2 i and 2 i + 1."""
    sides = [(text,) for example in examples for text in example.texts]
    return rows_of_texts(sides, tokenizer, longest, segments)._replace(per_example=2)


def targets(examples: Sequence[Example], labels: Sequence[str]) -> list[float]:
    """Return the numbers stretched to [0, 1]; what lies beyond training's is at its end."""
    low, high = map(float, labels)
    stretched: list[float] = np.clip((numbers(examples) - low) / (high - low), 0, 1).tolist()
    return stretched


def batch(
    objective: Similarity, rows: Rows, targets: Sequence[float] | None, places: Sequence[int], pad_id: int
) -> Any:
    """Return a batch of the objective."""
    both = [side for i in places for side in (2 * i, 2 * i + 1)]
    ids, mask, segment_ids = grid(rows, both, pad_id)
    shape = (len(places), 2, ids.shape[1])
    segments = None if segment_ids is None else segment_ids.reshape(shape)
    own = None if targets is None else [targets[i] for i in places]
    return objective.make_batch(ids.reshape(shape), mask.reshape(shape), own, segments)


def outputs(
    model: Any, objective: Similarity, rows: Rows, places: Sequence[int], tokenizer: Tokenizer
) -> list[Array]:
    """Return the cosine () of each example's two texts."""
    return list(objective.predict(model, batch(objective, rows, None, places, tokenizer.pad_id)))


def predictions(
    outputs: Sequence[Array], examples: Sequence[Example], labels: Sequence[str]
) -> list[Prediction]:
    """Return the cosines in the units of the file."""
    low, high = map(float, labels)
    return [Prediction(low + float(cos) * (high - low)) for cos in outputs]
