"""Processes give the same results in order, and none of them outlives the one that started it."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from npformer.proof import TARGETS, verify
from npformer.proof.processes import in_processes
from npformer.proof.verify import LONGEST

PACKAGE = Path(__file__).resolve().parents[2]


def test_results_come_in_the_order_of_the_pieces() -> None:
    found = in_processes(math.factorial, [3, 0, 5, 4], order=[2, 3, 0, 1], processes=2)
    assert list(found) == [6, 1, 120, 24]
    assert not multiprocessing.active_children()


def test_an_error_comes_back_and_ends_the_others_at_once() -> None:
    start = time.monotonic()
    with pytest.raises(ValueError, match="must be non-negative"):
        list(in_processes(time.sleep, [-1.0, 60.0], order=[1, 0], processes=2))
    assert time.monotonic() - start < 50
    assert not multiprocessing.active_children()


def test_the_proof_is_the_same_by_two_processes() -> None:
    seen: list[str] = []
    wanted = ["tanh", "lora", "relu"]  # of which the second, one of the LONGEST, is begun last
    shared = verify(wanted, 3, lambda rows: seen.append(rows[0].target), processes=2)
    assert seen == ["tanh", "encoder with LoRA", "relu"]
    assert shared.rows == verify(wanted, 3).rows


def test_at_least_one_process() -> None:
    with pytest.raises(ValueError, match="processes: expected at least 1, got 0"):
        verify(["relu"], processes=0)


def test_what_is_begun_first_are_targets() -> None:
    assert set(LONGEST) < set(TARGETS)


@pytest.mark.skipif(os.name == "nt", reason="signals and process groups are POSIX's")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_end_of_the_first_process_ends_all(how: signal.Signals) -> None:
    code = "import os, signal; os.sched_getaffinity = lambda pid: {0, 1}; from npformer.cli import main; "
    code += "signal.signal(signal.SIGINT, signal.default_int_handler); "  # a shell's background ignores it
    process = subprocess.Popen(
        [sys.executable, "-c", f"{code}raise SystemExit(main(['verify']))"],
        env={**os.environ, "PYTHONPATH": str(PACKAGE)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline().startswith("op ")  # the first target is proven
        process.send_signal(how)
        _, err = process.communicate(timeout=60)
        if how == signal.SIGINT:
            assert (process.returncode, err) == (130, "npformer verify: interrupted\n")
        deadline = time.monotonic() + 60
        while alive(process.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not alive(process.pid)
    finally:
        if alive(process.pid):
            os.killpg(process.pid, signal.SIGKILL)


def alive(group: int) -> bool:
    """Whether any process of the group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
