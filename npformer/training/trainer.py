"""The state of a training run in memory, and the update that moves it on by a step."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._allocator import keep_freed_memory
from .._threads import one_blas_thread
from ..objectives import Metrics
from ..optim import clip_by_global_norm, global_norm
from ..text import Packed, Tokenizer
from . import draws
from .config import RunConfig, build_model, build_objective, build_optimizer, build_schedule
from .diagnosis import find_not_finite
from .initial import TOKENS, embed_text
from .parts import BatchInParts, GeneratorsInParts
from .ranks import ALONE, Ranks, plain, sum_of
from .step import gradient

Array = npt.NDArray[Any]


class TrainingStopped(RuntimeError):
    """Training could not go on; the message is one line that says why and what is left."""


class StepMetrics(NamedTuple):
    """What one step showed, before its update."""

    loss: float  # nats per target, of all parts
    accuracy: float
    lr: float
    grad_norm: float  # before clipping
    of_parts: dict[str, float]  # loss and accuracy of each part of an objective that has several


@contextlib.contextmanager
def workers(threads: int, lanes: int) -> Iterator[Executor | None]:
    """Yield an executor for the lanes, None where one thread is enough; hold BLAS at one thread meanwhile."""
    threads = min(threads, lanes)
    keep_freed_memory()
    with one_blas_thread() as held:
        if threads <= 1 or not held:
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
    tokenizer : WordPieceTokenizer or CharacterTokenizer
    train : Packed
    ranks : Ranks, optional
        The processes that share the run. Methods marked "of all ranks" are called by all of them alike.

    Attributes
    ----------
    model : Encoder, Decoder or EncoderDecoder
    objective : MaskedLM, or the task's own

    Raises
    ------
    ValueError
        If a step has fewer sequences than there are ranks.
    """

    def __init__(self, config: RunConfig, tokenizer: Tokenizer, train: Packed, ranks: Ranks = ALONE) -> None:
        ranks.require_sequences(config.sequences_per_step)
        self.config, self.train, self.ranks = config, train, ranks
        self.model = build_model(config, tokenizer.vocab_size)
        self.objective = build_objective(config, tokenizer)
        self.rows_of_step = config.task.order(config, train)
        n = self.model.params.flat.size
        self.part = slice(*ranks.share(n))  # of the flat vectors: where this rank sums the gradient
        updated = self.part if config.shard_optimizer else slice(0, n)
        self.optimizer = build_optimizer(config, self.model, updated.start, updated.stop)
        self.schedule = build_schedule(config)
        self.lanes = [self.model.params.zeros_like() for _ in range(config.lanes)]

    def start_from_text(self) -> None:
        """Give a new run's token embeddings what its text says about them, if asked to; of all ranks."""
        if self.config.embedding_init == "cooccurrence":
            if self.ranks.rank == 0:  # which alone reads all of the text
                embed_text(self.config, self.train, self.model.params[TOKENS])
            self.ranks.broadcast(self.model.params.flat)

    def start_from(self, initial: Mapping[str, Array]) -> None:
        """Give a new run the weights of an earlier one, by the names of its parameters."""
        for name, value in initial.items():
            self.model.params[name] = value

    def batch(self, step: int) -> tuple[Any, Array]:
        """Return this rank's share of a step's batch, and which sequences of the data it has.

        With ``accumulate`` above 1 the batch is a `BatchInParts`.
        """
        c = self.config
        first, stop = self.ranks.share(c.sequences_per_step)
        chosen = self.rows_of_step(step)[first:stop]

        def generators(places: Array) -> list[np.random.Generator]:
            return [draws.generator(c.seed, draws.CORRUPTION, step, first + i) for i in places.tolist()]

        make, shape = c.task.batch(c, self.objective, self.train, chosen, generators)
        whole = c.accumulate == 1
        return (make(np.arange(len(chosen))) if whole else BatchInParts(make, shape)), chosen

    def dropout(self, step: int) -> Any:
        """Return the sources of a step's dropout for this rank's share, fresh ones each time; or None."""
        c = self.config
        if not c.dropout:
            return None
        first, stop = self.ranks.share(c.sequences_per_step)

        if c.accumulate == 1:
            return draws.of_sequences(c.seed, draws.DROPOUT, step, stop, first)
        return GeneratorsInParts(lambda i: draws.generator(c.seed, draws.DROPOUT, step, first + i))

    def update(self, step: int, executor: Executor | None = None) -> StepMetrics:
        """Do step number `step`, counted from 0; of all ranks.

        Raises
        ------
        TrainingStopped
            If loss or gradient is not finite; the parameters are then those before the step.
        """
        batch, chosen = self.batch(step)
        (n_targets,) = self.ranks.sums(batch.n_targets)
        own = gradient(
            self.model,
            self.objective,
            batch,
            self.lanes,
            generators=self.dropout(step),
            executor=executor,
            recompute=self.config.recompute,
            normalizer=n_targets,
            ranks=self.ranks,
        )
        grad = self.lanes[0].flat
        self.ranks.reduce_scatter(grad)  # the whole batch's in `part`, and beside it nothing of use
        part = grad[self.part]
        mine = [plain(own.loss_sum), plain(own.n_correct), global_norm(part, executor)]
        shown = self.ranks.everyones(mine)
        losses, corrects, norms = zip(*shown, strict=True)
        total, norm = Metrics(sum_of(losses), sum_of(corrects), n_targets), math.hypot(*norms)
        if not (math.isfinite(total.loss) and math.isfinite(norm)):
            raise TrainingStopped(self.explain(step, batch, chosen, total.loss))
        clip_by_global_norm(part, self.config.clip or math.inf, executor, norm=norm)
        lr = self.schedule(step)
        if self.config.shard_optimizer:
            self.optimizer.step(part, lr=lr, executor=executor)
            self.ranks.all_gather(self.model.params.flat)
        else:
            self.ranks.all_gather(grad)
            self.optimizer.step(grad, lr=lr, executor=executor)
        of_parts = total.of_parts(getattr(self.objective, "parts", ()))
        return StepMetrics(total.loss, total.accuracy, lr, norm, of_parts)

    def explain(self, step: int, batch: Any, chosen: Array, loss: float) -> str:
        """Return one line on what is not finite: step, first block, sequences; of all ranks."""
        what = f"the loss is {loss}" if not math.isfinite(loss) else "the gradient is not finite"
        found = find_not_finite(self.model, self.objective, batch, self.dropout(step))
        start, stop = found.sequences or (0, len(chosen))
        seen = [bool(found.sequences), found.where, chosen[start:stop].tolist()]
        # The first rank whose share shows it; where none does, it is in what all of them add up to.
        reports = self.ranks.everyones(seen)
        reports = [report for report in reports if report[0]][:1] or reports
        rows = ", ".join(str(row) for report in reports for row in report[2])
        return f"step {step + 1}: {what}; first not finite: {reports[0][1]}, training sequences {rows}"

    def require_finite_parameters(self, step: int) -> None:
        """Raise TrainingStopped if an update made a parameter infinite or NaN: nothing like it is saved."""
        for name, value in self.model.params.items():
            if not np.isfinite(value).all():
                raise TrainingStopped(f"step {step}: first not finite: parameter {name}, after the update")

    def state(self) -> tuple[dict[str, Array], dict[str, Array]]:
        """Return parameters and, whole on rank 0, the optimizer's state for a checkpoint; of all ranks."""
        optimizer = dict(self.optimizer.state_dict())
        if self.config.shard_optimizer:
            n = self.model.params.flat.size
            optimizer = {k: self.ranks.gather(x, n) if x.ndim else x for k, x in optimizer.items()}
        return dict(self.model.params), optimizer

    def restore(self, params: Mapping[str, Array], optimizer: Mapping[str, Array]) -> None:
        """Go on from what `state` returned on rank 0, with any number of ranks.

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
        if self.config.shard_optimizer:  # what has another size is refused by the next line
            whole = mine.flat.shape
            optimizer = {k: x[self.part] if x.shape == whole else x for k, x in optimizer.items()}
        self.optimizer.load_state_dict(optimizer)
        for name, value in params.items():
            mine[name][...] = value
