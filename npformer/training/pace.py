"""Minutes into steps: a short timing on a model of its own, of which nothing is left."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

from .config import RunConfig
from .prepare import Prepared
from .ranks import ALONE, Ranks
from .run import claimed, create_run, open_run
from .trainer import Trainer, workers

SHARE = 0.96  # of the minutes go to steps; the rest to looks at the held-out loss and to checkpoints


def seconds_per_step(
    prepared: Prepared, threads: int, seconds: float | None = None, ranks: Ranks = ALONE
) -> float:
    """Return the mean duration of a step: what many of them take together, where rows differ in length.

    Measured for about `seconds`; default: a hundredth of the minutes that are to be filled, 4 to 20 seconds.

    The measured model is thrown away, and nothing it drew is drawn from again: the run does not notice.
    All `ranks` call it; the clock is that of the first.
    """
    config = replace(prepared.config.with_steps(1_000_000), warmup=0.5)  # a rate near 0: all in the warm-up
    trainer = Trainer(config, prepared.tokenizer, prepared.train, ranks)
    if seconds is None:
        seconds = min(max(0.6 * (prepared.config.minutes or 0), 4.0), 20.0)
    durations = []
    with workers(threads, config.lanes) as executor:
        began = time.perf_counter()
        step = 0
        while ranks.tell(step < 5 or time.perf_counter() - began < seconds):
            start = time.perf_counter()
            trainer.update(step, executor)
            durations.append(time.perf_counter() - start)
            step += 1
    settled = durations[2:]  # the first are slower: memory is being found
    mean: float = ranks.tell(sum(settled) / len(settled))
    return mean


def settle_with_the_first(threads: int, ranks: Ranks) -> None:
    """Do what the ranks after the first have to do while the first is in `with_settled_steps`."""
    folder = ranks.tell(None)
    if folder is not None:
        run = open_run(folder)
        prepared = Prepared(run.config, run.tokenizer, run.train, run.held_out, [], [])
        seconds_per_step(prepared, threads, ranks=ranks)


def _timed_together(prepared: Prepared, threads: int, ranks: Ranks, folder: Path) -> float:
    """Return `seconds_per_step` of all ranks, which find the data in a run folder beside `folder`."""
    trial = folder.with_name(f".{folder.name}.timing.{os.getpid()}.tmp")
    try:
        create_run(trial, prepared._replace(config=prepared.config.with_steps(1_000_000)))
        with claimed(trial):
            ranks.tell(str(trial))
            return seconds_per_step(prepared, threads, ranks=ranks)
    finally:
        shutil.rmtree(trial, ignore_errors=True)


def with_settled_steps(
    prepared: Prepared, threads: int, ranks: Ranks = ALONE, folder: Path | None = None
) -> Prepared:
    """Return `prepared` with a number of steps, if need be the one that fills its minutes.

    With several `ranks`, the first calls this, with the `folder` that the run is going to have, and the
    others `settle_with_the_first`.
    """
    config: RunConfig = prepared.config
    steps = config.steps
    if steps is None:
        assert config.minutes is not None
        if folder is not None and ranks.size > 1:
            each = _timed_together(prepared, threads, ranks, folder)
        else:
            each = seconds_per_step(prepared, threads)
        steps = max(1, int(60 * SHARE * config.minutes / each))
    else:
        ranks.tell(None)
    return prepared._replace(config=config.with_steps(steps))
