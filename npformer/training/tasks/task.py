"""What the modules of this folder have in common."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from ...text import Packed, Tokenizer
from ..evaluate import Evaluation
from ..ranks import Ranks

if TYPE_CHECKING:
    from ..config import RunConfig
    from ..run import Run

Array = npt.NDArray[Any]
Make = Callable[[Array], Any]
Generators = Callable[[Array], list[np.random.Generator]]


class Task(Protocol):
    """An objective, and what goes with it.

    Attributes
    ----------
    PRESETS : mapping
        Recipes by name: what differs from the defaults of `RunConfig`.
    CHOICES : mapping
        Fields of `RunConfig` that have fewer values here, or others.
    USES : collection of str
        Fields that are of use here and not in every task; where another has one of them, it is refused here.
    PARTS : bool
        Whether, where there is one file, its parts between blank lines are the documents.
    LABELS : (str, str)
        For a picture: what the loss is per, and what the held-out loss is called.
    """

    @property
    def PRESETS(self) -> Mapping[str, Mapping[str, Any]]: ...  # noqa: N802, D102
    @property
    def CHOICES(self) -> Mapping[str, tuple[str, ...]]: ...  # noqa: N802, D102
    @property
    def USES(self) -> Collection[str]: ...  # noqa: N802, D102
    @property
    def PARTS(self) -> bool: ...  # noqa: N802, D102
    @property
    def LABELS(self) -> tuple[str, str]: ...  # noqa: N802, D102

    # The model and what it is trained for

    def model_config(self, config: RunConfig, vocab_size: int, /) -> Any:
        """Return the model's configuration, for the vocabulary that the text supported."""

    def build_model(self, config: RunConfig, vocab_size: int, rng: np.random.Generator, /) -> Any:
        """Return the model with its initial weights."""

    def finished(self, model: Any, /) -> Any:
        """Return what of the trained model is kept in the run's model/: the model, or a part of it."""

    def initial_embeddings(
        self, config: RunConfig, train: Packed, vocab_size: int, rng: np.random.Generator, /
    ) -> Array:
        """Return what the training text says about its tokens, (V, d_model); a row of 0 says nothing."""

    def build_objective(self, config: RunConfig, tokenizer: Tokenizer, /) -> Any:
        """Return the objective of training."""

    # From text to rows of tokens

    def read(self, sources: Sequence[str], columns: tuple[int, int] | None, /) -> Any:
        """Return the corpus that a person has named: documents, `TextFiles` or pairs."""

    def split(self, corpus: Any, share: float, seed: int, tail: bool, /) -> tuple[Any, Any]:
        """Return the training and the held-out part of a corpus in memory."""

    def texts(self, part: Any, /) -> Iterable[str]:
        """Return the texts of a part, for the tokenizer to learn from."""

    def rows(self, part: Any, tokenizer: Tokenizer, config: RunConfig, /) -> Iterable[list[int]]:
        """Yield a part as rows of tokens."""

    def width(self, seq_len: int, /) -> int:
        """Return the most tokens of a row."""

    def left_out(self, part: Any, packed: Packed, /) -> str | None:
        """Return a line on what of a part did not become rows, if anything did not."""

    # From rows to batches

    def order(self, config: RunConfig, train: Packed, /) -> Callable[[int], Array]:
        """Return the function from a step to the rows that it is made from."""

    def batch(
        self, config: RunConfig, objective: Any, train: Packed, chosen: Array, generators: Generators, /
    ) -> tuple[Make, tuple[int, int]]:
        """Return the function that makes a batch of the chosen rows at some places, and the shape of all."""

    # What is held out

    def evaluation(self, config: RunConfig, tokenizer: Tokenizer, held_out: Packed, /) -> Evaluation:
        """Return the held-out batches and what is reported of them."""

    def compare(
        self,
        run: Run,
        model: Any,
        held_out: Evaluation,
        executor: Executor | None,
        ranks: Ranks,
        /,
    ) -> dict[str, Any]:
        """Return the scores of the model and of the baselines beside it, as plain values."""

    def table(self, result: dict[str, Any], /) -> str:
        """Return the scores for people."""

    def try_it(self, run: Run, /) -> list[str]:
        """Return the arguments of the command that shows what the model has learnt."""
