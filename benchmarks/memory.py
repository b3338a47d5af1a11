"""A training step's memory: what `models.training_memory` predicts against the measured peak.

    python benchmarks/memory.py
    python benchmarks/memory.py --sizes tiny --json
    python benchmarks/memory.py --accumulation

The peak is tracemalloc's, of two steps, the model included: every array of NumPy's, and not the interpreter
or its libraries. Each size runs in a process of its own. Two lanes work on two threads; where their worst
moments do not fall together, the prediction is above the peak. --accumulation is another table: the peak and
the time of an update from 16, 256 and 4,096 sequences, once with all of them as --batch-size, once with 16
and --accumulate; of the tiny recipe with dropout, beside parameters, gradients and the optimizer's state.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "peers"), str(HERE.parent)]

from by_npformer import config_of  # noqa: E402
from workload import RATE, SIZES, make_batch  # noqa: E402

from npformer._threads import one_blas_thread  # noqa: E402
from npformer.models import Encoder, training_memory  # noqa: E402
from npformer.objectives import MaskedLM, MaskedLMBatch  # noqa: E402
from npformer.optim import AdamW, clip_by_global_norm  # noqa: E402
from npformer.text import Document  # noqa: E402
from npformer.training import Trainer, draws, prepare, preset  # noqa: E402
from npformer.training.step import cut, gradient, micro_batches, tokens_at_once  # noqa: E402

LANES = 2


def measure(name: str, dropout: float, recompute: bool) -> dict[str, Any]:
    """Return the predicted parts and the measured peak of one step, in bytes."""
    s = SIZES[name]
    config = config_of(s, dropout)
    ids, segment_ids, at, targets, _ = make_batch(s, 0)
    batch = MaskedLMBatch(ids, np.ones(ids.shape, dtype=bool), segment_ids, at, targets)
    pieces = [piece for a, b in cut(s.B, LANES) for piece in micro_batches(a, b, s.T, tokens_at_once(s.d))]
    n = max(batch.rows(a, b).n_targets for a, b in pieces)
    rows = max(b - a for a, b in pieces)
    predicted = training_memory(config, rows, s.T, n, lanes=LANES, recompute=recompute)

    objective = MaskedLM(s.V, mask_id=s.V - 1, special_ids=[s.V - 1], rate=RATE)
    tracemalloc.start()
    model = Encoder(config, dtype=np.float32)
    lanes = [model.params.zeros_like() for _ in range(LANES)]
    optimizer = AdamW(model.params.flat, 1e-3)
    tracemalloc.reset_peak()
    with one_blas_thread(), ThreadPoolExecutor(LANES) as executor:
        for step in range(2):
            rngs = draws.of_sequences(0, draws.DROPOUT, step, s.B) if dropout else None
            gradient(
                model, objective, batch, lanes, generators=rngs, executor=executor, recompute=recompute
            )
            clip_by_global_norm(lanes[0].flat, 1.0)
            optimizer.step(lanes[0].flat)
    peak = tracemalloc.get_traced_memory()[1]
    return {
        "size": name,
        "dropout": dropout,
        "recompute": recompute,
        "fixed": predicted.parameters + predicted.gradients + predicted.moments,
        "kept": LANES * predicted.activations,
        "temporary": LANES * predicted.worst.bytes,
        "moment": predicted.worst.moment,
        "predicted": predicted.total,
        "measured": peak,
    }


def in_a_child(*work: Any) -> dict[str, Any]:
    """Run `measure` in a process of its own."""
    command = [sys.executable, str(Path(__file__).resolve()), "--measure", json.dumps(work)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"memory: {work}: {done.stderr.strip().splitlines()[-1]}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def accumulation(counts: Sequence[int] = (16, 256, 4096)) -> None:
    """Print a table of the peak and the time of an update, whole and accumulated, by the sequences in it."""
    text = "".join(f"line {i} of {i * i % 997} and {i % 13} more words.\n" for i in range(4000))
    print("| sequences | --batch-size, MB | --accumulate, MB | --batch-size, ms | --accumulate, ms |")
    print("|---|---|---|---|---|")
    for n in counts:
        sizes, times = [], []
        for batch, times_over in ((n, 1), (16, n // 16)):
            config = preset("tiny", steps=10, batch_size=batch, accumulate=times_over, dropout=0.1)
            prepared = prepare([Document("text", text)], config)
            trainer = Trainer(config, prepared.tokenizer, prepared.train)
            trainer.update(0)
            tracemalloc.start()
            trainer.update(1)
            sizes.append(tracemalloc.get_traced_memory()[1] / 1e6)  # beside parameters, lanes, moments
            tracemalloc.stop()
            began = time.perf_counter()
            trainer.update(2)
            times.append(1e3 * (time.perf_counter() - began))
        cells = [f"{n:,}", *(f"{x:.1f}" for x in sizes), *(f"{x:.0f}" for x in times)]
        print("| " + " | ".join(cells) + " |")


def main() -> None:
    """Print a table of the sizes, with and without recomputation."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES), help="default: all")
    parser.add_argument("--dropout", type=float, default=0.0, help="probability of it (default 0)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--accumulation", action="store_true", help="the other table")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(*json.loads(args.measure))))
        return
    if args.accumulation:
        with one_blas_thread():
            accumulation()
        return
    found = [in_a_child(size, args.dropout, again) for size in args.sizes for again in (False, True)]
    if args.json:
        print(json.dumps(found, indent=2))
        return
    columns = ("step", "fixed, MB", "kept, MB", "temporary, MB", "at the worst moment", "predicted, MB")
    print("| " + " | ".join((*columns, "peak, MB", "ratio")) + " |")
    print("|---|---|---|---|---|---|---|---|")
    for row in found:
        name = row["size"] + (", recomputing" if row["recompute"] else "")
        sizes = [f"{row[part] / 1e6:.1f}" for part in ("fixed", "kept", "temporary")]
        ends = [f"{row[part] / 1e6:.1f}" for part in ("predicted", "measured")]
        ratio = f"{row['predicted'] / row['measured']:.2f}"
        print("| " + " | ".join([name, *sizes, row["moment"], *ends, ratio]) + " |")


if __name__ == "__main__":
    main()
