"""`npformer similar`: the lines of a file that are nearest to a text."""

from __future__ import annotations

import argparse
import json

from ._options import add_pooling, add_threads, texts_of_lines


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "run_folder", metavar="RUN", help="folder of an encoder's or a decoder's run, or of its model"
    )
    parser.add_argument("query", metavar="TEXT", help="what the lines are compared with")
    parser.add_argument("file", metavar="FILE", help="a text in each line; - for standard input")
    parser.add_argument("-k", type=int, default=5, metavar="N", help="how many lines (5)")
    add_pooling(parser)
    add_threads(parser, "the texts")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def run(args: argparse.Namespace) -> int:
    """Print the nearest lines with their cosines, the nearest first."""
    from ..training import embed, load_model, nearest

    if args.k < 1:
        raise ValueError(f"-k: expected at least 1, got {args.k}")
    if not args.query.strip():
        raise ValueError("TEXT: expected a text, got a blank one")
    texts = texts_of_lines(args.file)
    model, tokenizer = load_model(args.run_folder)
    how = {"pooling": args.pooling, "threads": args.threads}
    query, *vectors = embed(model, tokenizer, [args.query, *texts], **how)
    for place, cosine in nearest(query, vectors, args.k):
        if args.json:
            found = {"line": place + 1, "cosine": cosine, "text": texts[place]}
            print(json.dumps(found, ensure_ascii=False))
        else:
            print(f"{cosine:7.3f}  {texts[place]}")
    return 0
