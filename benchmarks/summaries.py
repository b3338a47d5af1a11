"""Summaries and answers: a pre-trained model beside the same one from scratch, and guesses beside both.

    python benchmarks/summaries.py DATA [--minutes 2] [--run RUN ...] [--tasks summaries dialogue] [--seeds 3]

DATA has the folders snips and tinyshakespeare, of which labelled files are made (in DIR/data):

    summaries    snips' queries, and what is wanted with which values, made of their intents and slots:
                 "play some jazz on spotify" -> "play music: jazz, spotify". Of train.jsonl the last 300 of a
                 shuffled order are to choose by; validate.jsonl is to test on.
    dialogue     tinyshakespeare's speeches: the last 30 words of one, and the first 30 of the next. The last
                 tenth is to test on; the first 300 of the tenth before it are to choose by.

Without --run, npformer pre-trains first, for --minutes each: an encoder-decoder (t5) and a decoder (clm), on
the queries and speeches of the training parts as text. Then for each seed --examples training examples are
drawn, and `npformer.finetuning` teaches them to the pre-trained model and to one of its form with fresh
weights. Of several --lr each of the two takes the one with the best mean score to choose by. What is printed
is of the test examples: means and standard deviations over the seeds, and the seconds of one fine-tuning.
The guesses: the first words of the source (ROUGE) and a unigram of the targets (perplexity). Markdown, and
JSON in DIR.
"""

# ruff: noqa: E402
from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from npformer._threads import BLAS_VARIABLES

os.environ.update(dict.fromkeys(BLAS_VARIABLES, "1"))  # as the commands do, before NumPy loads

import numpy as np

from npformer.finetuning import Recipe, finetune
from npformer.finetuning.kinds.kind import better
from npformer.models import Decoder, EncoderDecoder
from npformer.scores import mean_and_std
from npformer.text.labelled import Example, read_examples
from npformer.training import load_model

PARTS = ("train", "dev", "test")
WORDS = 30  # of a speech
CHOSEN_BY = 300  # queries, or speeches
SIZE = "--layers 2 --d-model 128 --heads 4"  # of both models: small, so that two cores need minutes
SCORES = {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L", "perplexity": "perplexity"}

Pairs = list[tuple[str, str]]


class Job(NamedTuple):
    """A task of fine-tuning, and what there is to learn."""

    task: str  # of npformer finetune
    objective: str  # of npformer pretrain
    model: type
    data: str  # as the table names it
    make: Callable[[Path], dict[str, Pairs]]
    epochs: int


def summary(intent: str, tokens: list[str], tags: list[str]) -> str:
    """Return what is wanted, and the values.

    >>> tags = ["O", "B-genre", "I-genre", "O", "B-service"]
    >>> summary("PlayMusic", ["play", "hot", "jazz", "on", "spotify"], tags)
    'play music: hot jazz, spotify'
    """
    values: list[list[str]] = []
    for token, tag in zip(tokens, tags, strict=True):
        if tag.startswith("B-"):
            values.append([token])
        elif tag != "O":
            values[-1].append(token)
    wanted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", intent).lower()
    return wanted + (": " + ", ".join(map(" ".join, values)) if values else "")


def queries(folder: Path) -> dict[str, Pairs]:
    """Return snips' queries with their summaries."""

    def read(name: str) -> Pairs:
        lines = (folder / "snips" / name).read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        return [(" ".join(r["tokens"]), summary(r["intent"], r["tokens"], r["tags"])) for r in rows]

    train = read("train.jsonl")
    order = np.random.default_rng(0).permutation(len(train)).tolist()
    parts = {"train": order[:-CHOSEN_BY], "dev": order[-CHOSEN_BY:]}
    return {name: [train[i] for i in places] for name, places in parts.items()} | {
        "test": read("validate.jsonl")
    }


def speeches(folder: Path) -> dict[str, list[str]]:
    """Return tinyshakespeare's speeches without the names of who speaks, in three parts."""
    text = (folder / "tinyshakespeare" / "input.txt").read_text(encoding="utf-8")
    found = []
    for block in text.split("\n\n"):
        speech = " ".join(block.strip().split("\n")[1:])
        if speech.strip():
            found.append(speech)
    a, b = 8 * len(found) // 10, 9 * len(found) // 10
    return dict(zip(PARTS, (found[:a], found[a:b], found[b:]), strict=True))


def turns(folder: Path) -> dict[str, Pairs]:
    """Return each speech with the one that follows it."""

    def pairs(of_part: list[str]) -> Pairs:
        words = [speech.split() for speech in of_part]
        return [
            (" ".join(one[-WORDS:]), " ".join(other[:WORDS]))
            for one, other in zip(words, words[1:], strict=False)
        ]

    found = {name: pairs(of_part) for name, of_part in speeches(folder).items()}
    return {**found, "dev": found["dev"][:CHOSEN_BY]}


JOBS = {
    "summaries": Job("seq2seq", "t5", EncoderDecoder, "snips queries, summarised", queries, 8),
    "dialogue": Job("clm", "clm", Decoder, "tinyshakespeare, the next speech", turns, 4),
}


def unlabelled(folder: Path) -> Iterator[str]:
    """Yield the texts to pre-train on: nothing that is chosen by or tested on."""
    yield "\n".join(source for source, _ in queries(folder)["train"])
    yield "\n\n".join(speeches(folder)["train"])


def pretrain(folder: Path, out: Path, job: Job, minutes: float, options: str) -> Path:
    """Pre-train; return the folder of the run."""
    run = out / f"pretrain-{job.objective}"
    with tempfile.TemporaryDirectory() as texts:
        for number, text in enumerate(unlabelled(folder)):
            (Path(texts) / f"{number}.txt").write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "npformer", "pretrain", texts, "--objective", job.objective]
        command += ["--out", str(run)]
        if "--steps" not in options:
            command += ["--minutes", str(minutes)]
        subprocess.run([*command, *shlex.split(options)], check=True, stdout=sys.stderr)
    return run


