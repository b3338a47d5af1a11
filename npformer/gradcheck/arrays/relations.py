"""Relations between a given gradient and the other arrays, each of which has a name."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ..verdicts import Evidence, Hypothesis, Verdict
from .scale import EXACT, scaled

Array = npt.NDArray[Any]


def relations(evidence: Evidence, name: str) -> list[Hypothesis]:
    """Return the relations that hold for one wrong gradient, the most telling one first."""
    a, n = evidence.given[name], evidence.numeric[name]
    if a is None:
        fact = f"No gradient of {name} was returned."
        return [Hypothesis("gradient-missing", fact, "a value left out of the return", 1.0, "Return it.")]
    if a.dtype.kind not in "fiub" or not np.isfinite(n).all():
        return []
    given = np.asarray(a, np.float64)
    return list(_unfinite(evidence, name, given) or _found(evidence, name, given, n))


def _unfinite(evidence: Evidence, name: str, a: Array) -> list[Hypothesis]:
    if np.isfinite(a).all():
        return []
    rows = np.flatnonzero(~np.isfinite(a.reshape(a.shape[0] if a.ndim else 1, -1)).all(axis=1))
    where = f"in {len(rows)} of {a.shape[0] if a.ndim else 1} rows, first {rows[0]}"
    masked = any(isinstance(x, np.ndarray) and x.dtype.kind == "b" for x in evidence.inputs.values())
    cause = "a row with nothing to attend to is 0 / 0, or -inf - (-inf)" if masked else ""
    fact = f"The given gradient of {name} is not finite {where}; the numeric one is."
    return [Hypothesis("not-finite-rows", fact, cause, 1.0, "Guard the division and the subtraction there.")]


def _found(evidence: Evidence, name: str, a: Array, n: Array) -> Iterator[Hypothesis]:
    def told(identifier: str, fact: str, cause: str, fix: str) -> Hypothesis:
        return Hypothesis(identifier, fact, cause, 1.0, fix)

    if a.shape != n.shape:
        yield from _of_other_shape(name, a, n)
        return
    if not a.any():
        yield told(
            "zero-gradient",
            f"The given gradient of {name} is zero everywhere.",
            "a path that is never written: the gradient is what it was initialised with",
            "Add what flows through every use of the input.",
        )
        return
    for other, m in evidence.numeric.items():
        if other != name and m.shape == a.shape and same(a, m) and m.any():
            yield told(
                "swapped-gradients",
                f"The given gradient of {name} equals the numeric gradient of {other}.",
                "returned, or unpacked, in another order",
                "Return the gradients in the order of the inputs.",
            )
    c = float(np.sum(a * n) / np.sum(n * n)) if n.any() else math.nan
    if math.isfinite(c) and abs(c - 1) > EXACT and same(a, c * n, float(np.max(np.abs(a - n)))):
        yield scaled(evidence, name, c, n.ndim)
    scale = float(np.max(np.abs(n)))
    if evidence.verdicts[name] is Verdict.PRECISION and float(np.max(np.abs(a - n))) <= 1e-6 * scale:
        yield told(
            "float32-inside",
            f"The given gradient of {name} is right to float32's seven digits.",
            "an array of a fixed dtype, a float32 buffer or constant",
            "Make arrays with the dtype of the input (zeros_like).",
        )
    if a.ndim >= 2 and a.shape[-1] == a.shape[-2] and same(a, np.swapaxes(n, -1, -2)):
        yield told(
            "transposed",
            f"The given gradient of {name} is the transpose of the numeric one.",
            "the operands of the product of matrices in the wrong order",
            "Exchange the operands, or transpose the product.",
        )
    if isinstance(evidence.dout, np.ndarray):
        yield from _of_dout(evidence, name, a, n, evidence.dout)
    if a.size > 2 and not same(a, n) and same(np.sort(a, axis=None), np.sort(n, axis=None)):
        yield told(
            "values-permuted",
            f"The given gradient of {name} has the numeric one's values at other places.",
            "a reshape where a transpose belongs (heads merged or split)",
            "Swap the axes before the reshape.",
        )
    yield from _products(evidence, name, a, n)


def _of_other_shape(name: str, a: Array, n: Array) -> Iterator[Hypothesis]:
    fact = f"The given gradient of {name} has shape {a.shape} for {n.shape}"
    if a.size == n.size and same(a.ravel(), n.ravel()):
        text = f"{fact}, and the numeric one's values: an axis of length 1 too many or too few."
        yield Hypothesis(
            "keepdims-left-in", text, "keepdims=True left in a sum", 1.0, "Sum without keepdims."
        )
    elif a.ndim == 2 and n.shape == a.shape[::-1] and same(a.T, n):
        text = f"{fact}, and is its transpose."
        cause = "the operands of the product of matrices in the wrong order"
        yield Hypothesis("transposed", text, cause, 1.0, "Exchange the operands.")
    elif a.size < n.size and same(a.ravel(), _summed(n, a)):
        text = f"{fact}: the numeric one summed further, over axes that belong to it."
        cause = "sum() without an axis adds up what belongs to different entries"
        yield Hypothesis("summed-over-everything", text, cause, 1.0, "Sum over the rows alone.")
    elif a.size > n.size and a.shape[a.ndim - n.ndim :] == n.shape:
        axes = tuple(range(a.ndim - n.ndim))
        if same(a.sum(axis=axes), n):
            text = f"{fact}; summed over its first {len(axes)} axes it is right."
            cause = "a parameter that was broadcast over rows collects from all of them"
            yield Hypothesis("not-summed", text, cause, 1.0, "Sum over every axis that was broadcast.")


def _summed(n: Array, a: Array) -> Array:
    return np.ravel(n.sum()) if a.size == 1 else np.full(a.size, np.nan)


def _of_dout(evidence: Evidence, name: str, a: Array, n: Array, dout: Array) -> Iterator[Hypothesis]:
    ones = evidence.numeric_for(name, np.ones_like(dout))
    if ones.any() and same(a, ones):
        fact = f"The given gradient of {name} is the one for a dout of ones: it does not depend on dout."
        cause = "the backward was written for a loss that is the sum of the outputs"
        yield Hypothesis("upstream-ignored", fact, cause, 1.0, "Multiply by dout.")
    if a.shape == dout.shape:
        for target, identifier, what in (
            (dout, "branch-missing", "equals dout"),
            (n - dout, "skip-missing", "lacks dout, and nothing else"),
            (n + dout, "skip-doubled", "has dout once too often"),
        ):
            if same(a, target):
                fact = f"The given gradient of {name} {what}."
                cause = "the input reaches the output on two paths"
                yield Hypothesis(identifier, fact, cause, 1.0, "Add up the gradients of both paths.")
        with np.errstate(all="ignore"):
            yield from _dropped(name, a, n, dout)
    if n.ndim == 2:
        yield from _of_rows(evidence, name, a, n, dout)


def _of_rows(evidence: Evidence, name: str, a: Array, n: Array, dout: Array) -> Iterator[Hypothesis]:
    """The rows of a table that ids ask for."""
    for key, ids in evidence.inputs.items():
        if not (isinstance(ids, np.ndarray) and ids.dtype.kind in "iu" and ids.size):
            continue
        if dout.shape == (*ids.shape, n.shape[1]) and ids.min() >= 0 and ids.max() < len(n):
            last = np.zeros_like(n)
            last[ids] = dout
            if same(a, last):
                fact = (
                    f"Each row of the given gradient of {name} is dout at the last place of its id in {key}."
                )
                cause = "dtable[ids] += dout adds a repeated id once"
                fix = "Use np.add.at, or a product with the one-hot matrix."
                yield Hypothesis("overwritten-not-accumulated", fact, cause, 1.0, fix)
    wrong = (np.abs(a - n) > EXACT * float(np.max(np.abs(n)))).any(axis=1)
    if 0 < wrong.sum() <= max(1, len(wrong) // 4) and not a[wrong].any():
        rows = ", ".join(str(int(row)) for row in np.flatnonzero(wrong))
        fact = f"The given gradient of {name} is zero in row {rows}, and right elsewhere."
        cause = "a row is treated as padding which the forward does not treat so"
        fix = "Leave the row as it is, or mask it in the forward too."
        yield Hypothesis("row-zeroed", fact, cause, 1.0, fix)


def _dropped(name: str, a: Array, n: Array, dout: Array) -> Iterator[Hypothesis]:
    """Gradients that are dout times 0 or one constant, but at other places than the numeric one."""
    ratio, right = a / dout, n / dout
    kept, should = np.abs(ratio) > EXACT, np.abs(right) > EXACT
    if should.all() or not should.any() or not kept.any() or np.array_equal(kept, should):
        return
    if np.ptp(right[should]) > EXACT * abs(right[should][0]) or np.ptp(ratio[kept]) > EXACT * abs(
        ratio[kept][0]
    ):
        return  # the forward is no dropout, or the backward none
    c = f"{ratio[kept][0]:.6g} · dout"
    if kept.all():
        fact = f"The given gradient of {name} is {c} also where the output does not depend on it."
        fix = "Multiply by the mask."
        yield Hypothesis("mask-not-applied", fact, "the forward's mask is not used", 1.0, fix)
    elif np.array_equal(kept, ~should):
        fact = f"The given gradient of {name} is zero where the numeric one is not, and the reverse."
        cause = "the mask says what is dropped, and is taken for what is kept"
        yield Hypothesis("mask-inverted", fact, cause, 1.0, "Use the mask the other way round.")
    else:
        fact = f"The given gradient of {name} is 0 or {c}, with zeros where the numeric one has none."
        cause = "the backward draws a mask of its own"
        fix = "Keep the forward's mask in the cache and use it."
        given_c, right_c = float(ratio[kept][0]), float(right[should][0])
        scale = "" if abs(given_c - right_c) <= EXACT * right_c else " + scaled"
        if scale and abs(given_c - 1) <= EXACT:
            scale = " + keep-scale-missing"
        elif scale and abs(given_c * (1 - 1 / right_c) - 1) <= EXACT:
            scale = " + divided-by-p"
        yield Hypothesis(f"mask-redrawn{scale}", fact, cause, 1.0, fix)


def _products(evidence: Evidence, name: str, a: Array, n: Array) -> Iterator[Hypothesis]:
    others = [*evidence.inputs.items(), ("the output", evidence.out), ("dout", evidence.dout)]
    for key, b in others:
        if not (isinstance(b, np.ndarray) and b.dtype.kind == "f" and b.size > 1 and _fits(a, b)):
            continue
        if not np.isfinite(b).all():
            continue
        if same(a * b, n):
            fact = f"The given gradient of {name} times {key} is the numeric one."
            yield Hypothesis("factor-missing", fact, f"the factor {key} is lost", 1.0, f"Multiply by {key}.")
        elif same(n * b, a):
            fact = f"The given gradient of {name} is the numeric one times {key}."
            yield Hypothesis("factor-extra", fact, f"{key} is one factor too many", 1.0, f"Leave {key} out.")


def _fits(a: Array, b: Array) -> bool:
    """Does b broadcast to the shape of a?"""
    return b.ndim <= a.ndim and all(m in (1, k) for m, k in zip(b.shape[::-1], a.shape[::-1], strict=False))


def same(a: Array, b: Array, error: float | None = None) -> bool:
    """Equal to a small fraction of the largest entry, or of the error that is to be explained."""
    if a.shape != b.shape or not a.size:
        return False
    scale = float(np.max(np.abs(b)))
    allowed = EXACT * scale
    if error is not None:
        allowed = min(allowed, 1e-4 * error)
    return float(np.max(np.abs(a - b))) <= max(allowed, 1e-13 * scale)
