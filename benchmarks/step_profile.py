"""Where the time of a training step goes: each op's share of it, on one thread.

    python benchmarks/step_profile.py

prints a Markdown table. The ops are timed where the blocks call them; an op inside another (the projections
inside attention) counts for the inner one alone.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"
for variable in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):  # another BLAS kernel than the one people get
    os.environ.pop(variable, None)

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "peers"), str(HERE.parent)]

import by_npformer  # noqa: E402
import workload  # noqa: E402

from npformer import functional, optim  # noqa: E402
from npformer.nn import feed_forward  # noqa: E402

WARM_UP = 2
OPS = (
    "linear",
    "gelu",
    "scaled_dot_product_attention",
    "multi_head_attention",
    "layer_norm",
    "embedding",
    "cross_entropy",
)
SERIAL = ("clip_by_global_norm", "adamw_step")


class Clock:
    """Seconds by name; what runs inside something else is not that one's."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.inside: list[float] = []

    def timed(self, name: str, f: Callable[..., Any]) -> Callable[..., Any]:
        """Return `f` with its time taken."""

        def g(*args: Any, **named: Any) -> Any:
            self.inside.append(0.0)
            start = time.perf_counter()
            try:
                return f(*args, **named)
            finally:
                took = time.perf_counter() - start
                self.seconds[name] += took - self.inside.pop()
                if self.inside:
                    self.inside[-1] += took

        return g


def watch(clock: Clock) -> None:
    """Put the clock around every op, wherever a module of npformer has it by name."""
    originals = {getattr(functional, name): name for op in OPS for name in (op, f"{op}_backward")}
    originals |= {optim.clip_by_global_norm: SERIAL[0], optim.adamw_step: SERIAL[1]}
    watched = {f: clock.timed(name, f) for f, name in originals.items()}
    for module in [m for name, m in sys.modules.items() if name.startswith(("npformer", "by_npformer"))]:
        for name, value in list(vars(module).items()):
            if callable(value) and getattr(value, "__hash__", None) and value in watched:
                setattr(module, name, watched[value])
    for name, pair in feed_forward.ACTIVATIONS.items():
        feed_forward.ACTIVATIONS[name] = tuple(watched.get(f, f) for f in pair)  # type: ignore[assignment]


def main(argv: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Each op's share of a training step, on one thread.")
    parser.add_argument("--sizes", choices=workload.SIZES, default="base", help="default base")
    parser.add_argument("--steps", type=int, default=5, help="measured steps (default 5)")
    arguments = parser.parse_args(argv)
    if arguments.steps < 1:
        parser.error("--steps takes a number from 1 on")
    clock, s = Clock(), workload.SIZES[arguments.sizes]
    watch(clock)
    peer = by_npformer.Peer(s, 2, 0.0)
    peer.executor = None  # one lane after the other
    whole = 0.0
    for number in range(WARM_UP + arguments.steps):
        batch = peer.prepare(workload.make_batch(s, number))
        if number == WARM_UP:
            clock.seconds.clear()
        start = time.perf_counter()
        peer.step(batch)
        whole += time.perf_counter() - start if number >= WARM_UP else 0.0
    print("| op | ms a step | share |\n|---|---:|---:|")
    rest = whole
    for name, seconds in clock.seconds.most_common():
        print(f"| {name} | {1e3 * seconds / arguments.steps:.1f} | {seconds / whole:.1%} |")
        rest -= seconds
    print(f"| everything else | {1e3 * rest / arguments.steps:.1f} | {rest / whole:.1%} |")
    print(f"| one step, one thread | {1e3 * whole / arguments.steps:.1f} | 100% |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
