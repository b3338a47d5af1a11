"""How long a class takes to grade: 200 files, some right, some wrong in every way there is.

    python benchmarks/class_grading.py

Each file is graded in a process of its own, two at a time, with a limit of five seconds. Of 25 files one
never ends. The points are printed by kind, so that the figure is known to be that of real grading.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from npformer.teaching.exercises import EXERCISES, Exercise, grade_all, solution, start

KINDS = ("right", "stub", "wrong", "raising", "printing", "not Python", "right", "wrong")


def written(folder: Path, files: int) -> list[tuple[str, Path, int]]:
    """Write the submissions; return the kind, the path and the exercise of each."""
    found = []
    for i in range(files):
        which = i % len(EXERCISES)
        kind = "endless" if i % 25 == 24 else KINDS[(i + i // len(KINDS)) % len(KINDS)]
        place = folder / f"student_{i:03d}"
        (path, _), *_ = start([EXERCISES[which]], place)
        text = solution(EXERCISES[which])
        last = EXERCISES[which].functions[-1]
        spoilt = {
            "wrong": f"\n\n_of_{last} = {last}\n\n\ndef {last}(*a, **k):\n    out = _of_{last}(*a, **k)\n"
            "    return tuple(1.5 * x for x in out) if isinstance(out, tuple) else 1.5 * out\n",
            "raising": f"\n\ndef {last}(*a, **k):\n    raise ValueError('not finished')\n",
            "printing": "\n\nprint('x' * 10000)\n",
            "endless": f"\n\ndef {last}(*a, **k):\n    while True:\n        pass\n",
            "not Python": "\n\ndef (:\n",
            "right": "",
        }
        if kind != "stub":
            path.write_text(text + spoilt[kind], encoding="utf-8")
        found.append((kind, path, which))
    return found


def main() -> int:
    """Print the table; 1 if a right file lost points or a stub got some."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--files", type=int, default=200, help="submissions (default 200)")
    parser.add_argument("--workers", type=int, default=2, help="graded at a time (default 2)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        submissions = written(Path(folder), args.files)
        began = time.perf_counter()
        work: list[tuple[str | Path, Exercise]] = [(path, EXERCISES[which]) for _, path, which in submissions]
        grades = grade_all(work, workers=args.workers)
        took = time.perf_counter() - began
    shares: dict[str, list[float]] = defaultdict(list)
    for (kind, _, _), grade in zip(submissions, grades, strict=True):
        shares[kind].append(grade.score / grade.max_score)
    print("| kind | files | points, least | points, most |\n|---|---:|---:|---:|")
    for kind, of_kind in shares.items():
        print(f"| {kind} | {len(of_kind)} | {min(of_kind):.0%} | {max(of_kind):.0%} |")
    print(f"{args.files} files in {took:.0f} s, {args.workers} at a time")
    right = all(share == 1 for kind in ("right", "printing") for share in shares[kind])
    return 0 if right and not any(shares["stub"]) else 1


if __name__ == "__main__":
    sys.exit(main())
