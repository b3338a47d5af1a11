"""Minutes into steps: a short timing on a model of its own, of which nothing is left."""

from __future__ import annotations

import time

from .config import RunConfig
from .prepare import Prepared
from .trainer import Trainer, workers

SHARE = 0.96  # of the minutes go to steps; the rest to looks at the held-out loss and to checkpoints


def seconds_per_step(prepared: Prepared, threads: int, seconds: float = 4.0) -> float:
    """Return the median duration of a step, measured for about `seconds`.

    The measured model is thrown away, and nothing it drew is drawn from again: the run does not notice.
    """
    config = prepared.config.with_steps(1_000_000)  # a rate near 0: all in the warm-up
    trainer = Trainer(config, prepared.tokenizer, prepared.train)
    durations = []
    with workers(threads, config.lanes) as executor:
        began = time.perf_counter()
        step = 0
        while step < 5 or (time.perf_counter() - began < seconds):
            start = time.perf_counter()
            trainer.update(step, executor)
            durations.append(time.perf_counter() - start)
            step += 1
    settled = sorted(durations[2:])  # the first are slower: memory is being found
    return settled[len(settled) // 2]


def with_settled_steps(prepared: Prepared, threads: int) -> Prepared:
    """Return `prepared` with a number of steps, if need be the one that fills its minutes."""
    config: RunConfig = prepared.config
    steps = config.steps
    if steps is None:
        assert config.minutes is not None
        steps = max(1, int(60 * SHARE * config.minutes / seconds_per_step(prepared, threads)))
    return prepared._replace(config=config.with_steps(steps))
