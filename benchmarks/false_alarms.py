"""Does the referee ever fail a right gradient? 10,000 checks over every op, variant, seed and dtype.

    python benchmarks/false_alarms.py

The ops are npformer's own, at the points of `npformer verify` (masks, empty rows, ignored targets, dropout,
grouped heads, ...), with fresh numbers at each seed, in float64 and float32; every fourth seed also puts some
entries exactly at 0, where relu has its kink. An alarm is any verdict that does not pass; CANNOT_TELL is
counted apart, since it is no claim that something is wrong.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
import warnings
from collections import Counter
from typing import Any

import numpy as np

import npformer
from npformer import functional
from npformer.proof.cases import OPS, cases

DIFFERENTIABLE = [op for op in OPS if hasattr(functional, f"{op}_backward")]


def checked(task: tuple[str, int, int, str, bool]) -> list[tuple[str, str, str]]:
    """Check one variant of an op; return (verdict, input, words) for each input."""
    op, seed, variant, dtype, zeros = task
    case = cases(op, seed)[variant]
    inputs: dict[str, Any] = {
        **case.inputs,
        **{k: v for k, v in case.arguments.items() if k not in case.inputs},
    }
    rng = np.random.default_rng([seed, variant])
    for name in case.inputs:
        x = np.array(inputs[name], dtype)
        if zeros and name in ("x", "gate", "up", "queries", "input"):
            x[rng.random(x.shape) < 0.1] = 0
        inputs[name] = x
    if case.random is not None:
        inputs["rng"] = np.random.default_rng(seed)
    warnings.simplefilter("ignore")
    forward, backward = getattr(functional, op), getattr(functional, f"{op}_backward")
    with np.errstate(all="ignore"):
        report = npformer.check(
            forward, backward, inputs, op=op, wrt=list(case.inputs), rng=np.random.default_rng(seed)
        )
    found = [(r.verdict.name, r.name, "" if r.passed else str(r)) for r in report.results]
    kind = "passed" if report.passed else "cannot tell"
    for name, _, _ in found:
        if name not in ("OK", "KINK", "CANNOT_TELL") or (name == "KINK" and not report.passed):
            kind = "alarm"
    return [(kind, f"{op}, {case.variant}, {dtype}, seed {seed}{', zeros' if zeros else ''}", str(found))]


def main() -> int:
    """Print the table; 1 if there was an alarm, or more than 1 % of CANNOT_TELL."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--checks", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # of the processes
    variants = [(op, i) for op in DIFFERENTIABLE for i in range(len(cases(op, 0)))]
    tasks = []
    for n in range(args.checks):
        seed, (op, i) = n // len(variants), variants[n % len(variants)]
        tasks.append((op, seed, i, ("float64", "float32")[seed % 2], seed % 4 == 3))
    began = time.perf_counter()
    rows: dict[str, Counter[str]] = {op: Counter() for op in DIFFERENTIABLE}
    with multiprocessing.get_context("spawn").Pool(args.jobs) as pool:
        for ((kind, where, words),) in pool.imap_unordered(checked, tasks, chunksize=20):
            rows[where.split(",")[0]][kind] += 1
            if kind != "passed":
                print(f"{kind}: {where}: {words[:300]}", flush=True)
    columns = ("passed", "cannot tell", "alarm")
    print("| op | " + " | ".join(columns) + " |\n|---" + "|---:" * len(columns) + "|")
    for op, row in rows.items():
        print(f"| {op} | " + " | ".join(str(row[c]) for c in columns) + " |")
    total = sum(rows.values(), Counter())
    print("| all | " + " | ".join(str(total[c]) for c in columns) + " |")
    print(f"{time.perf_counter() - began:.0f} s")
    return 1 if total["alarm"] or total["cannot tell"] > 0.01 * args.checks else 0


if __name__ == "__main__":
    sys.exit(main())
