"""What the modules of this folder have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ...scores import PrecisionRecall
from ...text import Tokenizer
from ...text.labelled import Example
from ..rows import Rows

Array = npt.NDArray[Any]


# scores of which the lower is the better
LOWER = ("rmse", "perplexity")


class Prediction(NamedTuple):
    """What a model says of an example."""

    label: Any  # a label, a number, a text, or for words a tuple of labels (None where a word was cut off)
    probability: Any = None  # of the label, or of each word's; None for a number and for a text


class Kind(Protocol):
    """A kind of label, and what goes with it.

    Attributes
    ----------
    MODELS : tuple of classes
        What can be fine-tuned.
    HEAD : str or None
        `task` in the model's configuration; None = it has no head of this kind.
    LABELS : {"classes", "numbers", "texts"}
        What is to be predicted.
    CHOOSE_BY : str or None
        The score by which the best epoch is chosen; None = the first.
    """

    @property
    def MODELS(self) -> tuple[Any, ...]: ...  # noqa: N802, D102

    @property
    def HEAD(self) -> str | None: ...  # noqa: N802, D102

    @property
    def LABELS(self) -> str: ...  # noqa: N802, D102

    @property
    def CHOOSE_BY(self) -> str | None: ...  # noqa: N802, D102

    def labels(self, examples: Sequence[Example], /) -> tuple[str, ...]:
        """Return the names of the labels, in the order of the head's outputs; of numbers what scales them."""

    def objective(self, labels: Sequence[str], class_weights: Array | None, /) -> Any:
        """Return the objective, with a weight for each label or None."""

    def counts(self, examples: Sequence[Example], labels: Sequence[str], /) -> Array | None:
        """Return how often each label is there; None where they are no classes."""

    def rows(
        self, examples: Sequence[Example], tokenizer: Tokenizer, longest: int, segments: bool, /
    ) -> Rows:
        """Return the examples as rows of tokens."""

    def targets(self, examples: Sequence[Example], labels: Sequence[str], /) -> list[Any]:
        """Return what each example's label is to the objective.

        Raises
        ------
        CorpusError
            Naming file and line of a label that is not among `labels`, or that is out of range.
        """

    def batch(
        self, objective: Any, rows: Rows, targets: Sequence[Any] | None, places: Sequence[int], pad_id: int, /
    ) -> Any:
        """Return the examples at `places` as a batch of the objective; without targets to predict them."""

    def outputs(
        self, model: Any, objective: Any, rows: Rows, places: Sequence[int], tokenizer: Tokenizer, /
    ) -> list[Any]:
        """Return what the model makes of each of the examples at `places`, which are worked on at once."""

    def predictions(
        self, outputs: Sequence[Any], examples: Sequence[Example], labels: Sequence[str], /
    ) -> list[Prediction]:
        """Return what the outputs of each example say in words."""

    def scores(
        self, examples: Sequence[Example], said: Sequence[Prediction], labels: Sequence[str], /
    ) -> dict[str, float]:
        """Return how good predictions are: the higher the better, but for those in `LOWER`."""

    def by_label(
        self, examples: Sequence[Example], said: Sequence[Prediction], labels: Sequence[str], /
    ) -> dict[str, dict[str, float]]:
        """Return precision, recall, F1 and number of each label; nothing where they are no classes."""

    def baseline(
        self, train: Sequence[Example], examples: Sequence[Example], labels: Sequence[str], /
    ) -> tuple[str, dict[str, float]]:
        """Return what guesses without having learnt to read, and its scores."""


def better(name: str, value: float, other: float) -> bool:
    """Whether a score is better than another.

    Examples
    --------
    >>> better("accuracy", 0.9, 0.8), better("perplexity", 20.0, 30.0), better("rougeL", 0.5, 0.5)
    (True, True, False)
    """
    return value < other if name in LOWER else value > other


def ahead(name: str, scores: Mapping[str, float], others: Mapping[str, float]) -> bool:
    """Whether scores are better than others by the one of that name; of equal ones by perplexity, if any.

    Examples
    --------
    >>> ahead("rougeL", {"rougeL": 0.0, "perplexity": 20.0}, {"rougeL": 0.0, "perplexity": 30.0})
    True
    >>> ahead("accuracy", {"accuracy": 0.5}, {"accuracy": 0.5})
    False
    """
    if scores[name] == others[name] and "perplexity" in scores:
        name = "perplexity"  # a model that writes no right word yet does learn
    return better(name, scores[name], others[name])


def figures(scores: Mapping[Any, PrecisionRecall]) -> dict[str, dict[str, float]]:
    """Return the scores of labels as plain values."""
    return {
        str(label): {"precision": s.precision, "recall": s.recall, "f1": s.f1, "number": s.n_true}
        for label, s in scores.items()
    }


def most_frequent(values: Sequence[str]) -> str:
    """Return the most frequent of some names, of several the first in the alphabet.

    Examples
    --------
    >>> most_frequent(["no", "yes", "no", "yes", "maybe"])
    'no'
    """
    names, counts = np.unique(np.array(values, dtype=object), return_counts=True)
    return str(names[counts.argmax()])
