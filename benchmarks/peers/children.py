"""The peers' processes as a benchmark sees them: started, asked in turn, stopped."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
WARM_UP = 3
REST = 0.2  # seconds between peers: the threads of the peer before spin for a while before they sleep
BUSY = 0.1  # cores


class Child:
    """A peer's process, and what it has answered.

    `work` is a key of process.py's PEERS; " again" behind a peer's name makes a second process of it.
    """

    def __init__(
        self, work: str, name: str, sizes: str, threads: int, dropout: float = 0.0, padding: bool = False
    ) -> None:
        self.name = name
        self.seconds: list[float] = []
        self.results: list[Any] = []
        self.others: list[float] = []  # seconds of processor time that other processes took meanwhile
        self.peak_mb = 0.0
        self.norm_of_weights: float | None = None
        environment = dict(os.environ)
        # These two choose another BLAS kernel than the one people get.
        for variable in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
            environment.pop(variable, None)
        peer = name.split()[0]
        # npformer shares its lanes among Python threads, each with one BLAS thread; PyTorch has its own.
        blas_threads = "1" if peer.startswith(("npformer", "products")) else str(threads)
        for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            environment[variable] = blas_threads
        script, batch = str(HERE / "process.py"), "padding" if padding else "full"
        self.process = subprocess.Popen(
            [sys.executable, script, work, peer, sizes, str(threads), str(dropout), batch],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.about = self._answer()

    def step(self, number: int) -> None:
        """Ask for one step twice, and wait: the result is the first's, the time the second's.

        The first wakes the threads and fills the caches, which the peer before had: in a run, too, steps come
        one after another.
        """
        self.results.append(self._ask(step=number)["result"])
        answer = self._ask(step=number)
        self.seconds.append(answer["seconds"])
        self.others.append(answer["others"])

    def stop(self) -> None:
        """End the process and learn its peak memory and where its weights have got to."""
        answer = self._ask(stop=True)
        self.peak_mb, self.norm_of_weights = answer["peak_mb"], answer["norm_of_weights"]
        self.process.wait()

    def _ask(self, **request: object) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            status = self.process.wait()
            raise SystemExit(f"{self.name}: the process ended (status {status}); its error is above")
        return json.loads(line)


def measure(
    work: str,
    names: list[str],
    sizes: str,
    threads: int,
    rounds: int,
    dropout: float = 0.0,
    padding: bool = False,
) -> tuple[list[Child], dict[str, str]]:
    """Run every peer `rounds` times after a warm-up; also return the peers that are missing, and why."""
    children = [Child(work, name, sizes, threads, dropout, padding) for name in names]
    missing = {child.name: child.about["missing"] for child in children if "missing" in child.about}
    children = [child for child in children if child.name not in missing]
    for number in range(WARM_UP + rounds):
        shift = number % max(len(children), 1)
        for child in children[shift:] + children[:shift]:
            time.sleep(REST)
            child.step(number)
        print(f"\rround {number + 1} of {WARM_UP + rounds}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    for child in children:
        child.stop()
    return children, missing


def processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
