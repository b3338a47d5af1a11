"""`npformer vectors OP --seed N`: what it takes to test an implementation of an op in any language."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("op", metavar="OP", help="an op of npformer.functional")
    parser.add_argument(
        "--seed",
        type=int,
        metavar="N",
        help="draws the point (default 0; with --judge what the results say, else 0)",
    )
    parser.add_argument("--format", choices=("npz", "json"), help="default: by the name of FILE, else npz")
    parser.add_argument("--out", metavar="FILE", help="default: OP-seedN.npz; '-' prints JSON")
    parser.add_argument(
        "--judge",
        metavar="RESULTS",
        help="judge what a kernel computed from them: an .npz (or .json) with 0/gradients/x, ... for every "
        "case and input; 0/out and 0/intermediates/dS are judged, or used, where they are given",
    )
    parser.add_argument(
        "--dtype",
        choices=("float64", "float32"),
        help="at whose accuracy --judge judges (default: that of the gradients in an .npz)",
    )
    parser.add_argument(
        "--json", action="store_true", help="print what --judge finds in the form of npformer check --json"
    )


def run(args: argparse.Namespace) -> int:
    """Write the file and say where, or print JSON, or judge results."""
    if args.judge is not None:
        for option, given in (("--out", args.out), ("--format", args.format)):
            if given is not None:
                raise ValueError(f"{option}: for writing vectors: leave it out with --judge")

        from ..testing import check_vectors
        from .check import as_json

        report = check_vectors(args.op, args.judge, args.seed, args.dtype)
        print(as_json(report.checked()) if args.json else report)
        return 0 if report.passed else 1

    from ..proof.vectors import to_json, write_vectors

    if args.dtype is not None:
        raise ValueError("--dtype: for --judge alone; vectors are float64")
    if args.json:
        raise ValueError("--json: for --judge alone; --out - prints vectors as JSON")
    seed = args.seed or 0
    if args.out == "-":
        print(to_json(args.op, seed))
    else:
        print(write_vectors(args.op, seed, format=args.format, path=args.out))
    return 0
