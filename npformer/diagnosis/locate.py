"""Where in the derivation an unexplained error begins.

Three ways: the first intermediate gradient that the user's code exposes (dP, dS, dx_hat) and that is not
what it should be; a quantity of few numbers (a row's mean) which, had it other values, would give the
gradient as it is, with far fewer unknowns than equations; the only line that reaches the wrong gradients
and no right one.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..gradcheck import Evidence, Hypothesis
from .program import Line, program, reevaluate
from .recognise import Recognised

Array = npt.NDArray[Any]

FEWER = 0.5  # unknowns per entry of the gradient, at most
FITS = 1e-7  # of the error


def locate(
    known: Recognised,
    evidence: Evidence,
    mine: str,
    given: Mapping[str, Array],
    wrong: Sequence[str],
    right: Sequence[str],
) -> Hypothesis | None:
    """Return the line in which the error of one gradient begins, where that can be told."""
    theirs = known.inputs[mine]
    exposed = _first_wrong_intermediate(known, evidence, mine)
    if exposed is not None:
        line, how = exposed
        fact = f"The error of {theirs} begins in {line.target}, `{line.text}` (step {line.step}): {how}."
        return Hypothesis(f"wrong-{line.target}", fact, "", 0.5, f"Look at {line.target}.", line.step)
    fitted = _fitted(known, mine, given, right)
    if fitted is not None:
        line, other = fitted
        fact = (
            f"The gradient of {theirs} is right but for {line.target}, `{line.text}` (step {line.step}): "
            f"with other numbers there ({other}) every entry is explained."
        )
        return Hypothesis(f"wrong-{line.target}", fact, "", 0.9, f"Look at {line.target}.", line.step)
    suspects = _suspects(known, wrong, right)
    if len(suspects) == 1:
        line = suspects[0]
        fact = (
            f"No known mistake gives this gradient of {theirs}; it can only sit in `{line.text}` "
            f"(step {line.step}), since every other line also reaches a gradient that is right."
        )
        return Hypothesis(f"wrong-{line.target}", fact, "", 0.5, f"Look at {line.target}.", line.step)
    if suspects:
        lines = ", ".join(f"`{line.text}`" for line in suspects[:6])
        fact = f"No known mistake gives this gradient of {theirs}. It sits in one of {lines}."
        return Hypothesis("unknown", fact, "", 0.0, "", suspects[-1].step if len(suspects) == 1 else "")
    return None


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


def _first_wrong_intermediate(known: Recognised, evidence: Evidence, mine: str) -> tuple[Line, str] | None:
    exposed = intermediates_of(evidence)
    if not exposed:
        return None
    last_right = ""
    target = program(known.op).gradients[mine]
    for line in program(known.op).lines:
        reaches = any(
            other.target == target for other in program(known.op).downstream(frozenset([line.target]))
        )
        if not line.backward or line.target not in exposed or not reaches:
            continue
        value = np.asarray(known.values[line.target])
        other = exposed[line.target]
        scale = float(np.max(np.abs(value), initial=0.0)) or 1.0
        if other.shape != value.shape or not float(np.max(np.abs(other - value))) <= 1e-9 * scale:
            how = "the first intermediate that is wrong" + (f"; {last_right} is right" if last_right else "")
            return line, how
        last_right = line.target
    if last_right:
        after = [
            line
            for line in program(known.op).downstream(frozenset([last_right]))
            if line.target != last_right
            and any(o.target == target for o in program(known.op).downstream(frozenset([line.target])))
        ]
        if len(after) == 1:
            return after[0], f"{last_right} is right"
    return None


def _fitted(
    known: Recognised, mine: str, given: Mapping[str, Array], right: Sequence[str]
) -> tuple[Line, str] | None:
    """A line of few numbers, other values of which explain the whole gradient."""
    a = given[mine]
    target = program(known.op).gradients[mine]
    exact = np.asarray(known.values[target])
    if a.shape != exact.shape or not np.isfinite(a).all():
        return None
    error = (a - exact).ravel()
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for line in program(known.op).lines:
            value = known.values.get(line.target)
            if not line.backward or line.target in ("dout", target) or not isinstance(value, np.ndarray):
                continue
            if not 0 < value.size <= FEWER * a.size or value.size > 200:
                continue
            columns = [_effect(known, line.target, value, i, mine, exact) for i in range(value.size)]
            if any(column is None for column in columns):
                continue
            J = np.stack([column for column in columns if column is not None], axis=1)
            if not J.any():
                continue
            solution, *_ = np.linalg.lstsq(J, error, rcond=None)
            left = float(np.max(np.abs(J @ solution - error)))
            if left <= FITS * float(np.max(np.abs(error))):
                return line, f"{value.size} against {a.size}"
    return None


def _effect(known: Recognised, target: str, value: Array, i: int, mine: str, exact: Array) -> Array | None:
    moved = np.array(value, np.float64)
    moved.flat[i] += 1.0
    code = compile("_moved", "<fit>", "eval")
    gradients = reevaluate(known.op, {**known.values, "_moved": moved}, {target: code}, {})
    if gradients is None:
        return None
    if mine not in gradients:
        return np.zeros(exact.size)
    return np.asarray(gradients[mine] - exact).ravel()


def _suspects(known: Recognised, wrong: Sequence[str], right: Sequence[str]) -> list[Line]:
    """Backward lines that reach a wrong gradient and no right one."""
    known_program = program(known.op)
    good = {known_program.gradients[name] for name in right}
    bad = {known_program.gradients[name] for name in wrong}
    found = []
    for line in known_program.lines:
        if not line.backward or line.target == "dout":
            continue
        reached = {other.target for other in known_program.downstream(frozenset([line.target]))}
        if reached & bad == bad and not reached & good:
            found.append(line)
    return found
