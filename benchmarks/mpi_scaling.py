"""How much faster a training step is on two ranks than on one, over MPI, at one thread each.

    python benchmarks/mpi_scaling.py [--sizes base|mini|tiny] [--ranks 1 2] [--rounds 7] [--json]

Strong scaling: the batch stays the same and is cut into shares. The runs are interleaved: each round starts
every number of ranks once, for a few steps after a warm-up, and the table has the medians of all steps.
Efficiency is the time on one rank over the time on R, divided by R. The losses of all are compared, so that
they provably do the same work. The exchange is the reduce-scatter and the all-gather; "sharded" keeps the
optimizer's state in parts.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "peers"))
THREADS = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
WARM_UP = 2


def rank(sizes: str, steps: int, shard: bool, out: str) -> None:
    """Do `steps` steps as one of the ranks; the first writes what it measured."""
    import numpy as np
    import workload
    from by_npformer import Peer

    from npformer.objectives import MaskedLMBatch, Metrics
    from npformer.optim import AdamW, clip_by_global_norm, global_norm, make_segments, segments_within
    from npformer.training import start_ranks
    from npformer.training.step import gradient

    s = workload.SIZES[sizes]
    with start_ranks() as ranks:
        peer = Peer(s, 1, 0.0)
        flat = peer.model.params.flat
        start, stop = ranks.share(flat.size)
        if shard:
            segments = make_segments(
                peer.model.params.layout, decay=workload.decays, weight_decay=workload.WEIGHT_DECAY
            )
            own = segments_within(segments, start, stop)
            peer.optimizer = AdamW(flat[start:stop], lr=workload.LR, betas=workload.BETAS, segments=own)
        a, b = ranks.share(s.B)
        rows: list[tuple[float, float, float]] = []
        for step in range(WARM_UP + steps):
            whole = workload.make_batch(s, step)
            mask = np.ones(whole.ids.shape, dtype=bool)
            share = MaskedLMBatch(whole.ids, mask, whole.segment_ids, whole.at, whole.targets).rows(a, b)
            ranks.everyones(None)  # all begin together
            began = time.perf_counter()
            (n_targets,) = ranks.sums(share.n_targets)
            metrics = gradient(peer.model, peer.objective, share, peer.lanes, normalizer=n_targets)
            ranks.everyones(None)  # so that waiting for the slower rank is not counted as sending
            grad, sending = peer.lanes[0].flat, time.perf_counter()
            ranks.reduce_scatter(grad)
            exchanged = time.perf_counter() - sending
            part = grad[start:stop]
            shown = ranks.everyones([metrics.loss_sum, metrics.n_correct, global_norm(part)])
            losses, corrects, norms = zip(*shown, strict=True)
            clip_by_global_norm(part, workload.MAX_NORM, norm=math.hypot(*norms))
            if shard:
                peer.optimizer.step(part)
            sending = time.perf_counter()
            ranks.all_gather(flat if shard else grad)
            exchanged += time.perf_counter() - sending
            if not shard:
                peer.optimizer.step(grad)
            seconds = time.perf_counter() - began
            rows.append((seconds, exchanged, Metrics(sum(losses), sum(corrects), n_targets).loss))
        if ranks.rank == 0:
            state = peer.optimizer.m.nbytes + peer.optimizer.v.nbytes
            values = {"rows": rows[WARM_UP:], "state": state, "parameters": flat.size, "bytes": flat.nbytes}
            Path(out).write_text(json.dumps(values), encoding="utf-8")


def launcher() -> str:
    """Return mpiexec, or leave with a line that says what is missing."""
    try:
        import mpi4py  # noqa: F401
    except ImportError:
        raise SystemExit("mpi_scaling: mpi4py is missing: pip install '.[mpi]'") from None
    beside = Path(sys.executable).with_name("mpiexec")
    found = str(beside) if beside.exists() else shutil.which("mpiexec")
    if found is None:
        raise SystemExit("mpi_scaling: mpiexec is missing: pip install '.[mpi]'")
    return found


def measure(sizes: str, kinds: list[tuple[int, bool]], rounds: int, steps: int) -> dict[Any, Any]:
    """Start every kind once a round; return what each gave, all rounds together."""
    mpiexec = launcher()
    paths = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, **THREADS, "PYTHONPATH": paths}
    found: dict[Any, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder, "out.json"))
        for _ in range(rounds):
            for n, shard in kinds:
                command = [mpiexec, "-n", str(n), sys.executable, __file__, "--rank", out]
                command += ["--sizes", sizes, "--steps", str(steps), *(["--shard"] if shard else [])]
                subprocess.run(command, env=environment, check=True)
                values = json.loads(Path(out).read_text(encoding="utf-8"))
                found.setdefault((n, shard), {**values, "rows": []})["rows"] += values["rows"]
    return found


def main() -> int:
    """Measure and print; 1 if the runs did not do the same work."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sizes", default="base", choices=("base", "mini", "tiny"), help="default base")
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2], help="default 1 2")
    parser.add_argument("--rounds", type=int, default=7, help="starts of each kind (default 7)")
    parser.add_argument("--steps", type=int, default=5, help="timed steps of each run in a round (default 5)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--rank", metavar="OUT", help=argparse.SUPPRESS)
    parser.add_argument("--shard", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if min(args.rounds, args.steps, *args.ranks) < 1:
        parser.error("--ranks, --rounds and --steps take numbers from 1 on")
    if args.rank:
        rank(args.sizes, args.steps, args.shard, args.rank)
        return 0

    kinds = [(n, shard) for n in args.ranks for shard in ((False, True) if n > 1 else (False,))]
    found = measure(args.sizes, kinds, args.rounds, args.steps)
    one = statistics.median(row[0] for row in found[kinds[0]]["rows"]) * kinds[0][0]
    table = []
    for (n, shard), values in found.items():
        seconds, exchanged, losses = zip(*values["rows"], strict=True)
        median = statistics.median(seconds)
        table.append(
            {
                "ranks": n,
                "sharded": shard,
                "median_ms": 1e3 * median,
                "fastest_ms": 1e3 * min(seconds),
                "efficiency": one / (n * median),
                "exchange_ms": 1e3 * statistics.median(exchanged),
                "sent_mb": 2 * (n - 1) / n * values["bytes"] / 1e6,
                "state_mb": values["state"] / 1e6,
                "last_loss": losses[args.steps - 1],
            }
        )
    losses = [row["last_loss"] for row in table]
    same = max(losses) - min(losses) <= 1e-4 * abs(losses[0])
    if args.json:
        about = {"sizes": args.sizes, "rounds": args.rounds, "steps": args.steps, "cores": os.cpu_count()}
        print(json.dumps({**about, "same_work": same, "rows": table}, indent=2))
    else:
        columns = ["ranks", "optimizer", "median, ms", "fastest, ms", "efficiency", "exchange, ms"]
        columns += ["sent by a rank, MB", "optimizer's state, MB", "last loss"]
        print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
        for row in table:
            kind = "sharded" if row["sharded"] else "whole"
            print(
                f"| {row['ranks']} | {kind} | {row['median_ms']:.0f} | {row['fastest_ms']:.0f} "
                f"| {row['efficiency']:.2f} | {row['exchange_ms']:.1f} | {row['sent_mb']:.1f} "
                f"| {row['state_mb']:.1f} | {row['last_loss']:.6f} |"
            )
        cores = f"{os.cpu_count()} cores, one thread a rank"
        print(f"\n{args.sizes}: {args.rounds} interleaved rounds of {args.steps} steps, {cores}.")
    if not same:
        print("the runs did not do the same work: their losses differ")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
