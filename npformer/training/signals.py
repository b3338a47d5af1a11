"""Stopping by hand: the first SIGINT or SIGTERM is noted, a second one ends the process at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption(KeyboardInterrupt):
    """Training was asked to stop and has saved its state; the message says after which step."""


class StopRequest:
    """Context in which the first SIGINT or SIGTERM sets `made`. Only the main thread can catch signals."""

    def __init__(self) -> None:
        self.made = False
        self._former: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            self._former = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.made:
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
        for number, handler in former.items():
            signal.signal(number, handler)
