"""A backward is linear in dout, whatever the op: twice the dout, twice the gradient; none, none.

That needs no derivative to be seen, and says of a wrong gradient in which of its factors the mistake is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .call import Problem, by_name, parts
from .derivative import fresh
from .observe import Observation
from .verdicts import Finding, Verdict

Array = npt.NDArray[Any]

FACTOR = -2.0  # a power of two rounds nothing; its sign shows |dout|, which is as good as linear upwards
ROUNDING = {4: 1e-5, 8: 1e-12}  # of the gradient's largest entry, by the bytes of a number


def of_backward(problem: Problem, seen: Observation) -> dict[str, list[Finding]]:
    """Return what is found of each gradient with other cotangents at the same point.

    Parameters
    ----------
    problem : Problem
    seen : Observation
        Of calls that were deterministic.

    Returns
    -------
    dict of str to list of Finding
        By input; nothing where the gradient is linear in dout, or cannot be had.
    """
    found: dict[str, list[Finding]] = {name: [] for name in problem.wrt}
    none, times = _gradients(problem, seen, 0.0), _gradients(problem, seen, FACTOR)
    for name, given in seen.given.items():
        if given is None or given.dtype.kind != "f" or not np.isfinite(given).all():
            continue
        scale = float(np.max(np.abs(given), initial=0.0))
        allowed = ROUNDING.get(given.dtype.itemsize, 1e-2) * scale
        at = _beyond(none.get(name), np.zeros_like(given), allowed)
        if at is not None:
            index, value = at
            sentence = f"With dout = 0 the gradient of {name} is not 0 but {value:.6g} at {index}: "
            found[name].append(Finding(Verdict.WRONG, sentence + "a term that dout is no factor of."))
        elif _beyond(times.get(name), FACTOR * given, allowed) is not None:
            sentence = f"With -2 · dout the gradient of {name} is not -2 times what it is with dout: "
            found[name].append(Finding(Verdict.WRONG, sentence + "it is not linear in dout."))
    return found


def _gradients(problem: Problem, seen: Observation, factor: float) -> dict[str, Any]:
    """The gradients with dout times a factor; nothing where the backward does not take that."""
    inputs = fresh(problem.inputs)
    _, cache, cached = problem.evaluate(inputs)
    scaled = tuple(np.asarray(factor * part, part.dtype) for part in parts(seen.dout))
    dout = scaled if isinstance(seen.dout, tuple) else scaled[0]
    if not cached:
        inputs = fresh(problem.inputs)
    try:
        return by_name(problem.differentiate(dout, inputs, cache, cached), problem)
    except Exception:  # at the dout of the check it runs: that is what is judged
        return {}


def _beyond(given: Any, expected: Array, allowed: float) -> tuple[tuple[int, ...], float] | None:
    """Where an array differs most from what it should be, if by more than is allowed."""
    if not isinstance(given, np.ndarray) or given.shape != expected.shape or not np.isfinite(given).all():
        return None
    difference = np.abs(given - expected)
    if not difference.size or float(np.max(difference)) <= allowed:
        return None
    index = np.unravel_index(int(np.argmax(difference)), difference.shape)
    return tuple(int(i) for i in index), float(given[index])
