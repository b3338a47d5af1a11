"""`npformer fill`: what a trained model would put in the place of [MASK]."""

from __future__ import annotations

import argparse
import json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("run_folder", metavar="RUN", help="folder of a finished run, or of a model")
    parser.add_argument(
        "text", nargs="*", metavar="TEXT", help="text with [MASK]; none, or -: lines from standard input"
    )
    parser.add_argument("-k", type=int, default=5, metavar="N", help="predictions for each mask (5)")
    parser.add_argument("--json", action="store_true", help="print one JSON object a text")


def run(args: argparse.Namespace) -> int:
    """Print the predictions of each text."""
    from ..text.corpus import lines_of_stdin
    from ..training import fill, load_model

    if args.k < 1:
        raise ValueError(f"-k: expected at least 1, got {args.k}")
    texts = list(args.text)
    if not texts or texts == ["-"]:
        texts = lines_of_stdin("text")
    model, tokenizer = load_model(args.run_folder)
    answers = [fill(model, tokenizer, text, args.k) for text in texts]  # all, before anything is printed
    for text, masks in zip(texts, answers, strict=True):
        if args.json:
            predictions = [[p._asdict() for p in mask] for mask in masks]
            print(json.dumps({"text": text, "masks": predictions}, ensure_ascii=False))
            continue
        if len(texts) > 1:
            print(text)
        for i, mask in enumerate(masks):
            if len(masks) > 1:
                print(f"[MASK] {i + 1}")
            for prediction in mask:
                print(f"  {100 * prediction.probability:5.1f} %  {prediction.piece}")
    return 0
