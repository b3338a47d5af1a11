"""Progress: one line on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import io

import pytest

from npformer.training import progress as module
from npformer.training.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def run(out: io.StringIO, clock, steps: int = 40, quiet: bool = False) -> Progress:
    progress = Progress(100, tokens_per_step=1024, out=out, quiet=quiet)
    progress.begin(60)
    for step in range(61, 61 + steps):
        clock[0] += 1.0
        progress.update(step, loss=2.0)
    progress.close()
    return progress


def test_a_plain_line_every_few_seconds(clock):
    out = io.StringIO()
    run(out, clock)
    lines = out.getvalue().splitlines()
    assert len(lines) == 40 // 5
    # The speed is that of this process: the 60 steps before it took none of its time.
    assert lines[0] == "step 65/100  loss 2.000  1,024 tokens/s  0:35 left"
    assert lines[-1].startswith("step 100/100")
    assert "\r" not in out.getvalue()


def test_one_line_on_a_terminal(clock):
    out = Terminal()
    run(out, clock, steps=39)
    assert out.getvalue().count("\n") == 1
    assert out.getvalue().count("\r") == 39


def test_a_message_does_not_write_into_the_line(clock):
    out = Terminal()
    progress = Progress(10, 1, out=out)
    clock[0] += 1
    progress.update(1, 2.0)
    progress.held_out = 2.5
    progress.say("hello")
    assert out.getvalue().endswith(" left\nhello\n")
    assert "held-out 2.500" in progress.line(2, 2.0)


def test_quiet(clock):
    out = io.StringIO()
    run(out, clock, quiet=True).say("this is said all the same")
    assert out.getvalue() == "this is said all the same\n"


def test_nobody_who_reads_it_is_no_error(clock):
    class Closed(Terminal):
        def write(self, text: str) -> int:
            raise BrokenPipeError(32, "Broken pipe")

    progress = run(Closed(), clock)
    progress.say("hello")
    assert progress.loss is not None
