"""Grading functions by what they return: optimizers, a layer's and a model's gradients by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from ...gradcheck.derivative import fresh
from .attempt import Trouble, attempt, by_name, changed, difference, dtype_of, named
from .by_referee import Points, _mark, _nothing
from .exercise import Grader, Mark, Point
from .slips import Slip, recognised

Run = Callable[[Any, dict[str, Any]], Mapping[str, Any]]


def by_value(
    function: str,
    run: Run,
    items: Mapping[str, tuple[float, tuple[str, ...]]],
    points: Points,
    slips: tuple[Slip, ...] = (),
    after: str = "",
) -> tuple[Grader, tuple[tuple[str, str, float], ...]]:
    """Return a grader of one function, and its items.

    Parameters
    ----------
    function : str
    run : callable
        Gets the functions and the inputs of a point, returns arrays by name.
    items : mapping of str to (float, tuple of str)
        By item its points, and the beginnings of the names of its arrays. In the order in which a backward
        comes to them: the first wrong one is where to look.
    points : callable
        Returns the points; the first is shown.
    slips : tuple of Slip
    after : str
        A function whose output the graded one takes. Where the student's is wrong, ours is used.
    """
    listed = tuple((function, item, score) for item, (score, _) in items.items())

    def grade(theirs: Any, ours: Any) -> Iterator[Mark]:
        drawn = points()
        used, behind = theirs, ""
        if after and _differs(theirs, ours, after, drawn[0]):
            used = SimpleNamespace(**{**vars(theirs), after: getattr(ours, after)})
            behind = f" (after the solution's {after})"
        try:
            named(theirs, function)
            wrong = [_wrong(run, used, ours, point, i == 0) for i, point in enumerate(drawn)]
        except Trouble as trouble:
            for _, item, score in listed:
                yield _nothing(function, item, score, trouble)
            return
        told = ""  # at the first wrong item only
        for item, (score, names) in items.items():
            of_item = [_first(said, names) for said in wrong]
            slip = _slip(slips, run, used, ours, drawn[0], names) if of_item[0] and not told else ""
            first = "" if told or len(items) == 1 else " Nothing before it is wrong: look here first"
            mark = _mark(function, item, score, of_item, drawn, slip + first + behind if of_item[0] else "")
            told = told or mark.said
            yield mark

    return grade, listed


def _wrong(run: Run, theirs: Any, ours: Any, point: Point, shown: bool) -> dict[str, str]:
    expected = run(ours, fresh(point.inputs))
    inputs = fresh(point.inputs)
    try:
        given = attempt(run, theirs, inputs)
    except Trouble as trouble:
        if shown:
            raise
        return dict.fromkeys(expected, trouble.words.splitlines()[-1].strip())
    spoiled = changed(inputs, point.inputs)
    if spoiled:
        return dict.fromkeys(expected, f"it changed its input {spoiled[0]} in place")
    dtype = dtype_of(point.inputs)
    return {name: difference(given.get(name), x, dtype, shown) for name, x in expected.items()}


def _first(said: Mapping[str, str], names: tuple[str, ...]) -> str:
    """What is said of the first wrong array among those with these names."""
    mine = [(name, text) for name, text in said.items() if text and name.startswith(names)]
    if not mine:
        return ""
    name, text = mine[0]
    more = f" (and {len(mine) - 1} more)" if len(mine) > 1 else ""
    return f"{name}: {text}{more}"


def _slip(
    slips: tuple[Slip, ...], run: Run, theirs: Any, ours: Any, point: Point, names: tuple[str, ...]
) -> str:
    given = attempt(run, theirs, fresh(point.inputs))

    def same(found: Mapping[str, Any]) -> bool:
        mine = [name for name in found if name.startswith(names)]
        return all(not difference(given.get(name), found[name]) for name in mine)

    return next(recognised(slips, ours, lambda module: run(module, fresh(point.inputs)), same), "")


def _differs(theirs: Any, ours: Any, function: str, point: Point) -> bool:
    try:
        given = attempt(by_name, named(theirs, function), point.inputs)[0]
    except (Trouble, TypeError, IndexError):
        return True
    return bool(difference(given, by_name(getattr(ours, function), point.inputs)[0]))


def cotangent(out: Any) -> Any:
    """A fixed random dout for an output."""
    return np.random.default_rng(5).standard_normal(np.shape(out)).astype(np.asarray(out).dtype)
