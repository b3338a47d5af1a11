"""Does the referee ever fail a right gradient? 10,000 checks over every op, variant, seed and dtype.

    python benchmarks/false_alarms.py

Two kinds of points, in turn, with fresh numbers at each seed, in float64 and float32:

- the ops of npformer.functional at the points of `npformer verify` (masks, empty rows, ignored targets,
  dropout, grouped heads, ...); every fourth seed puts some entries exactly at 0, where relu has its kink;
- the museum's right code of the same ops, which a student would write, with the size of every axis drawn from
  1 to 6.

An alarm is any verdict that does not pass; CANNOT_TELL is counted apart, since it is no claim that something
is wrong.
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
from npformer.diagnosis import sample_inputs
from npformer.diagnosis.samples import SIZES
from npformer.proof.cases import OPS, cases
from npformer.teaching.museum import INDEX, student

DIFFERENTIABLE = [op for op in OPS if hasattr(functional, f"{op}_backward")]


Task = tuple[str, int, int, str, bool]  # op, seed, variant or -1 for drawn sizes, dtype, zeros


def checked(task: Task) -> tuple[str, str, str, str]:
    """Check one op at one point; return what came of it, the op, where, and the findings."""
    op, seed, variant, dtype, zeros = task
    problem = at_drawn_sizes(op, seed, dtype) if variant < 0 else at_a_case(op, seed, variant, dtype, zeros)
    where, forward, backward, inputs, wrt = problem
    warnings.simplefilter("ignore")
    with np.errstate(all="ignore"):
        report = npformer.check(forward, backward, inputs, wrt=wrt, rng=np.random.default_rng(seed))
    kind = "passed" if report.passed else "cannot tell"
    if any(not r.passed and r.verdict.name != "CANNOT_TELL" for r in report.results):
        kind = "alarm"
    found = "; ".join(f"{r.name}: {r.verdict.name} {r.sentence}" for r in report.results if not r.passed)
    return kind, op, f"{where}, {dtype}, seed {seed}{', zeros' if zeros else ''}", found


def at_a_case(op: str, seed: int, variant: int, dtype: str, zeros: bool) -> tuple[Any, ...]:
    """The op of npformer.functional at a point of the proof."""
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
    forward, backward = getattr(functional, op), getattr(functional, f"{op}_backward")
    return case.variant, forward, backward, inputs, list(case.inputs)


def at_drawn_sizes(op: str, seed: int, dtype: str) -> tuple[Any, ...]:
    """A student's right code, at a point whose axes have any size from 1 to 6."""
    rng = np.random.default_rng([seed, len(op), 6])
    sizes = {axis: int(rng.integers(1, 7)) for axis in SIZES[op]}
    if "width" in sizes:
        sizes["width"] = 2 * int(rng.integers(1, 4))  # two heads
    inputs = sample_inputs(op, seed, sizes=sizes)
    inputs = {
        k: x.astype(dtype) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x
        for k, x in inputs.items()
    }
    forward, backward = student(op)
    return f"sizes {sizes}", forward, backward, list(inputs.values()), None


def main() -> int:
    """Print the table; 1 if there was an alarm, or more than 1 % of CANNOT_TELL."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--checks", type=int, default=10_000, help="how many (default 10000)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # of the processes
    points = [(op, i) for op in DIFFERENTIABLE for i in range(len(cases(op, 0)))]
    drawn = [(op, -1) for op in INDEX]
    tasks: list[Task] = []
    for n in range(args.checks):
        source = drawn if n % 2 else points
        seed, place = divmod(n // 2, len(source))
        zeros = seed % 4 == 3 and source is points
        op, variant = source[place]
        tasks.append((op, seed, variant, ("float64", "float32")[seed % 2], zeros))
    began = time.perf_counter()
    rows: dict[str, Counter[str]] = {op: Counter() for op in dict.fromkeys([*DIFFERENTIABLE, *INDEX])}
    with multiprocessing.get_context("spawn").Pool(args.jobs) as pool:
        for kind, op, where, found in pool.imap_unordered(checked, tasks, chunksize=20):
            rows[op][kind] += 1
            if kind != "passed":
                print(f"{kind}: {op}, {where}: {found[:300]}", flush=True)
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
