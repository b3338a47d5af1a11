"""Which protocols of checking a gradient kill which mistakes: the whole catalogue, at three kinds of points.

    pip install torch autograd && python benchmarks/kill_table.py
    python benchmarks/kill_table.py --seeds 2 --short          every tenth mistake

The points: a generic one; at initialisation (gamma 1, beta and biases 0, weights, and the q, k, v that come
out of them, times 0.02); and a sequence of length 1. An op that has nothing of the kind is left out there. A
mistake that gives the right gradient at a point (to 1e-12 of its scale) is hidden there: no protocol can
catch it, and it is counted apart. A cell is the number of the other mistakes that a protocol catches at every
seed / at some / at none, and how many of its checks of right gradients fail. Anything raised is caught. All
of it takes ten minutes or more on two cores.
"""

from __future__ import annotations

import argparse
import functools
import json
import multiprocessing
import os
import statistics
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
from protocols import PROTOCOLS, REFEREE, Protocol, Student, report_of

from npformer.diagnosis import sample_inputs
from npformer.teaching.museum import EXHIBITS, exhibit, student
from npformer.teaching.museum.exhibits import EQUAL

HIDDEN = 1e-12
REFEREE_CONSTANTS = "complex step or 9-point stencil, 1e-12 or 1e-11 of the scale + its estimated error"
POINTS = ("generic", "initialisation", "T = 1")
SEQUENCES = {"layer_norm", "rms_norm", "embedding", "tied_embeddings", "rotary"}
SEQUENCES |= {"scaled_dot_product_attention", "multi_head_attention"}
SEQUENCES |= {"softcapped_attention", "query_key_norm_attention"}
Outcome = dict[str, Any]


def at_initialisation(point: Mapping[str, Any]) -> dict[str, Any]:
    """Return the point as an untrained model has it."""
    changed = dict(point)
    for name, x in point.items():
        if name.startswith("gamma"):
            changed[name] = np.ones_like(x)
        elif name in ("b", "beta") or name.startswith("b_"):
            changed[name] = np.zeros_like(x)
        elif name in ("w", "table", "q", "k", "v") or name.startswith("w_"):
            changed[name] = 0.02 * x
    return changed


def of_length_one(point: Mapping[str, Any]) -> dict[str, Any]:
    """Return the point with the first position of every sequence alone."""
    changed = dict(point)
    for name, x in point.items():
        if name in ("x", "q", "k", "v"):
            changed[name] = x[..., :1, :].copy()
        elif name == "ids":
            changed[name] = x[:, :1].copy()
        elif name == "mask":
            changed[name] = x[..., :1, :1].copy()
    return changed


