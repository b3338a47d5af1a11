"""What test_ranks.py starts on every rank: a few updates of a run, or the command with something going wrong.

mpiexec -n N python over_mpi.py updates RUN OUT.npz [--shard] [--broken]
mpiexec -n N python over_mpi.py pretrain RUN [--raise-at STEP] [--poison-at STEP]    of rank 1
mpiexec -n N python over_mpi.py pretrain RUN [--wait-at RANK STEP]    for ever, so that it can be killed there
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from npformer.cli import main
from npformer.training import Ranks, Run, Trainer, mpi, open_run, start_ranks
from npformer.training import trainer as trainer_module
from npformer.training.ranks import plain


def updates(run: Run, ranks: Ranks, shard: bool = False) -> dict[str, Any]:
    """Return the first step's gradient, every loss, and the state at the end."""
    trainer = Trainer(replace(run.config, shard_optimizer=shard), run.tokenizer, run.train, ranks)
    trainer.start_from_text()
    assert run.config.steps is not None
    losses, norms, gradient = [], [], np.zeros(0)
    for step in range(run.config.steps):
        shown = trainer.update(step)
        losses.append(shown.loss)
        norms.append(shown.grad_norm)
        gradient = gradient if step else trainer.lanes[0].flat.copy()
    _, optimizer = trainer.state()
    mine = trainer.optimizer.m.nbytes  # type: ignore[union-attr]
    return {
        "gradient": gradient,
        "losses": losses,
        "norms": norms,
        "params": trainer.model.params.flat,
        "state_bytes": ranks.everyones(mine),
        "targets": ranks.everyones(plain(trainer.batch(0)[0].n_targets)),
        **{f"optimizer/{name}": value for name, value in optimizer.items()},
    }


def break_the_mean(ranks: Ranks) -> None:
    """Make every rank divide by its own targets, and the sum a mean over ranks: the classical mistake."""
    kind = type(ranks)
    reduce_scatter = kind.reduce_scatter

    def mean(self: Ranks, vector: Any) -> None:
        reduce_scatter(self, vector)
        vector /= self.size

    kind.reduce_scatter = mean  # type: ignore[method-assign]
    kind.sums = lambda self, *numbers: list(numbers)  # type: ignore[method-assign]


def something_goes_wrong(
    rank: int, raise_at: int | None, poison_at: int | None, wait_at: tuple[int, int]
) -> None:
    update = trainer_module.Trainer.update

    def wrong(self: Any, step: int, executor: Any = None) -> Any:
        if rank == 1 and step == raise_at:
            raise ZeroDivisionError("of one rank alone")
        if rank == 1 and step == poison_at:
            self.model.params["encoder.0.attention.query.weight"][0, 0] = np.nan
        if (rank, step) == wait_at:
            time.sleep(600)
        return update(self, step, executor)

    trainer_module.Trainer.update = wrong  # type: ignore[method-assign]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("updates", "pretrain"))
    parser.add_argument("run", type=Path)
    parser.add_argument("out", nargs="?")
    parser.add_argument("--shard", action="store_true")
    parser.add_argument("--broken", action="store_true")
    parser.add_argument("--raise-at", type=int)
    parser.add_argument("--poison-at", type=int)
    parser.add_argument("--wait-at", type=int, nargs=2, default=(-1, -1))
    args = parser.parse_args()
    if args.what == "updates":
        mpi.CHUNK = 300  # so that the vectors of a small model travel in several chunks, the last a short one
        with start_ranks() as ranks:
            if args.broken:
                break_the_mean(ranks)
            found = updates(open_run(args.run), ranks, args.shard)
            if ranks.rank == 0:
                np.savez(args.out, **found)
        sys.exit()
    rank = int(os.environ["PMI_RANK"])
    (args.run / f"pid-{rank}").write_text(str(os.getpid()))
    something_goes_wrong(rank, args.raise_at, args.poison_at, tuple(args.wait_at))
    sys.exit(main(["pretrain", "--resume", str(args.run), "--quiet", *(["--shard-optimizer"] * args.shard)]))
