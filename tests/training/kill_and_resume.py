"""Kill a run again and again, resume it each time, and compare it with one that was never stopped.

    python tests/training/kill_and_resume.py [--objective clm] [--kills 10] [--steps 200] [--seed 0]

SIGKILL strikes at random moments, the given number of times inside a checkpoint's write that is made slow for
the purpose. Exit status 0: parameters, metrics and result are identical, bit for bit.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from npformer._threads import BLAS_VARIABLES
from npformer.text import Document, Pair
from npformer.training import checkpoints as checkpoints_module
from npformer.training import create_run, fit, load_newest, open_run, prepare, preset

WORDS = "the cat sat on a mat and saw one dog run over green hills while rain fell from grey clouds"


def prepared(objective: str, steps: int, every: int) -> Any:
    draw = random.Random(0)
    lines = [" ".join(draw.choices(WORDS.split(), k=7)) + f" {i}." for i in range(150)]
    config = preset(
        "tiny",
        objective=objective,
        steps=steps,
        layers=2,
        d_model=16,
        heads=2,
        vocab_size=60,
        seq_len=12,
        batch_size=5,
        dropout=0.1,
        lr=1e-2,
        eval_every=every + 2,
        checkpoint_every=every,
    )
    if objective == "seq2seq":
        return prepare([Pair(line[:6], line[5::-1]) for line in lines], config)
    return prepare([Document("text", "\n".join(lines))], config)


def child(folder: str, slow_writes: bool) -> None:
    """Train to the end, if nothing happens; `slow_writes` writes a checkpoint's bytes a few at a time."""
    if slow_writes:
        quick = checkpoints_module.write_arrays

        def slow(file: Any, arrays: Any) -> None:
            with tempfile.TemporaryFile() as whole:
                quick(whole, arrays)
                whole.seek(0)
                data = whole.read()
            piece = len(data) // 40 + 1
            for start in range(0, len(data), piece):
                file.write(data[start : start + piece])
                file.flush()
                time.sleep(0.02)

        checkpoints_module.write_arrays = slow
    fit(open_run(folder), threads=2, quiet=True, say=lambda line: None)


def steps_timed(folder: Path) -> int:
    """How many steps were made, those made again included: timing.jsonl is never cut back."""
    return (folder / "timing.jsonl").read_bytes().count(b"\n")


def newest_line(folder: Path) -> int:
    return (folder / "metrics.jsonl").read_bytes().count(b'"loss"')


def newest_step(folder: Path) -> int:
    found = checkpoints_module.list_checkpoints(folder / "checkpoints")
    return int(found[-1].stem.partition("-")[2]) if found else 0


def kill_once(folder: Path, draw: random.Random, span: int, in_write: bool) -> str:
    """Start a child on the run, kill it, and return what it was doing; "" if it was done before."""
    torn_before = torn_files(folder)
    wanted = steps_timed(folder) + draw.randint(0, span)
    command = [sys.executable, __file__, "--child", str(folder), *(["--slow-writes"] if in_write else [])]
    process = subprocess.Popen(command, env=dict(os.environ, **dict.fromkeys(BLAS_VARIABLES, "1")))
    while process.poll() is None:
        if torn_files(folder) - torn_before if in_write else steps_timed(folder) >= wanted:
            time.sleep(draw.uniform(0, 0.3 if in_write else 0.02))
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.001)
    if process.wait() != -signal.SIGKILL:
        return ""
    torn = torn_files(folder) - torn_before
    return f"after step {newest_line(folder)}" + (f", writing {torn.pop().name}" if torn else "")


def torn_files(folder: Path) -> set[Path]:
    return set((folder / "checkpoints").glob(".*.tmp"))


def same_arrays(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--objective", default="mlm")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--in-writes", type=int, default=2, help="how many kills strike inside a write")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--every", type=int, default=10, help="steps between checkpoints")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", metavar="RUN")
    parser.add_argument("--slow-writes", action="store_true")
    args = parser.parse_args()
    if args.child:
        child(args.child, args.slow_writes)
        return 0

    draw = random.Random(args.seed)
    writes = [True] * args.in_writes + [False] * (args.kills - args.in_writes)
    draw.shuffle(writes)
    with tempfile.TemporaryDirectory() as parent:
        data = prepared(args.objective, args.steps, args.every)
        calm, stormy = Path(parent, "calm"), Path(parent, "stormy")
        fit(create_run(calm, data), threads=1, quiet=True, say=lambda line: None)
        create_run(stormy, data)
        span = 2 * args.steps // (args.kills + 1)  # steps until a kill, at most
        between = torn = 0
        for i, in_write in enumerate(writes):
            before = newest_step(stormy)
            what = kill_once(stormy, draw, min(span, args.steps - before - args.every), in_write)
            torn += "writing" in what
            if not what:
                print(f"kill {i + 1}: the run was over before")
                return 1
            after = newest_step(stormy)
            between += 0 < after < args.steps
            print(f"kill {i + 1}: {what}; newest checkpoint {after} of {args.steps}")
        fit(open_run(stormy), threads=2, quiet=True, say=lambda line: None)

        ends = [load_newest(folder / "checkpoints", print) for folder in (calm, stormy)]
        assert ends[0] is not None
        assert ends[1] is not None
        checks = {
            "steps": ends[0].step == ends[1].step == args.steps,
            "parameters": same_arrays(ends[0].params, ends[1].params),
            "optimizer": same_arrays(ends[0].optimizer, ends[1].optimizer),
            "metrics.jsonl": (calm / "metrics.jsonl").read_bytes() == (stormy / "metrics.jsonl").read_bytes(),
            "result.json": (calm / "result.json").read_bytes() == (stormy / "result.json").read_bytes(),
            "nothing left over": not list(stormy.rglob("*.tmp")),
            "kills inside a write": torn >= args.in_writes,
        }
    print(f"{args.kills} kills: {between} between the first and the last checkpoint, {torn} inside a write")
    for what, same in checks.items():
        print(f"{what}: {'as it should be' if same else 'WRONG'}")
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
