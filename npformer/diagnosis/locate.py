"""Where in the derivation an unexplained error begins.

Three ways. A quantity in the user's cache is not what its name says (x_hat, P). An intermediate gradient
that the user's code exposes (dP, dS, dx_hat) is not what it should be: the first of these. Else a line is set
free: could the given gradients be had with other numbers in that line alone, every other line being right?
A row's mean has few numbers, a whole gradient as many as there are entries; the line with the fewest that can
do it is where the error sits. Where even those are more than half the entries, the line can take up a mistake
of a later one: the error then sits there or later, and nothing is claimed but for the last line.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..gradcheck import Evidence, Hypothesis
from .program import Line, compiled_name, program, reevaluate
from .recognise import Recognised

Array = npt.NDArray[Any]

FEWER = 0.5  # free numbers per entry, at most, in what may be called explained
FITS = 1e-7  # of the error
RIGHT = 1e-9  # of an intermediate's largest entry
RIGHT_NARROW = 1e-5  # where it is float32 or narrower
LARGEST = 400  # numbers in a line that is set free


@dataclass(frozen=True)
class Freed:
    """Lines of equally few free numbers for the entries of the wrong gradients that they then give."""

    lines: tuple[Line, ...]
    numbers: int
    entries: int

    @property
    def step(self) -> str:
        """The step that all of them belong to, or ""."""
        labels = [line.step for line in self.lines]
        every = {number for label in labels for number in label.split(", ")}
        return next((label for label in labels if {*label.split(", ")} == every), "")

    @property
    def share(self) -> float:
        """Free numbers per entry."""
        return self.numbers / self.entries


def locate(
    forms: Sequence[Recognised],
    evidence: Evidence,
    mine: str,
    given: Mapping[str, Array],
    wrong: Sequence[str],
    right: Sequence[str],
) -> Hypothesis | None:
    """Return the step in which the error of one gradient begins, where that can be told.

    Parameters
    ----------
    forms : sequence of Recognised
        The op in each form of its derivation.
    evidence : Evidence
    mine : str
        The input, by the textbook's name.
    given : mapping of str to ndarray
        The gradients.
    wrong, right : sequence of str
        Inputs whose gradient is wrong, and right.
    """
    exposed = intermediates_of(evidence)
    theirs = forms[0].inputs[mine]
    saved = _saved_wrong(forms[0], evidence.cache, mine)
    if saved is not None and not exposed:
        fact = f"The cache's {saved.target} is not what the derivation of {theirs} calls so, `{saved.text}`."
        return Hypothesis(f"wrong-{saved.target}", fact, "", 0.0, f"Look at {saved.target}.")
    best: Freed | None = None
    for known in forms:
        wrong_one, right_ones = _judged(known, exposed, mine)
        if wrong_one is not None:
            how = "the first intermediate that is wrong"
            how += f"; {right_ones[-1]} is right" if right_ones else ""
            return _told(wrong_one, f"The error of {theirs} begins in {_line(wrong_one)}: {how}.", 0.0)
        found = _freed(known, mine, given, wrong, right, right_ones)
        if found is not None and (best is None or found.share < best.share):
            best = found
    if best is None:
        return None
    lines = ", ".join(f"`{line.text}`" for line in best.lines)
    fact = f"No known mistake gives this gradient of {theirs}; "
    if not best.step:
        return Hypothesis("unknown", f"{fact}it sits in one of {lines}.", "", 0.0, "")
    last = best.lines[-1]
    if best.share <= FEWER:
        fact = (
            f"The gradient of {theirs} is right but for {_line(last)}: with other numbers there "
            f"({best.numbers} for {best.entries} entries) every entry is explained."
        )
        return _told(last, fact, 1.0, best.step)
    if last.target in {program(known.op).gradients[mine] for known in forms}:
        fact += f"it begins in {lines} (step {best.step}): no other numbers in an earlier line would give it."
        return _told(last, fact, 0.0, best.step)
    # (so many numbers can take up what a later line does, too)
    fact += (
        f"it sits in {lines} (step {best.step}) or a later line: no other numbers in an earlier one would "
    )
    fact += f"give it, and {best.numbers} numbers there for {best.entries} entries may hide a later mistake."
    return Hypothesis("unknown", fact, "", 0.0, "")


def _line(line: Line) -> str:
    return f"{line.target}, `{line.text}` (step {line.step})"


def _told(line: Line, fact: str, share: float, step: str = "") -> Hypothesis:
    return Hypothesis(f"wrong-{line.target}", fact, "", share, f"Look at {line.target}.", step or line.step)


def intermediates_of(evidence: Evidence) -> dict[str, Array]:
    """Return the intermediate gradients that a backward fills in when it is given a dictionary."""
    try:
        parameters = inspect.signature(evidence.backward).parameters
    except (TypeError, ValueError):
        return {}
    if "intermediates" not in parameters:
        return {}
    found: dict[str, Any] = {}
    try:
        evidence.backward(np.array(evidence.dout), evidence.cache, intermediates=found)
    except Exception:  # it is somebody's code, and this call is beside the check
        return {}
    return {name: np.asarray(x) for name, x in found.items() if isinstance(x, np.ndarray)}


def _saved_wrong(known: Recognised, cache: Any, mine: str) -> Line | None:
    """The first quantity of the forward, in a cache with names, that is not what its name says."""
    named = cache._asdict() if isinstance(cache, tuple) and hasattr(cache, "_asdict") else cache
    if not isinstance(named, Mapping):
        return None
    for line in program(known.op).lines:
        if line.backward or line.target == "out" or not isinstance(named.get(line.target), np.ndarray):
            continue
        value, other = np.asarray(known.values[line.target]), named[line.target]
        reaches = _reaches(known.op, line.target, program(known.op).gradients[mine], ())
        if other.shape == value.shape and other.dtype.kind in "biuf" and reaches and not _right(other, value):
            return line
    return None


def _right(given: Array, value: Array) -> bool:
    scale = float(np.max(np.abs(value), initial=0.0)) or 1.0
    narrow = given.dtype.kind == "f" and given.dtype.itemsize < 8
    error = float(np.max(np.abs(np.asarray(given, np.float64) - value), initial=0.0))
    return error <= (RIGHT_NARROW if narrow else RIGHT) * scale


def _judged(known: Recognised, exposed: Mapping[str, Array], mine: str) -> tuple[Line | None, list[str]]:
    """The first exposed intermediate on the way to a gradient that is wrong, and those that are right."""
    right: list[str] = []
    target = program(known.op).gradients[mine]
    for line in program(known.op).lines:
        if not line.backward or line.target not in exposed or line.target == target:
            continue
        if not _reaches(known.op, line.target, target, ()):
            continue
        value, other = np.asarray(known.values[line.target]), exposed[line.target]
        if other.shape != value.shape or not _right(other, value):
            return line, right
        right.append(line.target)
    return None, right


def _reaches(op: str, source: str, target: str, around: Sequence[str]) -> bool:
    """Does a line have a part in another by a way around some?"""
    if source in around:
        return False
    changed = {source}
    for line in program(op).lines:
        if line.reads & changed and line.target not in around and line.target != "dout":
            changed.add(line.target)
    return target in changed


def _freed(
    known: Recognised,
    mine: str,
    given: Mapping[str, Array],
    wrong: Sequence[str],
    right: Sequence[str],
    right_lines: Sequence[str],
) -> Freed | None:
    """Set each line free in turn; return those of the fewest numbers that give the gradients."""
    targets = program(known.op).gradients
    exact = {name: np.asarray(known.values[targets[name]]) for name in (*wrong, *right)}
    if any(given[name].shape != exact[name].shape or not np.isfinite(given[name]).all() for name in wrong):
        return None
    found: list[Freed] = []
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for line in program(known.op).lines:
            value = known.values.get(line.target)
            if not line.backward or line.target == "dout" or not isinstance(value, np.ndarray):
                continue
            if not 0 < value.size <= LARGEST or not _reaches(
                known.op, line.target, targets[mine], right_lines
            ):
                continue
            reached = [name for name in exact if _reaches(known.op, line.target, targets[name], right_lines)]
            error = np.concatenate([(given[n] - exact[n]).ravel() for n in reached if n in wrong] or [[]])
            spared = sum(exact[n].size for n in reached if n in right)
            error = np.concatenate([error, np.zeros(spared)])
            order = [n for n in reached if n in wrong] + [n for n in reached if n in right]
            rank = _rank_if_it_fits(known, line, value, order, exact, error)
            if rank:
                found.append(Freed((line,), rank, error.size - spared))
    if not found:
        return None
    best = min(found, key=lambda one: one.share)
    return replace(best, lines=tuple(line for one in found if one.share == best.share for line in one.lines))


def _rank_if_it_fits(
    known: Recognised,
    line: Line,
    value: Array,
    order: Sequence[str],
    exact: Mapping[str, Array],
    error: Array,
) -> int:
    """How many numbers of a line matter, if some choice of them gives the error; else 0."""
    columns = []
    for i in range(value.size):
        moved = np.array(value, np.float64)
        moved.flat[i] += 1.0
        effect = _effect(known, line, moved, order, exact)
        if effect is None:
            return 0
        columns.append(effect)
    J = np.stack(columns, axis=1)
    if not J.any() or not np.isfinite(J).all():
        return 0
    change, _, rank, _ = np.linalg.lstsq(J, error, rcond=1e-12)
    explained = _effect(known, line, value + change.reshape(value.shape), order, exact)  # not all is linear
    if explained is None or not np.max(np.abs(explained - error)) <= FITS * np.max(np.abs(error)):
        return 0
    return int(rank)


def _effect(
    known: Recognised, line: Line, value: Array, order: Sequence[str], exact: Mapping[str, Array]
) -> Array | None:
    """What other numbers in a line change in the gradients."""
    gradients = reevaluate(
        known.op, {**known.values, "_free": value}, {line.target: compiled_name("_free")}, {}
    )
    if gradients is None:
        return None
    changes = [np.asarray(gradients.get(name, exact[name]) - exact[name]).ravel() for name in order]
    return np.concatenate(changes)