def points(op: str, point: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the points that an op has, by their names."""
    found = {"generic": dict(point)}
    untrained = at_initialisation(point)
    if any(untrained[name] is not x for name, x in point.items()):
        found["initialisation"] = untrained
    if op in SEQUENCES:
        found["T = 1"] = of_length_one(point)
    return found


def hidden(wrong: Student, right: Student) -> bool:
    """Do both give the same gradients, up to rounding?"""
    try:
        given = wrong.gradients(wrong.cotangent)
    except Exception:
        return False
    exact = right.gradients(right.cotangent)
    largest = max(float(np.max(np.abs(n), initial=0.0)) for n in exact)
    for a, n in zip(given, exact, strict=True):
        scale = max(float(np.max(np.abs(n), initial=0.0)), 1e-3 * largest)
        if np.shape(a) != n.shape or not np.max(np.abs(a - n), initial=0.0) <= HIDDEN * scale:
            return False
    return True


def spots(at: Student) -> tuple[bool, list[tuple[str, str]]]:
    """Return whether the referee passes, and the blind spots it names."""
    report = report_of(at)
    return report.passed, [(spot.identifier, spot.input) for spot in report.blind_spots]


def judged(task: tuple[str, str, bool, int], protocols: tuple[Protocol, ...]) -> list[Outcome]:
    """Hold every protocol against one mistake (or against the right op) at one seed, at every point."""
    op, name, equal, seed = task
    forward, right = student(op)
    backward = exhibit(f"{op}/{name}").build()[1] if name else right
    found: list[Outcome] = []
    generic: list[tuple[str, str]] = []
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for where, point in points(op, sample_inputs(op, seed, equal)).items():
            at = Student(forward, backward, point, seed)
            row: Outcome = {"op": op, "name": name, "point": where, "seed": seed, "failed": {}, "calls": {}}
            row["hidden"] = bool(name) and hidden(at, Student(forward, right, point, seed))
            numbers: dict[Any, tuple[float, int]] = {}  # two protocols may read the same number
            for protocol in protocols:
                if protocol.number not in numbers:
                    at.calls = 0
                    try:
                        number = protocol.number(at)
                    except Exception:
                        number = float("nan")
                    numbers[protocol.number] = number, at.calls
                number, row["calls"][protocol.name] = numbers[protocol.number]
                row["failed"][protocol.name] = not number < protocol.limit
            at.calls = 0
            try:
                passed, named = spots(at)
            except Exception:
                passed, named = False, []
            row["failed"][REFEREE], row["calls"][REFEREE] = not passed, at.calls
            generic = named if where == POINTS[0] else generic
            row["spots"], row["new spots"] = named, [spot for spot in named if spot not in generic]
            found.append(row)
    return found


def main() -> int:
    """Print the table; 1 if the referee passes a mistake that shows, or fails a right gradient."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="of each mistake (default 20)")
    parser.add_argument("--short", action="store_true", help="every tenth mistake alone")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--misses", action="store_true", help="name what each protocol misses")
    parser.add_argument("--json", metavar="FILE", help="every single outcome")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # of the processes
    began = time.perf_counter()
    protocols = tuple(protocol for protocol in PROTOCOLS if not protocol.missing)
    for protocol in PROTOCOLS:
        if protocol.missing:
            print(f"left out: {protocol.name}: pip install {protocol.needs}")
    chosen = EXHIBITS[:: 10 if args.short else 1]
    mistakes = [(e.op, e.name, (e.op, e.name) in EQUAL) for e in chosen]
    rights = sorted({(op, "", equal) for op, _, equal in mistakes})
    tasks = [(*which, seed) for which in [*mistakes, *rights] for seed in range(args.seeds)]
    context = multiprocessing.get_context("spawn")  # a fork would not survive PyTorch's threads
    with context.Pool(args.jobs) as pool:
        work = pool.imap_unordered(functools.partial(judged, protocols=protocols), tasks, chunksize=8)
        outcomes = [row for rows in work for row in rows]
    outcomes.sort(key=lambda row: (row["op"], row["name"], row["seed"]))
    print(*table(outcomes, protocols), "", *legend(outcomes), sep="\n")
    if args.misses:
        print("", *misses(outcomes, protocols), sep="\n")
    print(f"\n{len(mistakes)} mistakes, {args.seeds} seeds, {time.perf_counter() - began:.0f} s")
    if args.json:
        with open(args.json, "w") as file:
            json.dump(outcomes, file)
    wrong = [row for row in outcomes if bool(row["name"]) != row["failed"][REFEREE] and not row["hidden"]]
    return 1 if wrong else 0


def table(outcomes: list[Outcome], protocols: tuple[Protocol, ...]) -> list[str]:
    """Return the lines of the Markdown table."""
    constants = {protocol.name: protocol.constants for protocol in protocols} | {REFEREE: REFEREE_CONSTANTS}
    heads, kinds = [], []
    for point in POINTS:
        rows = [row for row in outcomes if row["point"] == point and row["name"]]
        shown = {mistake(row) for row in rows if not row["hidden"]}
        unseen = {mistake(row) for row in rows} - shown
        heads += [f"{point}: {len(shown)} of {len(shown | unseen)} show", "false alarms"]
        kinds += ["---:", "---:"]
    lines = [row_of(["protocol", "constants", *heads, "forward calls"])]
    lines.append(row_of(["---", "---", *kinds, "---:"]))
    for name, said in constants.items():
        cells: list[str] = []
        for point in POINTS:
            always, sometimes, never = (len(found) for found in caught(outcomes, name, point))
            right = [row["failed"][name] for row in outcomes if row["point"] == point and not row["name"]]
            cells += [f"{always} / {sometimes} / {never}", f"{sum(right)} of {len(right)}"]
        generic = [row for row in outcomes if row["point"] == POINTS[0] and not row["name"]]
        calls = statistics.median(row["calls"][name] for row in generic)
        lines.append(row_of([name, said, *cells, f"{calls:.0f}"]))
    return lines


def row_of(cells: list[str]) -> str:
    """Return a row of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def mistake(row: Outcome) -> str:
    """Return op/name."""
    return f"{row['op']}/{row['name']}"


def caught(outcomes: list[Outcome], protocol: str, point: str) -> tuple[list[str], list[str], list[str]]:
    """Return the mistakes that a protocol catches at all seeds where they show, at some, at none."""
    failed: dict[str, list[bool]] = defaultdict(list)
    for row in outcomes:
        if row["name"] and row["point"] == point and not row["hidden"]:
            failed[mistake(row)].append(row["failed"][protocol])
    always = [name for name, found in failed.items() if all(found)]
    never = [name for name, found in failed.items() if not any(found)]
    return always, [name for name in failed if name not in always and name not in never], never


def legend(outcomes: list[Outcome]) -> list[str]:
    """Return in words what the referee says where there is nothing to see, and what it misses."""
    lines = [
        "A cell: mistakes caught at every seed where they show / at some / at none. False alarms: checks of",
        "right gradients that fail. Forward calls: median of a check of a right gradient, generic point.",
        "torch's engine itself sums a gradient that broadcasts against its input: not summed is right there.",
        "",
    ]
    for point in POINTS:
        rows = [row for row in outcomes if row["point"] == point and row["name"]]
        right = [row for row in outcomes if row["point"] == point and not row["name"]]
        unseen = [row for row in rows if row["hidden"]]
        told = [row for row in unseen if row["spots"]]
        new = [row for row in unseen if row["new spots"]]
        lines.append(
            f"{point}: {len(unseen)} checks of hidden mistakes; {REFEREE} names a blind spot in {len(told)} "
            f"(strict=True fails them), in {len(new)} one that the generic point has not. It names one in "
            f"{sum(bool(row['spots']) for row in right)} of {len(right)} checks of right gradients."
        )
        silent = sorted({mistake(row) for row in unseen if not row["spots"]})
        missed = [row for row in rows if not row["hidden"] and not row["failed"][REFEREE]]
        lines += [f"  hidden, and no blind spot named: {name}" for name in silent]
        lines += [f"  missed: {mistake(row)}, seed {row['seed']}, named: {row['spots']}" for row in missed]
    return lines


def misses(outcomes: list[Outcome], protocols: tuple[Protocol, ...]) -> list[str]:
    """Return the names of what each protocol misses."""
    lines = []
    for protocol in protocols:
        for point in POINTS:
            _, sometimes, never = caught(outcomes, protocol.name, point)
            for how, names in (("sometimes", sometimes), ("always", never)):
                if names:
                    told = ", ".join(names) if len(names) <= 30 else f"{len(names)} mistakes"
                    lines.append(f"{protocol.name}, {point}, {how} misses: {told}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
