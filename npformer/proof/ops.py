"""The proof of the ops: each input of each op, by four independent checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..gradcheck import complex_step_gradient, error_of, numeric_gradient
from . import golden
from .cases import Case, cases
from .rows import Row, worst_by_input

Array = npt.NDArray[Any]
Stored = Mapping[str, Array]


def prove_op(op: str, seed: int = 0, stored: dict[str, Array] | None = None) -> list[Row]:
    """Check every input of `op` at the points drawn from `seed`.

    Parameters
    ----------
    op : str
        One of `OPS`.
    seed : int
    stored : dict, optional
        In place of the installed values from PyTorch, which belong to the points of seed 0.

    Returns
    -------
    list of Row
        One for the output and one for each input, each with its worst error over the cases.
    """
    stored = golden.load("golden_ops") if stored is None else stored
    rows: list[Row] = []
    for case in cases(op, seed):
        rows += prove_case(case)
    for case in cases(op, 0):
        rows += compare_with_stored(case, golden.part(stored, f"{op}/{case.variant}"))
    return worst_by_input(rows)


def prove_case(case: Case) -> list[Row]:
    """Check `case` by finite differences, by the complex step, and float32 against float64."""
    rows = {name: Row(case.op, name) for name in ("out", *case.inputs)}
    try:
        out, gradients = case.gradients()
    except (
        Exception
    ) as error:  # an op that raises at a good point is the worst failure of all, and has a name
        return [Row(case.op, "out", notes=[f"{case.variant}: {type(error).__name__}: {error}"])]
    _check_float32(case, rows)

    def f(**inputs: Array) -> Array:
        return case.forward(**inputs)[0]

    exact: dict[str, Array] = {}
    numeric: dict[str, Array] = {}
    for name in case.inputs:
        numeric[name], _ = numeric_gradient(f, case.inputs, name, case.dout)
        try:
            exact[name] = complex_step_gradient(f, case.inputs, name, case.dout)
        except TypeError as error:
            rows[name].notes.append(f"{case.variant}: {error}")
    scale = largest(numeric)
    for name, gradient in gradients.items():
        row, known_zero = rows[name], name in case.zero
        row.fd = relative(gradient, numeric[name], scale, known_zero, row, case)
        if name in exact:
            row.complex = relative(gradient, exact[name], scale, known_zero, row, case)
        if known_zero:
            row.zero = relative(gradient, np.zeros_like(case.inputs[name]), scale, True, row, case)
    if case.inputs:  # the complex path must be the same formula
        as_complex = f(**{name: x.astype(np.complex128) for name, x in case.inputs.items()})
        rows["out"].complex = relative(as_complex.real, out, 0.0, False, rows["out"], case)
    return list(rows.values())


def compare_with_stored(case: Case, stored: dict[str, Array]) -> list[Row]:
    """Compare outputs and gradients with those stored from PyTorch at the same point."""
    rows = {name: Row(case.op, name) for name in ("out", *case.inputs)}
    wanted = ["dout", "out", *(f"{kind}/{name}" for name in case.inputs for kind in ("in", "grad"))]
    missing = [key for key in wanted if key not in stored]
    if missing:
        rows["out"].torch = np.inf
        rows["out"].notes.append(f"{case.variant}: nothing stored from PyTorch for {missing[0]!r}")
        return list(rows.values())
    case = golden.stored_case(case, stored)
    try:
        out, gradients = case.gradients()
    except Exception as error:
        rows["out"].notes.append(f"{case.variant}: {type(error).__name__}: {error}")
        return list(rows.values())
    rows["out"].torch = relative(out, stored["out"], 0.0, False, rows["out"], case)
    scale = largest(golden.part(stored, "grad"))
    for name, gradient in gradients.items():
        reference = stored[f"grad/{name}"]
        rows[name].torch = relative(gradient, reference, scale, name in case.zero, rows[name], case)
    return list(rows.values())


def largest(tensors: Mapping[str, Array]) -> float:
    """Return the largest magnitude over all `tensors`."""
    return max((float(np.max(np.abs(x), initial=0.0)) for x in tensors.values()), default=0.0)


def relative(
    a: npt.ArrayLike, n: npt.ArrayLike, scale_all: float, known_zero: bool, row: Row, case: Case | None = None
) -> float:
    """Return the error of `a` against `n`; one known to be zero is measured by the scale of all tensors.

    A wrong shape is noted in the row, and its error infinite.
    """
    a, n = np.asarray(a), np.asarray(n)
    if a.shape != n.shape:
        where = f"{case.variant}: " if case is not None else ""
        row.notes.append(f"{where}expected shape {n.shape}, got {a.shape}")
        return np.inf
    if known_zero and scale_all > 0:
        return float(np.max(np.abs(a - n), initial=0.0)) / scale_all
    return error_of(a, n, scale_all)


def _check_float32(case: Case, rows: dict[str, Row]) -> None:
    """Compare float32 with float64 at the same inputs: those of the case, rounded to float32."""
    narrow = case.astype(np.float32)
    wide = narrow.astype(np.float64)
    out, gradients = narrow.gradients()
    exact_out, exact = wide.gradients()
    scale = largest(exact)
    for name, a, n in [("out", out, exact_out), *((name, gradients[name], exact[name]) for name in exact)]:
        row = rows[name]
        row.float32 = relative(a, n, 0.0 if name == "out" else scale, name in case.zero, row, case)
        if (
            case.inputs and np.asarray(a).dtype != np.float32
        ):  # a constant has no input to take its dtype from
            row.notes.append(f"{case.variant}: float32 in, {np.asarray(a).dtype} out")
