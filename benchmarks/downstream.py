"""What pre-training is for: a pre-trained encoder beside the same one from scratch, on labelled data.

    python benchmarks/downstream.py DATA [--run RUN | --minutes 14] [--tasks ...] [--seeds 5] [--full]

DATA has the folders snips, ud_ewt and sentence_polarity, and for the pre-training state_union, devil and
jargon. Without --run, npformer pretrains first, on the texts of these without their labels and without what
is tested on. Then for each task and seed a few examples are drawn, and both encoders are fine-tuned on the
same; rate and epochs are chosen for each of the two by itself, on the same grid, by the mean score of the
seeds on development examples. What is printed is the score on test examples: mean and standard deviation over
the seeds, their difference in pooled standard deviations, and the seconds of one fine-tuning, all its scoring
in it. --full takes all training examples and three seeds. Markdown, and JSON in DIR.
"""

# ruff: noqa: E402
from __future__ import annotations

import argparse
import gzip
import itertools
import json
import os
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
from npformer.scores import mean_and_std, pooled_deviations
from npformer.text.labelled import Example, read_examples
from npformer.training import load_model

RATES = (5e-4, 1e-3, 2e-3)  # with few examples
DEVELOPMENT = 200  # examples by which epochs, rates and their number are chosen, where training has few
RATES_FULL, EPOCHS_FULL = (1e-3,), (5,)


class Data(NamedTuple):
    """Examples of a task."""

    task: str
    train: list[Example]
    dev: list[Example]
    test: list[Example]
    draw: Callable[[list[Example], np.random.Generator], list[Example]]


def per_class(examples: list[Example], rng: np.random.Generator) -> list[Example]:
    """Return ten examples of each label."""
    by_label: dict[Any, list[Example]] = {}
    for example in examples:
        by_label.setdefault(example.label, []).append(example)
    return [group[i] for group in by_label.values() for i in rng.permutation(len(group))[:10].tolist()]


def five_hundred(examples: list[Example], rng: np.random.Generator) -> list[Example]:
    """Return 500 examples."""
    return [examples[i] for i in rng.permutation(len(examples))[:500].tolist()]


def snips(folder: Path, task: str) -> Data:
    """Return intents or slots: the last 700 of the shuffled training file are for development."""
    train = read_examples(folder / "snips" / "train.jsonl", task).examples
    test = read_examples(folder / "snips" / "validate.jsonl", task).examples
    order = np.random.default_rng(0).permutation(len(train)).tolist()
    return Data(task, [train[i] for i in order[:-700]], [train[i] for i in order[-700:]], test, per_class)


def ewt(folder: Path) -> Data:
    """Return parts of speech."""
    train, dev, test = (
        read_examples(folder / "ud_ewt" / f"{part}.tsv", "tag").examples for part in ("train", "dev", "test")
    )
    return Data("tag", train, dev[:500], test, five_hundred)


def polarity(folder: Path) -> Data:
    """Return movie reviews' sentences, for or against: 2,000 to test on, 500 for development."""
    examples = []
    for name in ("pos", "neg"):
        path = folder / "sentence_polarity" / f"rt-polarity.{name}"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            examples.append(Example((line.strip(),), name, None, f"{path}:{number}"))
    order = np.random.default_rng(0).permutation(len(examples)).tolist()
    shuffled = [examples[i] for i in order]
    return Data("classify", shuffled[2500:], shuffled[2000:2500], shuffled[:2000], five_hundred)


TASKS: dict[str, Callable[[Path], Data]] = {
    "snips intents": lambda folder: snips(folder, "classify"),
    "EWT parts of speech": ewt,
    "sentence polarity": polarity,
    "snips slots": lambda folder: snips(folder, "tag"),
}
FEW = ("snips intents", "EWT parts of speech", "sentence polarity")
WHOLE = ("snips intents", "snips slots", "EWT parts of speech")
NAMES = {"snips intents": "10 of each class", "EWT parts of speech": "500", "sentence polarity": "500"}
EPOCHS = {"snips intents": (10, 30), "EWT parts of speech": (5, 15), "sentence polarity": (5, 15)}


def unlabelled(folder: Path, between: str = "\n") -> Iterator[str]:
    """Yield the texts to pre-train on: those of training examples, with `between` between them, and books."""
    for load in (TASKS["snips intents"], TASKS["EWT parts of speech"], TASKS["sentence polarity"]):
        examples = load(folder).train
        yield between.join(" ".join(example.words or example.texts) for example in examples)
    for name in ("state_union/state_union.txt", "devil/devil.txt"):
        yield (folder / name).read_text(encoding="utf-8")
    yield gzip.decompress((folder / "jargon" / "jargon.txt.gz").read_bytes()).decode("utf-8", "replace")


def pretrain(folder: Path, out: Path, minutes: float, options: str, between: str = "\n") -> Path:
    """Pre-train, `minutes` long where the options have no steps; return the folder of the run."""
    with tempfile.TemporaryDirectory() as texts:
        for number, text in enumerate(unlabelled(folder, between)):
            (Path(texts) / f"{number}.txt").write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "npformer", "pretrain", texts, "--out", str(out / "pretrain")]
        if "--steps" not in options:
            command += ["--minutes", str(minutes)]
        subprocess.run([*command, *shlex.split(options)], check=True)
    return out / "pretrain"


