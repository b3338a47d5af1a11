"""Where an error sits and how it is built, when no relation explains it: facts, and no guess at a cause."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..verdicts import Evidence, Hypothesis, Verdict

Array = npt.NDArray[Any]

FITS = 1e-6  # of the error
NUMERIC = 1e-12  # of the gradient: what the numeric one leaves, which is much of a small error


def structure(evidence: Evidence, name: str) -> list[Hypothesis]:
    """Return one hypothesis: the error's structure where it has one, else "unknown" with its place."""
    a, n = evidence.given[name], evidence.numeric[name]
    if a is None or a.shape != n.shape or a.dtype.kind not in "fiub":
        return []
    e = np.asarray(a, np.float64) - n
    if not np.isfinite(e).all() or not e.any() or e.ndim == 0:
        return []
    largest = float(np.max(np.abs(e)))
    threshold = max(FITS * largest, min(NUMERIC * float(np.max(np.abs(n))), 1e-2 * largest))
    wrong = np.abs(e) > threshold
    facts = [_support(name, wrong)]
    identifier = "unknown"
    if e.ndim >= 2 and e.shape[-1] > 2:
        found = _by_rows(evidence, name, e, threshold)
        if found:
            identifier, fact = found
            facts.append(fact)
        else:
            flat = e.reshape(-1, e.shape[-1])
            s = np.linalg.svd(flat, compute_uv=False)
            rank = int(np.sum(s > threshold / largest * s[0]))
            shifted = _row_and_one(evidence, e, threshold)
            if shifted:
                facts.append(shifted)
            elif rank < min(flat.shape):
                facts.append(f"As a matrix the error has rank {rank} of {min(flat.shape)}.")
    right = [key for key, verdict in evidence.verdicts.items() if verdict is Verdict.OK]
    if right and identifier == "unknown":
        facts.append(f"Right {'is' if len(right) == 1 else 'are'} {', '.join(right)}.")
    share = 1.0 if identifier != "unknown" else 0.0
    return [Hypothesis(identifier, " ".join(facts), "", share, "")]


def _support(name: str, wrong: Array) -> str:
    count = int(wrong.sum())
    if count == wrong.size:
        return f"The error of {name} is spread over all {wrong.size} entries."
    matrix = wrong.reshape(-1, wrong.shape[-1])
    rows, columns = np.asarray(matrix.any(axis=1)), np.asarray(matrix.any(axis=0))
    text = f"The error of {name} sits in {count} of {wrong.size} entries"
    if wrong.ndim >= 2 and rows.sum() < len(rows):
        which = ", ".join(str(int(i)) for i in np.flatnonzero(rows)[:6])
        return f"{text}, in the rows {which} alone."
    if wrong.ndim >= 2 and columns.sum() < len(columns):
        which = ", ".join(str(int(i)) for i in np.flatnonzero(columns)[:6])
        return f"{text}, in the columns {which} alone."
    return f"{text}, first at {tuple(int(i) for i in np.argwhere(wrong)[0])}."


def _by_rows(evidence: Evidence, name: str, e: Array, allowed: float) -> tuple[str, str] | None:
    """Is each row of the error one number times a known row, or each column one number?"""
    flat = e.reshape(-1, e.shape[-1])
    if len(flat) > 1 and float(np.max(np.ptp(flat, axis=1))) <= allowed:
        return "row-constant", (
            "Each row of the error is one number: a term that depends on the row alone is wrong."
        )
    if len(flat) > 2 and float(np.max(np.ptp(flat, axis=0))) <= allowed:
        return "column-constant", (
            "Each column of the error is one number: a term that depends on the column alone is wrong."
        )
    for key, b in _like(evidence, e):
        other = b.reshape(flat.shape)
        squares = np.sum(other * other, axis=1, keepdims=True)
        s = np.sum(flat * other, axis=1, keepdims=True) / np.where(squares == 0, 1, squares)
        if float(np.max(np.abs(flat - s * other))) <= allowed:
            return "row-multiple", (
                f"Each row of the error is one number times that row of {key}: a term of that form is wrong."
            )
    return None


def _row_and_one(evidence: Evidence, e: Array, allowed: float) -> str:
    """Is each row of the error a number plus a number times a known row, as layer norm's terms are?"""
    flat = e.reshape(-1, e.shape[-1])
    if flat.shape[1] < 5:  # two numbers would say little
        return ""
    centred = flat - flat.mean(axis=1, keepdims=True)
    for key, b in _like(evidence, e):
        other = b.reshape(flat.shape)
        other = other - other.mean(axis=1, keepdims=True)
        squares = np.sum(other * other, axis=1, keepdims=True)
        s = np.sum(centred * other, axis=1, keepdims=True) / np.where(squares == 0, 1, squares)
        if float(np.max(np.abs(centred - s * other))) <= allowed:
            return f"Each row of the error is a number plus a number times that row of {key}."
    return ""


def _like(evidence: Evidence, e: Array) -> list[tuple[str, Array]]:
    """The output and the inputs that have the error's shape."""
    return [
        (key, b)
        for key, b in [("the output", evidence.out), *evidence.inputs.items()]
        if isinstance(b, np.ndarray) and b.dtype.kind == "f" and b.shape == e.shape and np.isfinite(b).all()
    ]
