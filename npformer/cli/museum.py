"""`npformer museum [N]`: the catalogue of wrong gradients, or one of them with the referee's report."""

from __future__ import annotations

import argparse
import json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "which", nargs="?", metavar="N", help="a number, an op, or op/name; default: the list"
    )
    parser.add_argument("--json", action="store_true", help="print JSON in place of text")
    parser.add_argument("--markdown", action="store_true", help="print every page, as docs/museum.md")


def run(args: argparse.Namespace) -> int:
    """Print the list, a page, or all pages."""
    from ..teaching.museum import EXHIBITS, INDEX, exhibit
    from ..teaching.museum.page import described, listing, markdown, page

    if args.markdown:
        print(markdown(), end="")
    elif args.which in INDEX:
        print(listing(args.which))
    elif args.which is not None:
        found = exhibit(args.which)
        print(json.dumps(described(found), indent=1) if args.json else page(found))
    elif args.json:
        print(json.dumps([described(found) for found in EXHIBITS], indent=1))
    else:
        print(listing())
    return 0
