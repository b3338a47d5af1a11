"""Grading an op and its backward: the value against ours, the gradients by the referee.

At the shown point the referee differentiates the student's forward numerically and names the mistake. At the
hidden points the gradients are compared with ours, which is quick; where they differ the referee is asked.
A backward behind a wrong forward is graded behind ours, so each function earns its own points.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ...diagnosis import check
from ...gradcheck import Result
from ...gradcheck.derivative import fresh
from .attempt import Trouble, attempt, by_name, difference, dtype_of, named
from .exercise import Grader, Mark, Point
from .slips import Slip, recognised

Points = Callable[[], list[Point]]


def op_pair(
    name: str,
    op: str,
    items: Mapping[str, float],
    points: Points,
    slips: tuple[Slip, ...] = (),
) -> tuple[Grader, tuple[tuple[str, str, float], ...]]:
    """Return a grader of `name`_forward and `name`_backward, and its items.

    Parameters
    ----------
    name : str
    op : str
        What the referee knows it as.
    items : mapping of str to float
        Points for "value" (absent where the forward is given) and for each gradient "dx", "dw", ..., in the
        order in which the backward returns them.
    points : callable
        Returns the points; the first is shown.
    slips : tuple of Slip
        Of the forward.
    """
    forward, backward = f"{name}_forward", f"{name}_backward"
    gradients = [item for item in items if item != "value"]
    listed = tuple((forward if item == "value" else backward, item, p) for item, p in items.items())

    def grade(theirs: Any, ours: Any) -> Iterator[Mark]:
        drawn = points()
        right = [""] * len(drawn)
        if "value" in items:
            right = [_value(theirs, ours, forward, point, i == 0) for i, point in enumerate(drawn)]
            slip = _slip(slips, theirs, ours, forward, drawn[0]) if right[0] else ""
            yield _mark(forward, "value", items["value"], right, drawn, slip)
        given = "value" not in items  # a forward that was given is ours, whatever they made of it
        use = [getattr(ours if wrong or given else theirs, forward) for wrong in right]
        try:
            called = named(theirs, backward)
            shown = _shown(use[0], called, drawn[0], op)
            hidden = _hidden(use, called, ours, name, drawn, op, gradients, shown)
        except Trouble as trouble:
            for item in gradients:
                yield _nothing(backward, item, items[item], trouble)
            return
        behind = ""
        if right[0]:
            behind = f" (after the solution's {forward}, since yours is {_state(right[0])})"
        for item in gradients:
            result = shown.get(item[1:])
            said = "no gradient came out" if result is None else "" if result.passed else _told(result)
            yield _mark(
                backward, item, items[item], [said + behind if said else "", *hidden[item]], drawn, ""
            )

    return grade, listed


def _state(wrong: str) -> str:
    return "not started" if wrong == "not started" else "wrong"


def _nothing(function: str, item: str, points: float, trouble: Trouble) -> Mark:
    said = trouble.words if trouble.started else ""
    return Mark(function, item, points, 0.0, 0.0, said, started=trouble.started)


def _mark(function: str, item: str, points: float, wrong: list[str], drawn: list[Point], slip: str) -> Mark:
    """A mark of what is wrong at each point; the hidden ones count only where the shown one is right."""
    if wrong[0] == "not started":
        return Mark(function, item, points, 0.0, 0.0, started=False)
    if wrong[0]:
        return Mark(function, item, points, 0.0, 0.0, wrong[0] + (f". {slip}" if slip else ""))
    hidden = wrong[1:]
    share = sum(not said for said in hidden) / len(hidden) if hidden else 1.0
    failed = [f"{p.kind}: {said}" for p, said in zip(drawn[1:], hidden, strict=True) if said]
    return Mark(function, item, points, 1.0, share, "", "\n".join(failed))


def _value(theirs: Any, ours: Any, forward: str, point: Point, shown: bool) -> str:
    expected = by_name(getattr(ours, forward), point.inputs)[0]
    try:
        given = attempt(by_name, named(theirs, forward), point.inputs)
    except Trouble as trouble:
        if not trouble.started:
            return "not started"
        return trouble.words if shown else trouble.words.splitlines()[-1].strip()
    if not (isinstance(given, tuple) and len(given) == 2):
        return f"expected (out, cache), got {type(given).__name__}"
    return difference(given[0], expected, dtype_of(point.inputs), shown)


def _slip(slips: tuple[Slip, ...], theirs: Any, ours: Any, forward: str, point: Point) -> str:
    def value(module: Any) -> Any:
        return by_name(getattr(module, forward), point.inputs)[0]

    try:
        given = attempt(value, theirs)
    except (Trouble, AttributeError):
        return ""
    return next(recognised(slips, ours, value, lambda found: not difference(given, found)), "")


def _shown(forward: Any, backward: Any, point: Point, op: str) -> dict[str, Result]:
    def judged() -> Any:
        return check(forward, backward, fresh(point.inputs), op=op, rng=np.random.default_rng(7))

    return {result.name: result for result in attempt(judged).results}


def _told(result: Result) -> str:
    """The verdict's sentence, the fact and the typical cause: not the fix, which is the exercise."""
    said = f"{result.verdict.name}: {result.sentence}"
    if result.hypotheses:
        first = result.hypotheses[0]
        said += f" [{first.identifier}] {first.fact}" + (f" Typically: {first.cause}." if first.cause else "")
    return said