def fine_tuned(
    start: tuple[Any, Any], data: Data, lr: float, epochs: int, seed: int, scratch: bool, few: bool
) -> tuple[dict[str, Any], float]:
    """Fine-tune once; return the result, with scores on development and on test examples, and the seconds."""
    model, tokenizer = start
    train = data.draw(data.train, np.random.default_rng(seed)) if few else data.train
    recipe = Recipe(
        data.task, seed=seed, lr=lr, epochs=epochs, batch_size=16 if few else 32, from_scratch=scratch
    )
    every = (*data.train, *data.dev, *data.test)  # few examples do not have every label
    labels = sorted({label for example in every for label in np.atleast_1d(example.label).tolist()})
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as out:
        result = finetune(
            model,
            tokenizer,
            train,
            data.dev[:DEVELOPMENT] if few else data.dev,
            recipe,
            out,
            test=data.test,
            labels=labels,
            quiet=True,
            say=lambda line: None,
        )
    return result, time.monotonic() - began


def best_of(
    start: tuple[Any, Any],
    what: str,
    data: Data,
    seeds: int,
    few: bool,
    grid: list[tuple[float, int]],
    scratch: bool,
) -> dict[str, Any]:
    """Return the scores of a model on a task, with the rate and epochs that suit it best."""
    best: dict[str, Any] = {}
    for lr, epochs in grid:
        runs = [fine_tuned(start, data, lr, epochs, seed, scratch, few) for seed in range(seeds)]
        score = runs[0][0]["score"]
        dev, test = ([result[part][score] for result, _ in runs] for part in ("dev", "test"))
        print(f"{what}: lr {lr:g}, {epochs} epochs: {np.mean(dev):.4f}", file=sys.stderr, flush=True)
        if not best or np.mean(dev) > best["dev"]:
            seconds = float(np.mean([took for _, took in runs]))
            best = {"dev": float(np.mean(dev)), "test": test, "lr": lr, "epochs": epochs, "seconds": seconds}
    return {**best, "score": score}


def compare(
    start: tuple[Any, Any], name: str, data: Data, seeds: int, few: bool, grid: list[tuple[float, int]]
) -> dict[str, Any]:
    """Return the scores of both encoders on a task."""
    found: dict[str, Any] = {"task": name, "examples": NAMES[name] if few else f"{len(data.train):,}"}
    for which, scratch in (("scratch", True), ("pretrained", False)):
        found[which] = best_of(start, f"{name}, {which}", data, seeds, few, grid, scratch)
        found["score"] = found[which].pop("score")
    return found


def cell(values: list[float]) -> str:
    """Return the mean of scores in per cent, with the standard deviation where there are several."""
    if len(values) == 1:
        return f"{100 * values[0]:.1f}"
    mean, std = mean_and_std(values)[:2]
    return f"{100 * mean:.1f} ± {100 * std:.1f}"


def table(rows: list[dict[str, Any]], few: bool) -> str:
    """Return Markdown."""
    lines = [
        "| task | examples | score | from scratch | pre-trained | difference | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        scratch, pretrained = row["scratch"]["test"], row["pretrained"]["test"]
        difference = f"{100 * (np.mean(pretrained) - np.mean(scratch)):+.1f}"
        if len(scratch) > 1:
            difference += f" ({pooled_deviations(pretrained, scratch):.1f} pooled deviations)"
        seconds = " and ".join(f"{row[which]['seconds']:.0f}" for which in ("scratch", "pretrained"))
        shown = f"{cell(scratch)} | {cell(pretrained)} | {difference} | {seconds}"
        lines.append(f"| {row['task']} | {row['examples']} | {row['score']} | {shown} |")
    return "\n".join(lines)


def main() -> None:
    """Pre-train if need be, compare, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--run", type=Path, help="a pre-trained run")
    parser.add_argument("--minutes", type=float, default=14.0, help="of pre-training")
    parser.add_argument("--options", default="", help="more for npformer pretrain")
    parser.add_argument("--tasks", nargs="+", choices=tuple(TASKS))
    parser.add_argument("--seeds", type=int, help="5, with --full 3")
    parser.add_argument("--full", action="store_true", help="all training examples")
    parser.add_argument("--lr", type=float, nargs="+", help="rates of the grid")
    parser.add_argument("--epochs", type=int, nargs="+", help="numbers of epochs of the grid")
    parser.add_argument("--out", type=Path, default=Path("runs/downstream"))
    args = parser.parse_args()
    names = args.tasks or (WHOLE if args.full else FEW)
    if not args.full and (unknown := [name for name in names if name not in FEW]):
        parser.error(f"--tasks: with few examples there are {', '.join(FEW)}, not {unknown[0]}")
    args.out.mkdir(parents=True, exist_ok=True)
    if (run := args.run) is None:
        run = pretrain(args.data, args.out, args.minutes, args.options)
        last = json.loads((run / "timing.jsonl").read_text(encoding="utf-8").splitlines()[-1])
        print(f"pre-trained for {last['step']:,} steps, {last['seconds']:.0f} seconds\n", flush=True)
    start = load_model(run)
    seeds = args.seeds or (3 if args.full else 5)
    rates = args.lr or (RATES_FULL if args.full else RATES)
    rows = []
    for name in names:
        data = TASKS[name](args.data)
        numbers = args.epochs or (EPOCHS_FULL if args.full else EPOCHS[name])
        grid = list(itertools.product(rates, numbers))
        rows.append(compare(start, name, data, seeds, not args.full, grid))
        path = args.out / ("full.json" if args.full else "few.json")
        path.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
        print(table(rows[-1:], not args.full), flush=True)
    print("\n" + table(rows, not args.full))


if __name__ == "__main__":
    main()
