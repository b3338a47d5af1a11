"""`npformer museum [N]`: the catalogue of wrong gradients, or one of them with the referee's report."""

from __future__ import annotations

import argparse
import json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "which",
        nargs="?",
        metavar="N",
        help="a number, an op, op/name, or an optimizer (adam); default: the list",
    )
    parser.add_argument("--json", action="store_true", help="print JSON in place of text")
    parser.add_argument("--markdown", action="store_true", help="print every page, as docs/museum.md")


def run(args: argparse.Namespace) -> int:
    """Print the list, a page, or all pages."""
    from ..teaching.museum import EXHIBITS, INDEX, exhibit
    from ..teaching.museum.page import described, listing, listing_of_updates, markdown, page, updates

    if args.markdown:
        if args.which is not None or args.json:
            raise ValueError("--markdown: prints every page: leave out N and --json")
        print(markdown(), end="")
    elif args.which in INDEX:
        found = [described(e) for e in EXHIBITS if e.op == args.which]
        print(json.dumps(found, indent=1) if args.json else listing(args.which))
    elif args.which is not None and (wrong := updates(args.which)):
        print(json.dumps(wrong, indent=1) if args.json else listing_of_updates(args.which))
    elif args.which is not None:
        one = exhibit(args.which)
        print(json.dumps(described(one), indent=1) if args.json else page(one))
    elif args.json:
        print(json.dumps([described(e) for e in EXHIBITS], indent=1))
    else:
        print(f"{listing()}\n\n{listing_of_updates()}")
    return 0
