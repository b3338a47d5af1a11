"""How often the referee catches and names the catalogue's mistakes, alone and in pairs.

    python benchmarks/naming.py                    every exhibit at 20 seeds, every pair at one
    python benchmarks/naming.py --seeds 2 --pair-seeds 0 --op softmax

A mistake is named if the first hypotheses of all failed inputs say its name and no other. A pair counts where
each of its two mistakes changes the gradient that the other leaves: one that hides the other is one mistake.
What is not named is of three kinds:

    other name  a name, or half of the pair, that gives exactly the same numbers
    unknown     no explanation is claimed
    misnamed    a name that does not give the numbers, or not all of them
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
import warnings
from collections import Counter
from typing import Any

import numpy as np

import npformer
from npformer.diagnosis import sample_inputs
from npformer.teaching.museum import EXHIBITS, INDEX, Exhibit, student
from npformer.teaching.museum.exhibits import EQUAL

KINDS = ("other name", "unknown", "misnamed")


def singles(op: str, seeds: range) -> dict[str, Any]:
    """Check every exhibit of an op alone, and the right op."""
    forward, backward = student(op)
    found: Counter[str] = Counter()
    found["false alarms"] = sum(
        not npformer.check(forward, backward, sample_inputs(op, s)).passed for s in seeds
    )
    misnamed = []
    for exhibit in (e for e in EXHIBITS if e.op == op):
        forward, wrong = exhibit.build()
        for seed in seeds:
            report = npformer.check(forward, wrong, exhibit.point(seed))
            found["checks"] += 1
            found["caught"] += not report.passed
            found["named"] += report.names == {exhibit.name}
            if report.names != {exhibit.name}:
                found[_kind(report)] += 1
                misnamed.append([f"{op}/{exhibit.name}", seed, sorted(report.names)])
    return {**found, "otherwise": misnamed}


def pairs(op: str, seeds: range) -> dict[str, Any]:
    """Check every two exhibits of an op together."""
    found: Counter[str] = Counter()
    misnamed = []
    for one, other in itertools.combinations([e for e in EXHIBITS if e.op == op], 2):
        both = one.combine(other)
        for seed in seeds if both else ():
            at = (one if (op, one.name) in EQUAL else other).point(seed)
            report = npformer.check(*both, at)
            if any(_same(report, npformer.check(*alone.build(), at)) for alone in (one, other)):
                found["hidden"] += 1
                continue
            found["checks"] += 1
            found["caught"] += not report.passed
            found["named"] += report.names == {one.name, other.name}
            if report.names != {one.name, other.name}:
                found[_kind(report)] += 1
                misnamed.append([_name(one, other), seed, sorted(report.names)])
    return {**found, "otherwise": misnamed}


def _kind(report: npformer.gradcheck.Report) -> str:
    """What a report is that does not say the name: "other name", "unknown" or "misnamed"."""
    first = [r.hypotheses[0] for r in report.results if not r.passed and r.hypotheses]
    if not first or all(h.identifier == "unknown" or h.identifier.startswith("wrong-") for h in first):
        return "unknown"
    return "other name" if all(h.share >= 0.999999 for h in first) else "misnamed"


def _name(one: Exhibit, other: Exhibit) -> str:
    return f"{one.op}/{one.name} + {other.name}"


def _same(report: npformer.gradcheck.Report, other: npformer.gradcheck.Report) -> bool:
    """Do two backwards return the same gradients, up to rounding?"""
    for mine, theirs in zip(report.results, other.results, strict=True):
        a, b = mine.given, theirs.given
        if a is None or b is None or a.shape != b.shape:
            return False
        if not np.allclose(a, b, rtol=1e-9, atol=1e-12, equal_nan=True):
            return False
    return True


def main() -> int:
    """Print the table; 1 if a mistake was passed or a right op failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="of each mistake (default 20)")
    parser.add_argument("--pair-seeds", type=int, default=1, help="of each pair; 0: no pairs (default 1)")
    parser.add_argument("--op", choices=list(INDEX), help="one op alone")
    parser.add_argument("--json", metavar="FILE", help="the counts of each op")
    args = parser.parse_args()
    warnings.simplefilter("ignore", RuntimeWarning)  # 0 / 0 is one of the mistakes
    began = time.perf_counter()
    rows = {}
    alone = ("op", "mistakes", "caught", "named", *KINDS)
    header = (*alone, "pairs", "caught", "named", *KINDS, "hidden", "false alarms")
    print("| " + " | ".join(header) + " |\n|---" + "|---:" * (len(header) - 1) + "|")
    for op in [args.op] if args.op else INDEX:
        one, two = singles(op, range(args.seeds)), pairs(op, range(args.pair_seeds))
        rows[op] = {"singles": one, "pairs": two}
        print(_row(op, one, two), flush=True)
    total = {k: _added([row[k] for row in rows.values()]) for k in ("singles", "pairs")}
    print(_row("all", total["singles"], total["pairs"]))
    for row in rows.values():
        for name, seed, said in [*row["singles"]["otherwise"], *row["pairs"]["otherwise"]]:
            print(f"named otherwise: {name} at seed {seed}: {', '.join(said) or 'nothing'}")
    print(f"{args.seeds} seeds, pairs at {args.pair_seeds}, {time.perf_counter() - began:.0f} s")
    if args.json:
        with open(args.json, "w") as file:
            json.dump(rows, file, indent=1)
    passed = all(part["checks"] == part["caught"] for part in total.values())
    return 0 if passed and not total["singles"]["false alarms"] else 1


def _added(parts: list[dict[str, Any]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for part in parts:
        total.update({key: n for key, n in part.items() if isinstance(n, int)})
    return total


def _row(op: str, one: Any, two: Any) -> str:
    def share(of: Any, key: str) -> str:
        return f"{of[key] / of['checks']:.1%}" if of.get("checks") else "-"

    cells = [op]
    for part in (one, two):
        cells += [part.get("checks", 0), share(part, "caught"), share(part, "named")]
        cells += [part.get(kind, 0) for kind in KINDS]
    cells += [two.get("hidden", 0), one["false alarms"]]
    return "| " + " | ".join(map(str, cells)) + " |"


if __name__ == "__main__":
    sys.exit(main())
