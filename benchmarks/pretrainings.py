"""Which pre-training for what: objectives that get the same time on the same text, and then the same tasks.

    python benchmarks/pretrainings.py DATA [--minutes 5] [--tasks ...] [--seeds 3] [--lr ...] [--epochs ...]

DATA, the text, the tasks with their few examples and the grid are those of downstream.py. The steps of all
objectives are timed first, in short bursts in turn, and each then does as many as the minutes hold at its
median: whatever else the machine does meanwhile favours none. All encoders have one form, and the decoder of
CLM has its width and layers. SimCSE is published for an encoder that has been pre-trained, so one row is half
the time of MLM and then half the time of SimCSE. "From scratch" is MLM's encoder with fresh weights.

Rate and epochs are chosen for each row and task, on the same grid, by the mean score of the seeds on
development examples; printed is the score on test examples, mean and standard deviation over the seeds.
Markdown; --out DIR keeps the runs and, after each cell of the table, results.json, and goes on from there.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from downstream import EPOCHS, FEW, NAMES, RATES, TASKS, best_of, cell, pretrain

from npformer._files import write_atomically
from npformer._threads import available_cores
from npformer.training import fit, load_model, open_run, preset
from npformer.training.pace import SHARE
from npformer.training.trainer import Trainer, workers

ROUNDS, LEAD, BURST = 11, 2, 8  # of the timing; the steps before a burst wake threads and fill caches
APART = "\n\n"  # between the examples: for objectives of sentences a sentence ends there
NO_END = 1_000_000  # steps, of which the timing does a few

SCRATCH = "from scratch"
OBJECTIVES = {"MLM": "mlm", "MLM + NSP": "mlm+nsp", "RTD": "rtd", "SimCSE": "simcse", "CLM": "clm"}
BOTH = "MLM, then SimCSE"
ROWS = (SCRATCH, *OBJECTIVES, BOTH)


def options_of(name: str, form: str, more: str) -> str:
    """Return the options of `npformer pretrain` for an objective; the decoder gets the encoder's form."""
    options = f"--objective {OBJECTIVES[name]} --preset {form}"
    if name == "CLM":
        c = preset(form)
        options += f" --layers {c.layers} --d-model {c.d_model} --heads {c.heads}"
        options += f" --seq-len {c.seq_len} --batch-size {c.batch_size}"
    return f"{options} {more}"


def timed(data: Path, form: str, more: str) -> dict[str, dict[str, Any]]:
    """Return the median seconds of a step of each objective, and how many parameters it trains."""
    with tempfile.TemporaryDirectory() as folder:
        trainers = {}
        for number, name in enumerate(OBJECTIVES):
            options = f"{options_of(name, form, more)} --steps 1"
            run = open_run(pretrain(data, Path(folder, str(number)), 0, options, APART))
            trainers[name] = Trainer(run.config.with_steps(NO_END), run.tokenizer, run.train)
        found: dict[str, list[float]] = {name: [] for name in trainers}
        for round_ in range(1 + ROUNDS):
            for name in sorted(trainers, reverse=bool(round_ % 2)):
                trainer, first = trainers[name], round_ * (LEAD + BURST)
                with workers(available_cores(), trainer.config.lanes) as executor:
                    for step in range(first, first + LEAD + BURST):
                        if step == first + LEAD:
                            began = time.perf_counter()
                        trainer.update(step, executor)
                found[name].append((time.perf_counter() - began) / BURST)
        sizes = {name: int(trainer.model.params.size) for name, trainer in trainers.items()}
        medians = {name: statistics.median(seconds[1:]) for name, seconds in found.items()}
        return {name: {"seconds": medians[name], "trained": sizes[name]} for name in OBJECTIVES}


def pretrained(data: Path, out: Path, name: str, steps: int, options: str) -> Path:
    """Return the run `name` in `out`: the one that is there, once it has finished, or a new one."""
    folder = out / f"{name}-{steps}"
    if not (folder / "pretrain").is_dir():
        return pretrain(data, folder, 0, f"{options} --steps {steps}", APART)
    fit(open_run(folder / "pretrain"))
    return folder / "pretrain"


