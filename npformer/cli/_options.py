"""Options that several commands have."""

from __future__ import annotations

import argparse


def add_threads(parser: argparse.ArgumentParser, work: str) -> None:
    """Add --threads: a number of at least 1, or None where it is not given."""
    what = f"threads to work on {work} (one a core)"
    parser.add_argument("--threads", type=at_least_one, metavar="N", help=what)


def at_least_one(given: str) -> int:
    """Return an option's number, or refuse it."""
    try:
        number = int(given)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a whole number, got {given!r}") from None
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, got {number}")
    return number


def add_pooling(parser: argparse.ArgumentParser) -> None:
    """Add --pooling, of `training.embed`."""
    parser.add_argument(
        "--pooling",
        default="mean",
        choices=("mean", "cls", "pooler", "last"),
        help="what stands for a text; of a decoder mean or last (mean)",
    )
