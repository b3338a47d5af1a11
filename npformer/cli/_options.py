"""Options that several commands have, and the texts of a file that some have."""

from __future__ import annotations

import argparse
import sys
from pathlib import PurePath


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


def texts_of_lines(file: str) -> list[str]:
    """Return the lines of a file, a text each; say so where its name is that of a table."""
    from ..text.corpus import lines_of
    from ..text.labelled.formats import SUFFIXES

    texts = lines_of(file, "text")
    if PurePath(file).suffix.lower() in SUFFIXES:
        print(f"{file}: each whole line is read as a text, a header and labels, too", file=sys.stderr)
    return texts