def write_files(pairs: dict[str, Pairs], folder: Path) -> dict[str, list[Example]]:
    """Write the labelled files, and read them as `npformer finetune` does."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for part, rows in pairs.items():
        path = folder / f"{part}.jsonl"
        lines = (json.dumps({"source": a, "target": b}, ensure_ascii=False) + "\n" for a, b in rows)
        path.write_text("".join(lines), encoding="utf-8")
        read = read_examples(path, "seq2seq")
        found[part] = read.examples
        print(read.about, file=sys.stderr)
    return found


def tuned(
    start: tuple[Any, Any], job: Job, parts: dict[str, list[Example]], recipe: Recipe, n: int
) -> dict[str, Any]:
    """Fine-tune once, on n examples drawn by the recipe's seed; return its result and the seconds."""
    order = np.random.default_rng(recipe.seed).permutation(len(parts["train"])).tolist()
    train, began = [parts["train"][i] for i in order[:n]], time.monotonic()
    with tempfile.TemporaryDirectory() as out:
        result = finetune(
            *start,
            train,
            parts["dev"],
            recipe,
            out,
            test=parts["test"],
            quiet=True,
            say=lambda line: print(line, file=sys.stderr),
        )
    return {**result, "seconds": time.monotonic() - began}


def compare(
    start: tuple[Any, Any], job: Job, parts: dict[str, list[Example]], rates: list[float], args: Any
) -> dict[str, Any]:
    """Return the results of both models, each with the rate that suits it best."""
    found: dict[str, Any] = {"data": job.data}
    for which, scratch in (("from scratch", True), ("pre-trained", False)):
        best: dict[str, Any] = {}
        for lr in rates:
            runs = []
            for seed in range(args.seeds):
                recipe = Recipe(
                    job.task,
                    seed=seed,
                    lr=lr,
                    epochs=args.epochs or job.epochs,
                    rouge_examples=100,
                    from_scratch=scratch,
                )
                runs.append(tuned(start, job, parts, recipe, args.examples))
            score = runs[0]["score"]
            dev = float(np.mean([run["dev"][score] for run in runs]))
            print(f"{job.data}, {which}: lr {lr:g}: {score} {dev:.4f}", file=sys.stderr, flush=True)
            if not best or better(score, dev, best["dev"]):
                best = {"dev": dev, "lr": lr, "runs": runs}
        found[which] = best
    return found


def table(rows: list[dict[str, Any]]) -> str:
    """Return Markdown."""
    lines = [
        f"| data | model | {' | '.join(SCORES.values())} | seconds |",
        f"|---|---|{'---|' * len(SCORES)}---|",
    ]
    for row in rows:
        guesses = [run["test_baseline"] for run in row["pre-trained"]["runs"]]
        name = row["pre-trained"]["runs"][0]["baseline_is"]
        groups = [(name, guesses, "")]
        for which in ("from scratch", "pre-trained"):
            runs = row[which]["runs"]
            seconds = f"{np.mean([run['seconds'] for run in runs]):.0f}"
            groups.append((which, [run["test"] for run in runs], seconds))
        for which, scores, seconds in groups:
            cells = [cell([one[name] for one in scores], name) for name in SCORES]
            lines.append(f"| {row['data']} | {which} | {' | '.join(cells)} | {seconds} |")
    return "\n".join(lines)


def cell(values: list[float], name: str) -> str:
    """Return mean and deviation, of ROUGE in hundredths.

    >>> cell([0.5, 0.52], "rougeL"), cell([20.04], "perplexity")
    ('51.0 ± 1.4', '20.0')
    """
    scaled = [value if name == "perplexity" else 100 * value for value in values]
    if len(scaled) == 1:
        return f"{scaled[0]:.1f}"
    mean, std = mean_and_std(scaled)
    return f"{mean:.1f} ± {std:.1f}"


def main() -> None:
    """Make the files, pre-train if need be, compare, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--run", type=Path, nargs="+", default=[], help="pre-trained runs, one of each kind")
    parser.add_argument("--minutes", type=float, default=2.0, help="of each pre-training")
    parser.add_argument("--options", default=SIZE, help="more for npformer pretrain (%(default)s)")
    parser.add_argument("--tasks", nargs="+", choices=tuple(JOBS), default=tuple(JOBS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--examples", type=int, default=1000, help="to learn from")
    parser.add_argument("--epochs", type=int, help="8 for summaries, 4 for dialogue")
    parser.add_argument("--lr", type=float, nargs="+", default=[1e-3])
    parser.add_argument("--out", type=Path, default=Path("runs/summaries"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    given = [load_model(run) for run in args.run]
    rows = []
    for name in args.tasks:
        job = JOBS[name]
        parts = write_files(job.make(args.data), args.out / "data" / name)
        start = next((one for one in given if isinstance(one[0], job.model)), None)
        if start is None:
            start = load_model(pretrain(args.data, args.out, job, args.minutes, args.options))
        rows.append(compare(start, job, parts, args.lr, args))
        (args.out / "summaries.json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
        print(table(rows[-1:]), flush=True)
    print("\n" + table(rows))


if __name__ == "__main__":
    main()