def _hidden(
    forwards: list[Any],
    backward: Any,
    ours: Any,
    name: str,
    drawn: list[Point],
    op: str,
    gradients: list[str],
    shown: Mapping[str, Result],
) -> dict[str, list[str]]:
    """What is wrong at each hidden point, by gradient."""
    wrong: dict[str, list[str]] = {item: [] for item in gradients}
    open_items = [item for item in gradients if item[1:] in shown and shown[item[1:]].passed]
    for forward, point in zip(forwards[1:], drawn[1:], strict=True):
        said = _at(forward, backward, ours, name, point, gradients) if open_items else {}
        if any(said.get(item) for item in open_items):
            causes = _causes(forward, backward, point, op)
            said = {item: text and text + causes.get(item[1:], "") for item, text in said.items()}
        for item in gradients:
            wrong[item].append(said.get(item, ""))
    return wrong


def _at(
    forward: Any, backward: Any, ours: Any, name: str, point: Point, gradients: list[str]
) -> dict[str, str]:
    out, cache = by_name(getattr(ours, f"{name}_forward"), point.inputs)
    dout = np.random.default_rng(11).standard_normal(np.shape(out)).astype(np.asarray(out).dtype)
    expected = _listed(getattr(ours, f"{name}_backward")(dout.copy(), cache), gradients)

    def run() -> Any:
        return backward(dout.copy(), by_name(forward, point.inputs)[1])

    try:
        given = _listed(attempt(run), gradients)
    except Trouble as trouble:
        return dict.fromkeys(gradients, trouble.words.splitlines()[-1].strip())
    if len(given) < len(gradients):
        return dict.fromkeys(gradients, "another number of gradients came out")
    dtype = dtype_of(point.inputs)
    return {item: difference(given[item], expected[item], dtype, shown=False) for item in gradients}


def _listed(gradients: Any, items: list[str]) -> dict[str, Any]:
    if isinstance(gradients, Mapping):
        return {item: gradients.get(item, gradients.get(item[1:])) for item in items}
    if not isinstance(gradients, (tuple, list)):
        gradients = (gradients,)
    if len(gradients) > len(items):
        gradients = [gradient for gradient in gradients if gradient is not None]
    return dict(zip(items, gradients, strict=False))


def _causes(forward: Any, backward: Any, point: Point, op: str) -> dict[str, str]:
    """The typical cause at a hidden point, without any number."""
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            report = check(forward, backward, fresh(point.inputs), op=op)
    except Exception:  # their code, at a point of ours
        return {}
    return {
        result.name: f" [{result.hypotheses[0].identifier}]"
        for result in report.results
        if not result.passed and result.hypotheses
    }
