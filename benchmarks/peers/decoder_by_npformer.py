"""The steps of a run, timed beside a peer's, for language_model.py.

    python benchmarks/peers/decoder_by_npformer.py RUN

does as many steps as each line of standard input says and prints their seconds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from npformer._threads import available_cores
from npformer.training import Trainer, open_run
from npformer.training.trainer import workers

AS_MANY = 1_000_000  # steps: the rate is still rising, and a step takes what any other takes


def serve(step: Callable[[int], object]) -> None:
    """Do `step` of 0, 1, ... as often as each line of standard input says; print the seconds of each line."""
    done = 0
    for line in sys.stdin:
        start = time.perf_counter()
        for _ in range(int(line)):
            step(done)
            done += 1
        print(time.perf_counter() - start, flush=True)


def main() -> None:
    """Be timed."""
    run = open_run(sys.argv[1])
    trainer = Trainer(run.config.with_steps(AS_MANY), run.tokenizer, run.train)
    with workers(available_cores(), run.config.lanes) as executor:
        serve(lambda number: trainer.update(number, executor))


if __name__ == "__main__":
    main()
