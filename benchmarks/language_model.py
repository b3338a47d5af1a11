"""Bits per character on the last tenth of a text: a decoder trained for some minutes, beside n-grams.

    python benchmarks/language_model.py FILE [--minutes 10] [--orders 4 5 6] [--peers torch] [--options ...]

Trains the default recipe of `npformer pretrain --objective clm --tokenizer char` on the first nine tenths of
the file, on all cores. The peer is the same model in PyTorch with the same recipe, the same rows in every
step and the same initial weights, judged on the same windows. With a peer the steps of both are timed first,
in bursts in turn, and each does as many as the minutes hold at its median: whatever else the machine does
while they train changes neither number. `--options` go to `npformer pretrain`. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from npformer._threads import BLAS_VARIABLES, available_cores
from npformer.training.pace import SHARE

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "peers"))

from children import REST  # noqa: E402

TAIL = 0.1
ROUNDS, LEAD, BURST = 11, 3, 10  # of the timing; the steps before a burst wake threads and fill caches


def train(file: str, length: list[str], options: list[str], out: Path) -> dict[str, Any]:
    """Train with npformer for the length and return result.json."""
    command = [sys.executable, "-m", "npformer", "pretrain", file, "--objective", "clm"]
    command += ["--tokenizer", "char", "--held-out-tail", str(TAIL), *length]
    command += ["--out", str(out), "--json", *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def ngrams(run: Any, orders: list[int]) -> list[tuple[str, float]]:
    """Return bits per character of n-grams on the tokens that the model is judged on."""
    from npformer.training.ngram import NGramWittenBell
    from npformer.training.tasks import causal

    tokenizer, tokens = run.tokenizer, causal.stream(run.held_out)
    judged = causal.evaluation(run.config, tokenizer, run.held_out)
    never = (tokenizer.pad_id, tokenizer.cls_id, tokenizer.mask_id)
    found = []
    for order in orders:
        model = NGramWittenBell(causal.stream(run.train), tokenizer.vocab_size, order, never)
        nats, _ = model.score(tokens, np.arange(1, tokens.size))
        found.append((f"{order}-gram (Witten-Bell)", judged.figures(nats)["bits_per_character"]))
    return found


def seconds_of(folder: Path) -> tuple[float, list[tuple[float, float]]]:
    """Return how long the steps took, and the held-out bits per character at each look."""
    lines = [json.loads(line) for line in (folder / "timing.jsonl").read_text().splitlines()]
    at = {line["step"]: line["seconds"] for line in lines}
    looks = []
    for line in map(json.loads, (folder / "metrics.jsonl").read_text().splitlines()):
        if "held_out_loss" in line:
            looks.append((at[line["step"]], line["held_out_bits_per_character"]))
    return max(at.values()), looks


def environment(threads: int) -> dict[str, str]:
    """Return the environment of a process whose BLAS has so many threads."""
    return os.environ | dict.fromkeys(BLAS_VARIABLES, str(threads))


def paces(folder: Path) -> dict[str, float]:
    """Return the seconds of a step by npformer and by PyTorch: medians of bursts in turn."""
    found: dict[str, list[float]] = {"npformer": [], "torch": []}
    peers = {}
    for name in found:
        command = [sys.executable, str(HERE / "peers" / f"decoder_by_{name}.py"), str(folder)]
        env = environment(available_cores() if name == "torch" else 1)  # each of npformer's threads has one
        pipe = subprocess.PIPE
        peers[name] = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=env)
    for round_ in range(1 + ROUNDS):
        for name in sorted(found, reverse=bool(round_ % 2)):
            time.sleep(REST)
            for steps in (LEAD, BURST):
                print(steps, file=peers[name].stdin, flush=True)
                line = peers[name].stdout.readline()
                if not line:
                    raise SystemExit(f"{name}: ended with status {peers[name].wait()}; its error is above")
            found[name].append(float(line) / BURST)
    for process in peers.values():
        process.communicate()
    return {name: statistics.median(seconds[1:]) for name, seconds in found.items()}


def peer(folder: Path, steps: int) -> dict[str, Any]:
    """Train PyTorch's model in a process of its own and return what it reports."""
    command = [sys.executable, str(HERE / "peers" / "decoder_by_torch.py"), str(folder), str(steps)]
    env = environment(available_cores())
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=env)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def main() -> None:
    """Train, count, print the table."""
    text = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=text)
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--orders", type=int, nargs="*", default=[4, 5, 6])
    parser.add_argument("--peers", nargs="*", choices=["torch"], default=[])
    parser.add_argument("--out", metavar="FOLDER", help="keep the run")
    parser.add_argument("--options", default="", help="of npformer pretrain, in quotes")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(args.out or Path(temporary, "run"))
        options, length = shlex.split(args.options), ["--minutes", str(args.minutes)]
        if args.peers:
            train(args.file, ["--steps", "1"], options, Path(temporary, "timed"))
            pace = paces(Path(temporary, "timed"))
            steps_of = {name: max(1, int(60 * SHARE * args.minutes / each)) for name, each in pace.items()}
            length = ["--steps", str(steps_of["npformer"])]
        result = train(args.file, length, options, folder)
        from npformer.training import load_model, open_run  # after the training: BLAS threads are its matter

        run = open_run(folder)
        model, _ = load_model(folder)
        size = f"{model.params.flat.size / 1e6:.2f} million parameters"
        took, looks = seconds_of(folder)
        rows = [(name, "", bits) for name, bits in ngrams(run, args.orders)]
        bits = result["models"][-1]["bits_per_character"]
        each = run.config.sequences_per_step * run.config.seq_len
        steps = f"{run.config.steps:,} steps of {each:,} tokens"
        if args.peers:  # the steps were timed in turn: how long they took after that is the machine's matter
            told = peer(folder, steps_of["torch"])
            rows.append(("npformer", f"{steps}, {1e3 * pace['npformer']:.0f} ms each", bits))
            steps = f"{steps_of['torch']:,} steps, {1e3 * pace['torch']:.0f} ms each"
            rows.append((f"PyTorch {told['version']}", steps, told["bits_per_character"]))
        else:
            rows.append(("npformer", f"{steps} in {took:.0f} s", bits))
        c = run.config
        shape = f"{c.layers} layers, width {c.d_model}, {c.heads} heads, T = {c.seq_len}, {size}"
        print(f"{shape}; {result['models'][-1]['positions']:,} held-out characters\n")
        print("| model | trained | bits per character |\n|---|---|---|")
        for name, trained, value in rows:
            print(f"| {name} | {trained} | {value:.3f} |")
        if args.peers:
            print(f"\n(milliseconds: medians of {ROUNDS} bursts in turn)")
        steps = ", ".join(f"{value:.2f} ({seconds:.0f} s)" for seconds, value in looks)
        print(f"\nnpformer's looks at a part of the held-out text: {steps}")


if __name__ == "__main__":
    main()
