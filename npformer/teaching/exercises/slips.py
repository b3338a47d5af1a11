"""Known slips: a line of the solution replaced. Whoever's numbers equal theirs gets told which slip it is."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

Slip = tuple[str, str, str, str]  # function, right, wrong, what it is in words


def with_slip(ours: Any, slip: Slip) -> SimpleNamespace:
    """The solution's functions with one line replaced.

    Raises
    ------
    ValueError
        If the line does not stand there exactly once.
    """
    name, right, wrong, _ = slip
    function: Callable[..., Any] = getattr(ours, name)
    source = inspect.getsource(function)
    if source.count(right) != 1:
        raise ValueError(f"{name}: the line {right!r} stands there {source.count(right)} times, not once")
    names = dict(vars(ours))
    exec(compile(source.replace(right, wrong), f"<{name}>", "exec"), names)
    return SimpleNamespace(**names)


def recognised(
    slips: tuple[Slip, ...], ours: Any, run: Callable[[Any], Any], same: Callable[[Any], bool]
) -> Iterator[str]:
    """Say of each slip that gives the same as the student's code what it is."""
    for slip in slips:
        try:
            found = run(with_slip(ours, slip))
        except Exception:  # a slip may not run everywhere
            continue
        if same(found):
            yield slip[3]
