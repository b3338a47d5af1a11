"""The state of a training run in memory, and the update that moves it on by a step."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._threads import one_blas_thread
from ..optim import clip_by_global_norm
from ..text import Packed, WordPieceTokenizer
from . import draws
from .allocator import keep_freed_memory
from .config import RunConfig, build_model, build_objective, build_optimizer, build_schedule
from .diagnosis import find_not_finite
from .parts import BatchInParts, GeneratorsInParts
from .step import gradient

Array = npt.NDArray[Any]


class TrainingStopped(RuntimeError):
    """Training could not go on; the message is one line that says why and what is left."""


class StepMetrics(NamedTuple):
    """What one step showed, before its update."""

    loss: float  # nats per target
    accuracy: float
    lr: float
    grad_norm: float  # before clipping


@contextlib.contextmanager
def workers(threads: int, lanes: int) -> Iterator[Executor | None]:
    """Yield an executor for the lanes, None where one thread is enough; hold BLAS at one thread meanwhile."""
    threads = min(threads, lanes)
    keep_freed_memory()
    with one_blas_thread():
        if threads <= 1:
            yield None
            return
        with ThreadPoolExecutor(threads, thread_name_prefix="lane") as executor:
            yield executor


class Trainer:
    """Model, objective, optimizer and schedule of a run.

    Parameters
    ----------
    config : RunConfig
        With a number of steps.
    tokenizer : WordPieceTokenizer
    train : Packed

    Attributes
    ----------
    model : Encoder
    objective : MaskedLM
    """

    def __init__(self, config: RunConfig, tokenizer: WordPieceTokenizer, train: Packed) -> None:
        self.config, self.train = config, train
        self.model = build_model(config, tokenizer.vocab_size)
        self.objective = build_objective(config, tokenizer)
        self.optimizer = build_optimizer(config, self.model)
        self.schedule = build_schedule(config)
        self.lanes = [self.model.params.zeros_like() for _ in range(config.lanes)]

    def start_from_text(self) -> None:
        """Give the token embeddings of a new run what its text says about them, if it is asked for."""
        c = self.config
        if c.embedding_init != "cooccurrence":
            return
        from .cooccurrence import cooccurrence_embeddings  # here: it loads SciPy, which takes long

        table = self.model.params["embeddings.token"]
        rng = draws.generator(c.seed, draws.COOCCURRENCE)
        rows = c.embedding_std * cooccurrence_embeddings(self.train, len(table), c.d_model, rng)
        known = rows.any(axis=1)  # the others stay random
        table[known] = rows[known]

    def batch(self, step: int) -> tuple[Any, Array]:
        """Return the corrupted batch of a step, and which sequences of the data it is made of.

        With ``accumulate`` above 1 the batch is a `BatchInParts`.
        """
        c = self.config
        chosen = draws.sequences_of_step(c.seed, step, c.sequences_per_step, len(self.train.ids))

        def make(start: int, stop: int) -> Any:
            rngs = draws.of_sequences(c.seed, draws.CORRUPTION, step, stop - start, start)
            return self.objective.make_batch(*self.train.rows(chosen[start:stop]), rngs)

        if c.accumulate == 1:
            return make(0, len(chosen)), chosen
        return BatchInParts(make, (len(chosen), c.seq_len)), chosen

    def dropout(self, step: int) -> Any:
        """Return the sources of a step's dropout, fresh ones each time; None without dropout."""
        c = self.config
        if not c.dropout:
            return None

        def make(start: int, stop: int) -> list[np.random.Generator]:
            return draws.of_sequences(c.seed, draws.DROPOUT, step, stop - start, start)

        return make(0, c.sequences_per_step) if c.accumulate == 1 else GeneratorsInParts(make)

    def update(self, step: int, executor: Executor | None = None) -> StepMetrics:
        """Do step number `step`, counted from 0.

        Raises
        ------
        TrainingStopped
            If loss or gradient is not finite; the parameters are then those before the step.
        """
        batch, chosen = self.batch(step)
        total = gradient(
            self.model,
            self.objective,
            batch,
            self.lanes,
            generators=self.dropout(step),
            executor=executor,
            recompute=self.config.recompute,
        )
        grad = self.lanes[0].flat
        norm = clip_by_global_norm(grad, self.config.clip or math.inf, executor)
        if not (math.isfinite(total.loss) and math.isfinite(norm)):
            raise TrainingStopped(self.explain(step, batch, chosen, total.loss))
        lr = self.schedule(step)
        self.optimizer.step(grad, lr=lr, executor=executor)
        return StepMetrics(total.loss, total.accuracy, lr, norm)

    def explain(self, step: int, batch: Any, chosen: Array, loss: float) -> str:
        """Return one line on a loss or gradient that is not finite: step, first block, sequences."""
        what = f"the loss is {loss}" if not math.isfinite(loss) else "the gradient is not finite"
        found = find_not_finite(self.model, self.objective, batch, self.dropout(step))
        start, stop = found.sequences or (0, len(chosen))
        rows = ", ".join(map(str, chosen[start:stop].tolist()))
        return f"step {step + 1}: {what}; first not finite: {found.where}, training sequences {rows}"

    def require_finite_parameters(self, step: int) -> None:
        """Raise TrainingStopped if an update made a parameter infinite or NaN: nothing like it is saved."""
        for name, value in self.model.params.items():
            if not np.isfinite(value).all():
                raise TrainingStopped(f"step {step}: first not finite: parameter {name}, after the update")

    def state(self) -> tuple[dict[str, Array], dict[str, Array]]:
        """Return parameters and optimizer state for a checkpoint."""
        return dict(self.model.params), dict(self.optimizer.state_dict())

    def restore(self, params: Mapping[str, Array], optimizer: Mapping[str, Array]) -> None:
        """Go on from what `state` returned.

        Raises
        ------
        ValueError, TypeError
            If names, shapes or dtypes are not those of this run.
        """
        mine = self.model.params
        if set(params) != set(mine):
            raise ValueError(f"restore: params: other names, e.g. {sorted(set(params) ^ set(mine))[0]!r}")
        for name, value in params.items():
            if value.shape != mine[name].shape or value.dtype != mine[name].dtype:
                expected = f"{mine[name].shape} {mine[name].dtype}"
                raise ValueError(f"restore: {name}: expected {expected}, got {value.shape} {value.dtype}")
        self.optimizer.load_state_dict(optimizer)
        for name, value in params.items():
            mine[name][...] = value
