"""What each part of the default recipe is worth: short runs with one thing changed.

    python benchmarks/recipes.py [--steps 1000] [--jobs 2] [--only NAME ...]

Every row is one run of the `npformer pretrain` command on the default corpus, for as many steps as the
others and on one thread, so that `--jobs` of them go side by side. Prints a Markdown table, which stands in
docs/pretraining.md.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

CHANGES = {
    "the recipe": "",
    "seed 1": "--seed 1",
    "random embeddings": "--embedding-init random",
    "no heads that begin by looking at a neighbour": "--neighbour-heads 0",
    "neither": "--embedding-init random --neighbour-heads 0",
    "neither, and weights 0.02 as BERT's": (
        "--embedding-init random --neighbour-heads 0 --init-std 0.02 --embedding-std 0.02"
    ),
    "neither, and learned positions": "--embedding-init random --positions learned",
    "sinusoidal positions": "--positions sinusoidal",
    "rotary base 1000": "--rotary-base 1000",
    "post-norm": "--norm post",
    "15 % targets": "--mask-rate 0.15",
    "30 % targets": "--mask-rate 0.3",
    "rate 3e-3": "--lr 3e-3",
    "relu": "--activation relu",
}


def run(name: str, steps: int, folder: Path) -> dict[str, Any]:
    """Train with a change and return result.json."""
    environment = dict(os.environ, OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
    out = str(folder / str(list(CHANGES).index(name)))
    options = ["--steps", str(steps), "--threads", "1", "--quiet", "--json", "--out", out]
    command = [sys.executable, "-m", "npformer", "pretrain", *options, *shlex.split(CHANGES[name])]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    print(f"  {name}: done", file=sys.stderr, flush=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def main() -> None:
    """Run every change and print the table."""
    text = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=text)
    parser.add_argument("--steps", type=int, default=1000, help="of each run (default 1000)")
    parser.add_argument("--jobs", type=int, default=2, help="runs side by side (default 2)")
    rows = "rows of the table by their names, e.g. 'the recipe' 'seed 1' (default: all)"
    parser.add_argument(
        "--only", nargs="+", choices=list(CHANGES), default=list(CHANGES), metavar="NAME", help=rows
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(args.jobs) as pool:
        results = list(pool.map(lambda name: run(name, args.steps, Path(folder)), args.only))
    print(f"| {args.steps:,} steps | options | nats | accuracy |\n|---|---|---|---|")
    for name, result in zip(args.only, results, strict=True):
        options = f"`{CHANGES[name]}`" if CHANGES[name] else ""
        print(f"| {name} | {options} | {figures(result, 'encoder')} |")
    print(f"| the trigram | | {figures(results[0], 'trigram')} |")


def figures(result: dict[str, Any], name: str) -> str:
    """Return loss and accuracy of one of the compared models as two cells."""
    model = next(model for model in result["models"] if model["name"].startswith(name))
    return f"{model['nats']:.2f} | {100 * model['accuracy']:.1f} %"


if __name__ == "__main__":
    main()
