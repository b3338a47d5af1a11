"""Stopping by hand: the first SIGINT, SIGTERM or SIGHUP is noted, a second one ends the process at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
HANG_UP = getattr(signal, "SIGHUP", None)  # the terminal is gone; not on Windows


class Interruption(KeyboardInterrupt):
    """Training was asked to stop and has saved its state; the message says after which step."""


class StopRequest:
    """Context in which the first SIGINT or SIGTERM sets `made`. Only the main thread can catch signals.

    So does SIGHUP, where nobody has seen to it (nohup has it ignored).
    """

    def __init__(self) -> None:
        self.made = False
        self._former: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            numbers = [*SIGNALS]
            if HANG_UP is not None and signal.getsignal(HANG_UP) == signal.SIG_DFL:
                numbers.append(HANG_UP)
            self._former = {number: signal.signal(number, self._note) for number in numbers}
        return self

    def __exit__(self, *exc: object) -> None:
        _restore(self._former)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.made and number != HANG_UP:  # which the shell and the kernel both send
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self.made = True


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Context in which SIGINT and SIGTERM raise KeyboardInterrupt at once: nothing is to be saved first."""
    former: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        former = {number: signal.signal(number, signal.default_int_handler) for number in SIGNALS}
    try:
        yield
    finally:
        _restore(former)


def _restore(former: dict[int, Any]) -> None:
    for number, handler in former.items():
        # None: installed by what Python is embedded in, and cannot be put back
        signal.signal(number, signal.SIG_DFL if handler is None else handler)
