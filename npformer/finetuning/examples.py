"""Examples made ready for a model: rows, targets, and what a model says of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..generation.prompts import NotFinite
from ..text import CorpusError, Tokenizer
from ..text.labelled import Example
from ..training.step import cut_batch, tokens_at_once
from .kinds import KINDS, Kind
from .kinds.kind import Prediction
from .rows import Rows

Array = npt.NDArray[Any]

WRITTEN = 32  # texts that are written at once: keys and values of all their tokens are kept


@dataclass(frozen=True)
class Task:
    """What a model was fine-tuned for: the task, and what its outputs mean.

    Attributes
    ----------
    name : str
        A key of `KINDS`.
    labels : tuple of str
        Names of the labels; of numbers what they were scaled by; of texts none.
    longest : int, optional
        Most tokens of a row that it was trained on; None: what the model reads.
    texts : int, optional
        Of numbers: the texts that have one, one or two; None: the task says it, or training had both.
    """

    name: str
    labels: tuple[str, ...]
    longest: int | None = None
    texts: int | None = None

    @property
    def kind(self) -> Kind:
        """Everything that is particular to the task."""
        return KINDS[self.name]

    def rows(self, examples: Sequence[Example], model: Any, tokenizer: Tokenizer) -> Rows:
        """Return the examples as rows of tokens that the model can read.

        Raises
        ------
        CorpusError
            If one has two texts where training had one, or one where it had two; it is named.
        """
        numbers = {1: "one text", 2: "two texts (text1 and text2)"}
        for item in examples:
            if self.texts is not None and len(item.texts) != self.texts:
                wanted, got = (numbers.get(n, "words") for n in (self.texts, len(item.texts)))
                raise CorpusError(f"{item.where}: expected {wanted}, as in training, got {got}")
        most = self.longest or model.config.max_positions
        segments = getattr(model.config, "n_segments", 0) > 1  # an encoder's alone
        return self.kind.rows(examples, tokenizer, most, segments)


def require_examples(what: str, examples: Sequence[Example]) -> None:
    """Raise TypeError or CorpusError unless there are examples, and nothing but examples.

    Examples
    --------
    >>> require_examples("finetune: train", [("a good film", "yes")])
    Traceback (most recent call last):
    ...
    TypeError: finetune: train: expected Examples (the .examples of read_examples), got a tuple
    """
    if not examples:
        raise CorpusError(f"{what}: expected an example, got none")
    strange = next((item for item in examples if not isinstance(item, Example)), None)
    if strange is not None:
        got = type(strange).__name__
        raise TypeError(f"{what}: expected Examples (the .examples of read_examples), got a {got}")


def predict_examples(
    model: Any,
    tokenizer: Tokenizer,
    task: Task,
    examples: Sequence[Example],
    rows: Rows,
    executor: Executor | None = None,
) -> list[Prediction]:
    """Return what the model says of each example, whatever its label.

    Parameters
    ----------
    model : Encoder, Decoder or EncoderDecoder
    tokenizer : WordPieceTokenizer or CharacterTokenizer
    task : Task
    examples : sequence of Example
    rows : Rows
        Of the examples.
    executor : concurrent.futures.Executor, optional
        Its threads share the work; the result does not depend on them.

    Raises
    ------
    NotFinite
        If a probability or number is NaN or infinite: the model's weights are, or too large.
    """
    kind, objective = task.kind, task.kind.objective(task.labels, None)
    if not examples:
        return []
    (pieces,) = cut_batch(rows.lengths, 1, tokens_at_once(model.config.d_model))
    if kind.LABELS == "texts":
        pieces = [piece[a : a + WRITTEN] for piece in pieces for a in range(0, piece.size, WRITTEN)]

    def work(places: Array) -> list[Any]:
        return kind.outputs(model, objective, rows, places.tolist(), tokenizer)

    outputs: list[Any] = [None] * len(examples)
    run: Callable[..., Any] = map if executor is None else executor.map
    for places, found in zip(pieces, run(work, pieces), strict=True):
        for i, output in zip(places.tolist(), found, strict=True):
            outputs[i] = output
    for item, output in zip(examples, outputs, strict=True):
        if kind.LABELS != "texts" and not np.isfinite(output).all():
            raise NotFinite(f"{item.where}: what the model says of it is not finite")
    return kind.predictions(outputs, examples, task.labels)


def class_weights(counts: Array | None, how: str) -> Array | None:
    """Return a weight for each label, n / (labels · its count) where balanced; 0 for one that never comes.

    Examples
    --------
    >>> class_weights(np.array([6, 2, 0]), "balanced").round(3)
    array([0.444, 1.333, 0.   ])
    """
    if counts is None or how == "none":
        return None
    weights: Array = np.divide(
        counts.sum(), counts.size * counts, out=np.zeros(counts.size), where=counts > 0
    )
    return weights
