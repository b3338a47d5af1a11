"""`npformer predict`: what a fine-tuned model says of each line of a file."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("run_folder", metavar="RUN", help="folder that npformer finetune has made")
    parser.add_argument(
        "file",
        metavar="FILE",
        help="a text a line, of pairs two with a tab between, of words with blanks between; - for stdin",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def run(args: argparse.Namespace) -> int:
    """Print a line for each line of the file: a label, a number, a text, words with their tags."""
    from ..finetuning import load_task_model, predict
    from ..finetuning.predict import parts_of_line
    from ..text.corpus import lines_of

    model, tokenizer, task = load_task_model(args.run_folder)
    lines = lines_of(args.file, "text")
    texts = [parts_of_line(task.name, line, f"{args.file}:{n}") for n, line in enumerate(lines, 1)]
    answers = predict(model, tokenizer, task, texts, say=lambda line: print(line, file=sys.stderr))
    for text, said in zip(texts, answers, strict=True):
        if args.json:
            print(json.dumps(_values(task, text, said), ensure_ascii=False))
        elif task.kind.LABELS == "texts":
            print(" ".join(said.label.splitlines()))  # a line for each line
        elif task.name == "tag":
            words = text.split() if isinstance(text, str) else text
            print(" ".join(f"{word}/{tag or '?'}" for word, tag in zip(words, said.label, strict=True)))
        elif said.probability is None:
            print(f"{said.label:.4f}")
        else:
            print(f"{said.label}\t{said.probability:.4f}")
    return 0


def _values(task: Any, text: Any, said: Any) -> dict[str, Any]:
    if task.kind.LABELS == "texts":
        return {"source": text, "target": said.label}
    if task.name == "tag":
        words = text.split() if isinstance(text, str) else list(text)
        return {"words": words, "tags": list(said.label), "probabilities": list(said.probability)}
    texts = {"text": text} if isinstance(text, str) else {"texts": list(text)}
    more = {} if said.probability is None else {"probability": said.probability}
    return {**texts, "label" if more else "value": said.label, **more}
