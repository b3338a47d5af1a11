"""`npformer check FILE[:NAME]`: the referee on somebody's own forward and backward."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

SHOWN = 5  # lines of what their code prints at every call


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("file", metavar="FILE[:NAME]", help="NAME or NAME_forward, and NAME_backward")
    parser.add_argument("--op", metavar="OP", help="which op it is; default: NAME, or by its output")
    parser.add_argument(
        "--shapes",
        metavar="LIST",
        help="random inputs: x=3x4,ids=2x5:int7,m=3x4:bool, for the functions that take these",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="draws inputs and dout (default 0)")
    parser.add_argument("--strict", action="store_true", help="fail where the point could not show a mistake")
    parser.add_argument("--seconds", type=float, default=10.0, metavar="S", help="time limit (default 10)")
    parser.add_argument("--json", action="store_true", help="print JSON in place of text")
    parser.epilog = "A wrong forward may have right gradients: see npformer.gradcheck.properties."


def run(args: argparse.Namespace) -> int:
    """Print a report for each pair; 0 if all passed, 1 if not."""
    from ..diagnosis.samples import SIZES
    from ..teaching.child import run_child
    from ..teaching.points import inputs_of_shapes, op_of

    path, name = args.file, ""
    if not Path(path).exists() and ":" in path:
        path, _, name = path.rpartition(":")
    if not Path(path).is_file():
        raise ValueError(f"{path}: no such file")
    if args.seed < 0:
        raise ValueError(f"--seed: expected a number that is not negative, got {args.seed}")
    if args.shapes:
        inputs_of_shapes(args.shapes, args.seed)  # bad usage is told before anything runs
    if args.op and op_of(args.op) not in SIZES:
        raise ValueError(f"--op: expected one of {', '.join(SIZES)}, got {args.op!r}")
    request = {"file": str(Path(path).resolve()), "name": name}
    request |= {"op": args.op, "shapes": args.shapes, "seed": args.seed, "strict": args.strict}
    outcome = run_child("npformer.teaching.submission:check_file", request, seconds=args.seconds)
    checked = outcome.value or []
    for one in checked:
        if one.pop("open", False):
            between = "\n" if outcome.status == "raised" else ": "  # lines of theirs
            one["text"] = f"{one['name']}: {_words(outcome.status)}{between}{outcome.error}"
    if args.json:
        print(as_json(checked, outcome.status, outcome.error, outcome.stdout))
    else:
        for one in checked:
            print(f"{one['text']}\n")
        if outcome.stdout:
            lines = outcome.stdout.rstrip().splitlines()
            more = f"\n... {len(lines) - SHOWN} lines more" if len(lines) > SHOWN else ""
            print(f"{path} printed:\n" + "\n".join(lines[:SHOWN]) + more + "\n")
        if outcome.status != "done" and not checked:  # (else each of its functions says so)
            print(f"{path}: {_words(outcome.status)}\n{outcome.error}")
    if any(one.get("absent") for one in checked):
        return 2  # the name was wrong, not the gradient
    return 0 if checked and all(one["passed"] for one in checked) else 1


def as_json(checked: list[dict[str, Any]], status: str = "done", error: str = "", stdout: str = "") -> str:
    """Return what --json prints: how it went, and for each that was checked its report."""
    told = {"status": status, "error": error, "checked": checked, "stdout": stdout}
    return json.dumps(told, indent=1)


def _words(status: str) -> str:
    return {"raised": "its code raised an exception", "timeout": "it did not end", "died": "it ended early"}[
        status
    ]
