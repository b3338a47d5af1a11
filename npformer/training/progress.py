"""Progress of long work: on a terminal one line that renews itself, otherwise a line now and then."""

from __future__ import annotations

import sys
import time
from typing import TextIO


class Progress:
    """Tells step, loss, speed and time left.

    Parameters
    ----------
    total : int
        Steps of the whole run.
    tokens_per_step : int
    out : file, optional
        Default: standard error.
    quiet : bool
        Write nothing but what `say` is given.
    """

    def __init__(
        self, total: int, tokens_per_step: int, out: TextIO | None = None, quiet: bool = False
    ) -> None:
        self.total, self.tokens_per_step, self.quiet = total, tokens_per_step, quiet
        self.out = sys.stderr if out is None else out
        self.terminal = self.out.isatty()
        self.interval = 0.2 if self.terminal else 5.0
        self.loss: float | None = None
        self.held_out: float | None = None
        self.width = 0
        self.gone = False
        self.begin(0)

    def begin(self, start: int) -> None:
        """Start the clock; `start` steps have been done before."""
        self.start = start
        self.began = self.told = time.monotonic()

    def update(self, step: int, loss: float) -> None:
        """Note the loss of a step; write if it is time to."""
        self.loss = loss if self.loss is None else 0.95 * self.loss + 0.05 * loss
        now = time.monotonic()
        if not self.quiet and (now - self.told >= self.interval or step == self.total):
            self.told = now
            self._write(self.line(step, now - self.began))

    def line(self, step: int, seconds: float) -> str:
        """Return what is told after `step`, `seconds` after the start."""
        done = step - self.start
        each = seconds / max(done, 1)
        parts = [f"step {step:,}/{self.total:,}", f"loss {self.loss:.3f}"]
        if self.held_out is not None:
            parts.append(f"held-out {self.held_out:.3f}")
        parts.append(f"{self.tokens_per_step / max(each, 1e-9):,.0f} tokens/s")
        parts.append(f"{clock(each * (self.total - step))} left")
        return "  ".join(parts)

    def say(self, line: str) -> None:
        """Write a line of its own, above the one that renews itself."""
        self.close()
        self._put(line + "\n")

    def close(self) -> None:
        """Leave the line that renews itself behind."""
        if self.width:
            self._put("\n")
            self.width = 0

    def _write(self, line: str) -> None:
        if self.terminal:
            self._put("\r" + line.ljust(self.width))
            self.width = len(line)
        else:
            self._put(line + "\n")

    def _put(self, text: str) -> None:
        if self.gone:
            return
        try:
            self.out.write(text)
            self.out.flush()
        except OSError:  # nobody reads it any more, as behind `2>&1 | head`: no reason to end a run
            self.gone = True


def clock(seconds: float) -> str:
    """Return hours, minutes and seconds.

    Examples
    --------
    >>> clock(75), clock(3675)
    ('1:15', '1:01:15')
    """
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02d}:{s:02d}" if hours else f"{m}:{s:02d}"