def run_of(row: str, args: argparse.Namespace, steps: dict[str, int]) -> Path:
    """Return the run that a row of the table is fine-tuned from, which is made if need be."""
    if row != BOTH:
        name = "MLM" if row == SCRATCH else row
        options = options_of(name, args.preset, args.options)
        return pretrained(args.data, args.out, OBJECTIVES[name], steps[name], options)
    first, second = (max(1, steps[name] // 2) for name in ("MLM", "SimCSE"))
    half = pretrained(args.data, args.out, "mlm", first, options_of("MLM", args.preset, args.options))
    options = f"{options_of('SimCSE', args.preset, args.options)} --init {half}"
    return pretrained(args.data, args.out, f"mlm-{first}-simcse", second, options)


def table(cells: dict[str, dict[str, Any]], tasks: list[str]) -> str:
    """Return Markdown: a row for each pre-training, a column for each task."""
    scores = {task: next(row[task]["score"] for row in cells.values() if task in row) for task in tasks}
    heads = [f"{task}, {NAMES[task]}, {scores[task]}" for task in tasks]
    lines = [f"| pre-training | {' | '.join(heads)} |", "|---" * (1 + len(tasks)) + "|"]
    for name, row in cells.items():
        shown = [cell(row[task]["test"]) if task in row else "" for task in tasks]
        lines.append(f"| {name} | {' | '.join(shown)} |")
    return "\n".join(lines)


def table_of_runs(paces: dict[str, dict[str, Any]], steps: dict[str, int]) -> str:
    """Return Markdown: what each objective did in its time."""
    lines = ["| objective | parameters trained | ms a step | steps |", "|---|---|---|---|"]
    for name, pace in paces.items():
        lines.append(f"| {name} | {pace['trained']:,} | {1e3 * pace['seconds']:.1f} | {steps[name]:,} |")
    return "\n".join(lines)


def main() -> None:
    """Time, pre-train, fine-tune, print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--minutes", type=float, default=5.0, help="of each pre-training (5)")
    parser.add_argument("--preset", default="small", help="recipe of npformer pretrain (small)")
    parser.add_argument("--options", default="", help="more for every npformer pretrain")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--tasks", nargs="+", choices=FEW, default=list(FEW))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--lr", type=float, nargs="+", default=list(RATES), help="rates of the grid")
    parser.add_argument("--epochs", type=int, nargs="+", help="epochs of the grid (downstream.py's)")
    parser.add_argument("--out", type=Path, default=Path("runs/pretrainings"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "results.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    settings = {"minutes": args.minutes, "preset": args.preset, "options": args.options}
    if kept.get("settings", settings) != settings:
        raise SystemExit(f"{path}: made with {kept['settings']}; another --out for {settings}")

    def keep() -> None:
        text = json.dumps(kept, indent=2) + "\n"
        write_atomically(path, lambda file: file.write(text.encode()))

    if not kept:
        kept |= {"settings": settings, "paces": timed(args.data, args.preset, args.options), "cells": {}}
        keep()
    paces = kept["paces"]
    steps = {name: max(1, int(60 * SHARE * args.minutes / pace["seconds"])) for name, pace in paces.items()}
    print(table_of_runs(paces, steps), flush=True)
    grids = {task: list(itertools.product(args.lr, args.epochs or EPOCHS[task])) for task in args.tasks}
    datas = {task: TASKS[task](args.data) for task in args.tasks}
    for row in args.rows:
        cells = kept["cells"].setdefault(row, {})
        start = load_model(run_of(row, args, steps))
        for task, grid in grids.items():
            judged = {"seeds": args.seeds, "grid": [list(point) for point in grid]}
            if task in cells and {name: cells[task][name] for name in judged} == judged:
                continue
            found = best_of(start, f"{row}, {task}", datas[task], args.seeds, True, grid, row == SCRATCH)
            cells[task] = {**found, **judged}
            keep()
            print(f"{row}, {task}: {cell(found['test'])}", flush=True)
    shown = {row: kept["cells"][row] for row in ROWS if row in kept["cells"]}
    print(f"\n{table_of_runs(paces, steps)}\n\n{table(shown, args.tasks)}")


if __name__ == "__main__":
    main()
