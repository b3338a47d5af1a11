"""How long it takes until a program can begin: imports and the command's help, beside NumPy's own import.

    python benchmarks/startup.py

prints a Markdown table. Each line is a fresh process, from its start to its end; they take turns in an order
that rotates, after one round of warm-up that fills the disk's cache and writes the bytecode. A package that
is not installed is named below the table.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "peers"))

from children import processor  # noqa: E402

NUMPY = "import numpy"
PROGRAMS = {  # what the table says: (what Python runs, the package it needs)
    "python alone": (["-c", "pass"], None),
    NUMPY: (["-c", "import numpy"], "numpy"),
    "import npformer": (["-c", "import npformer"], None),
    "import npformer, numpy": (["-c", "import npformer, numpy"], None),
    "import npformer.functional": (["-c", "import npformer.functional"], None),
    "import npformer.models": (["-c", "import npformer.models"], None),
    "import npformer.training": (["-c", "import npformer.training"], None),
    "npformer --help": (["-m", "npformer", "--help"], None),
    "import scipy.special, scipy.sparse": (["-c", "import scipy.special, scipy.sparse"], "scipy"),
    "import torch": (["-c", "import torch"], "torch"),
    "import jax": (["-c", "import jax"], "jax"),
    "from transformers import BertModel": (["-c", "from transformers import BertModel"], "transformers"),
}


def seconds_of(arguments: list[str]) -> float:
    """Run Python once and return how long it took."""
    path = os.pathsep.join(p for p in (str(HERE.parent), os.environ.get("PYTHONPATH")) if p)
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path},
    )
    return time.perf_counter() - start


def main(argv: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Time imports and the command's help in fresh processes.")
    parser.add_argument("--rounds", type=int, default=11, help="measured runs of each (default 11)")
    parser.add_argument("--json", action="store_true", help="print JSON, with every measured time")
    arguments = parser.parse_args(argv)
    if arguments.rounds < 1:
        parser.error("--rounds takes a number from 1 on")

    missing = [
        name for name, (_, needs) in PROGRAMS.items() if needs and importlib.util.find_spec(needs) is None
    ]
    names = [name for name in PROGRAMS if name not in missing]
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(1 + arguments.rounds):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            took = seconds_of(PROGRAMS[name][0])
            if number:
                seconds[name].append(took)
        print(f"\rround {number + 1} of {1 + arguments.rounds}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)

    base = statistics.median(seconds[NUMPY])
    figures: dict[str, dict[str, Any]] = {
        name: {
            "median_ms": 1e3 * statistics.median(times),
            "fastest_ms": 1e3 * min(times),
            "beyond_numpy_ms": 1e3 * (statistics.median(times) - base),
            "seconds": times,
        }
        for name, times in seconds.items()
    }
    machine = f"{processor()}, {os.cpu_count()} cores visible, Python {platform.python_version()}"
    if arguments.json:
        result = {"machine": machine, "rounds": arguments.rounds, "programs": figures, "missing": missing}
        print(json.dumps(result, indent=1))
        return 0
    print(f"A fresh process from start to end ({machine}; {arguments.rounds} rounds):\n")
    print("| program | median, ms | fastest, ms | beyond NumPy alone, ms |\n|---|---:|---:|---:|")
    for name, f in figures.items():
        print(f"| {name} | {f['median_ms']:.0f} | {f['fastest_ms']:.0f} | {f['beyond_numpy_ms']:+.0f} |")
    for name in missing:
        print(f"\n{name}: not measured, {PROGRAMS[name][1]} is not installed.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
