"""`npformer predict`: what a fine-tuned model says of the texts of a file, or how well it does on it."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from ._options import add_threads
from .finetune import (
    add_file_options,
    beside_a_guess,
    lower_is_better,
    of_labels,
    require_classes,
    tell_skipped,
)

BLANKS = {ord(blank): " " for blank in "\t\n\r"}  # in labels: a line for each text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("run_folder", metavar="RUN", help="folder that npformer finetune has made")
    parser.add_argument(
        "file",
        metavar="FILE",
        help="a text a line, of pairs two with a tab between, of words with blanks between; JSONL, or "
        "a table with a header, whose labels are not looked at; - for stdin",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line; of scores, one")
    parser.add_argument(
        "--score",
        action="store_true",
        help="FILE has labels, as those of finetune have: print the scores of the model, beside a guess's",
    )
    parser.add_argument("--by-label", action="store_true", help="with --score: those of each label, too")
    parser.add_argument(
        "--train",
        metavar="FILE",
        help="with --score: the training examples, from which the guess is (where finetune found them)",
    )
    add_file_options(parser, "lines")
    add_threads(parser, "the texts")


def run(args: argparse.Namespace) -> int:
    """Print a line for each text: a label and its probability, a number, a text, or words with tags."""
    from ..finetuning import load_task_model
    from ..finetuning.predict import answer, read_texts

    model, tokenizer, task = load_task_model(args.run_folder)
    how = {"columns": args.columns, "format": args.format, "skip_bad": args.skip_bad}
    if args.score:
        if args.format == "lines":
            raise ValueError("format: lines have no labels to score by")
        if args.by_label:
            require_classes(task.name)
        return _score(args, model, tokenizer, task, how)
    for name in ("by_label", "train"):
        if getattr(args, name):
            raise ValueError(f"{name}: there is no use for it without --score")
    tags = task.labels if task.name == "tag" else None
    examples = read_texts(args.file, task.name, **how, tags=tags, say=_say)
    answers = answer(model, tokenizer, task, examples, threads=args.threads, say=_say)
    for example, said in zip(examples, answers, strict=True):
        if args.json:
            print(json.dumps(_values(task, example, said), ensure_ascii=False))
        elif task.kind.LABELS == "texts":
            print(" ".join(said.label.splitlines()))  # a line for each text
        elif example.words is not None:
            tagged = zip(example.words, said.label, strict=True)
            print(" ".join(f"{word}/{tag or '?'}" for word, tag in tagged))
        elif said.probability is None:
            print(f"{said.label:.4f}")
        else:
            print(f"{said.label.translate(BLANKS)}\t{said.probability:.4f}")
    return 0


def _values(task: Any, example: Any, said: Any) -> dict[str, Any]:
    if task.kind.LABELS == "texts":
        return {"source": example.texts[0], "target": said.label}
    if example.words is not None:
        words = list(example.words)
        return {"words": words, "tags": list(said.label), "probabilities": list(said.probability)}
    texts = {"text": example.texts[0]} if len(example.texts) == 1 else {"texts": list(example.texts)}
    more = {} if said.probability is None else {"probability": said.probability}
    return {**texts, "label" if more else "value": said.label, **more}


def _score(args: argparse.Namespace, model: Any, tokenizer: Any, task: Any, how: dict[str, Any]) -> int:
    """Print the scores of the model on a labelled file."""
    from ..finetuning import score
    from ..finetuning.score import reading, training_examples
    from ..text import CorpusError
    from ..text.labelled import read_examples

    def way(file: str) -> dict[str, Any]:
        told = args.columns is None and args.format is None
        return how | (reading(args.run_folder, file) if told else {})

    read = read_examples(args.file, task.name, **way(args.file))
    _say(read.about)
    tell_skipped(read.skipped, args.file)
    train = None
    if args.train is not None:
        train = read_examples(args.train, task.name, **way(args.train)).examples
    else:
        try:
            train = training_examples(args.run_folder, task)
        except (OSError, CorpusError) as error:
            _say(f"no guess beside the scores without the training examples (--train FILE): {error}")
    result = score(model, tokenizer, task, read.examples, train=train, threads=args.threads, say=_say)
    if args.json:
        print(json.dumps({"run": args.run_folder, "file": args.file, **result}, indent=2, ensure_ascii=False))
        return 0
    guess = (result["baseline_is"], result["baseline"]) if train is not None else ()
    what = Path(args.file).name[:28]
    lines = [*beside_a_guess(what, result["scores"], *guess), *lower_is_better(result["scores"])]
    if args.by_label and result["by_label"]:
        lines += ["", *of_labels(f"{what}, by label", result["by_label"])]
    print("\n".join(lines))
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr)
