"""Examples that are learnt from or judged by, and the scores of a model, and of a guess, on them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..objectives import perplexity
from ..text import Tokenizer
from ..text.labelled import Example
from ..training import evaluate
from .examples import Task, predict_examples
from .rows import Rows

Array = npt.NDArray[Any]
MOST_NATS = 700.0  # whose perplexity still is a number


@dataclass
class Part:
    """Examples, and what they are to the model.

    Attributes
    ----------
    examples : sequence of Example
    rows : Rows
    targets : list
        What each example's label is to the objective.
    most : int, optional
        Judge the texts that are written by so many of the examples; None = by all.
    """

    examples: Sequence[Example]
    rows: Rows
    targets: list[Any]
    most: int | None = None

    @property
    def asked(self) -> tuple[Sequence[Example], Rows]:
        """The examples of which predictions are made, with their rows: all, or `most` of them, spread evenly.

        What is spread has one row an example, and no segments: only texts that are written take long.
        """
        n = len(self.examples)
        if self.most is None or self.most >= n:
            return self.examples, self.rows
        chosen = np.linspace(0, n - 1, self.most).round().astype(np.intp).tolist()
        rows = self.rows._replace(ids=[self.rows.ids[i] for i in chosen], targets=None)
        return [self.examples[i] for i in chosen], rows


def part_of(task: Task, examples: Sequence[Example], model: Any, tokenizer: Tokenizer) -> Part:
    """Return examples made ready for a model.

    Raises
    ------
    CorpusError
        If a label is none of the task's, naming file and line.
    """
    targets = task.kind.targets(examples, task.labels)
    return Part(examples, task.rows(examples, model, tokenizer), targets)


class Judged(NamedTuple):
    """The scores of a model."""

    scores: dict[str, float]
    by_label: dict[str, dict[str, float]]  # nothing where there are no classes


def judge(
    model: Any, tokenizer: Tokenizer, task: Task, part: Part, executor: Executor | None = None
) -> Judged:
    """Return the scores of a model; where it writes texts, with the perplexity of the true ones.

    Parameters
    ----------
    model : Encoder, Decoder or EncoderDecoder
    tokenizer : WordPieceTokenizer or CharacterTokenizer
    task : Task
    part : Part
    executor : concurrent.futures.Executor, optional
        Its threads share the work; the result does not depend on them.

    Raises
    ------
    NotFinite
        If what the model says of an example is not finite.
    """
    examples, rows = part.asked
    kind, said = task.kind, predict_examples(model, tokenizer, task, examples, rows, executor)
    found = kind.scores(examples, said, task.labels)
    if kind.LABELS == "texts":
        objective = kind.objective(task.labels, None)
        places = range(len(part.examples))
        batch = kind.batch(objective, part.rows, part.targets, places, tokenizer.pad_id)
        loss = evaluate(model, objective, [batch], executor).loss
        found["perplexity"] = perplexity(min(loss, MOST_NATS))
    return Judged(found, kind.by_label(examples, said, task.labels))


def guess(task: Task, train: Part, part: Part, tokenizer: Tokenizer) -> tuple[str, dict[str, float]]:
    """Return what guesses without having learnt to read, and its scores on `part`.

    Of texts the perplexity is that of a unigram: how often each token is in the targets of training, and one
    more.
    """
    name, found = task.kind.baseline(train.examples, part.asked[0], task.labels)
    if task.kind.LABELS == "texts":
        learnt, tokens = train.rows.predicted, part.rows.predicted
        found["perplexity"] = unigram_perplexity(learnt, tokens, tokenizer.vocab_size)
    return name, found


def unigram_perplexity(learnt: Array, tokens: Array, vocab_size: int) -> float:
    """Return the perplexity of `tokens` where each has its share of those learnt, and of one more of each.

    Parameters
    ----------
    learnt, tokens : ndarray of int, shapes (n,), (m,)
    vocab_size : int

    Examples
    --------
    >>> unigram_perplexity(np.array([0, 0, 1]), np.array([1, 1]), vocab_size=5)  # 2 of 8
    4.0
    """
    counts = np.bincount(learnt, minlength=vocab_size) + 1
    return perplexity(float(-np.log(counts[tokens] / counts.sum()).mean()))
