"""`npformer verify [OP ...]`: the proof, as a table and an exit status."""

from __future__ import annotations

import argparse
import json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("ops", nargs="*", metavar="OP", help="some of those named below; default: all")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="draws the points (default 0)")
    parser.add_argument("-v", "--verbose", action="store_true", help="a line for every input and parameter")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")


def epilog() -> str:
    """Name what can be proved: the ops, the models, the objectives, what trains them."""
    from ..proof.verify import TARGETS

    return f"OP is one of {', '.join(TARGETS)}."


def run(args: argparse.Namespace) -> int:
    """Print the proof; 0 if everything passed, else 1."""
    from .._threads import available_cores
    from ..proof import table
    from ..proof.verify import verify

    processes = 1 if args.ops else available_cores()
    if args.json:
        report = verify(args.ops, args.seed, processes=processes)
        print(json.dumps(report.to_dict(), indent=1, allow_nan=False))
        return 0 if report.passed else 1
    printed = table.Printer(args.verbose)
    report = verify(args.ops, args.seed, printed, processes)
    print(table.conclusion(report))
    return 0 if report.passed else 1
