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

FAR = 1e6  # times the input
NOTHING = 1e-2  # of the input: what a bounded branch is far out, with room for a small entry


def relations(evidence: Evidence, name: str) -> list[Hypothesis]:
    """Return the relations that hold for one wrong gradient, the most telling one first."""
    a, n = evidence.given[name], evidence.numeric[name]
    if a is None and not evidence.told_apart:
        return []  # some were returned, and nobody knows of which inputs
    if a is None:
        fact = f"No gradient of {name} was returned."
        return [Hypothesis("gradient-missing", fact, "a value left out of the return", 1.0, "Return it.")]
    if a.dtype.kind not in "fiub" or not np.isfinite(n).all():
        return []
    given = np.asarray(a, np.float64)
    found = list(_unfinite(evidence, name, given) or _found(evidence, name, given, n))
    return found or _of_another(evidence, name, given)


def _of_another(evidence: Evidence, name: str, a: Array) -> list[Hypothesis]:
    for other, m in evidence.numeric.items():
        if other != name and same(a, m) and m.any():
            fact = f"The given gradient of {name} is that of {other}."
            fix = f"Derive the gradient of {name} by itself."
            return [Hypothesis("gradient-of-another", fact, "one gradient is returned twice", 1.0, fix)]
    return []


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
    error = float(np.max(np.abs(a - n)))  # which is to be explained, however small it is

    def gives(target: Array) -> bool:
        return same(a, target, error)

    for other, m in evidence.numeric.items():
        if other != name and gives(m) and m.any() and _is_given_elsewhere(evidence, name, n):
            yield told(
                "swapped-gradients",
                f"The given gradient of {name} equals the numeric gradient of {other}.",
                "returned, or unpacked, in another order",
                "Return the gradients in the order of the inputs.",
            )
    c = float(np.sum(a * n) / np.sum(n * n)) if n.any() else math.nan
    if math.isfinite(c) and abs(c - 1) > EXACT and gives(c * n):
        yield scaled(evidence, name, c, n.ndim)
    scale = float(np.max(np.abs(n)))
    if evidence.verdicts[name] is Verdict.PRECISION and error <= 1e-6 * scale:
        yield told(
            "float32-inside",
            f"The given gradient of {name} is right to float32's seven digits.",
            "an array of a fixed dtype, a float32 buffer or constant",
            "Make arrays with the dtype of the input (zeros_like).",
        )
    if a.ndim >= 2 and a.shape[-1] == a.shape[-2] and gives(np.swapaxes(n, -1, -2)):
        yield told(
            "transposed",
            f"The given gradient of {name} is the transpose of the numeric one.",
            "the operands of the product of matrices in the wrong order",
            "Exchange the operands, or transpose the product.",
        )
    if isinstance(evidence.dout, np.ndarray):
        yield from _of_dout(evidence, name, a, n, evidence.dout)
    if a.size > 2 and not same(a, n) and same(np.sort(a, axis=None), np.sort(n, axis=None), error):
        yield told(
            "values-permuted",
            f"The given gradient of {name} has the numeric one's values at other places.",
            "a reshape where a transpose belongs (heads merged or split)",
            "Swap the axes before the reshape.",
        )
    yield from _products(evidence, name, a, n)


def _is_given_elsewhere(evidence: Evidence, name: str, n: Array) -> bool:
    """Is the right gradient of an input given for another one, as it is where two are exchanged?"""
    return any(
        given is not None and given.dtype.kind in "fiub" and same(np.asarray(given, np.float64), n)
        for other, given in evidence.given.items()
        if other != name
    )


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
    error = float(np.max(np.abs(a - n)))
    ones = evidence.numeric_for(name, np.ones_like(dout))
    if ones.any() and same(a, ones, error):
        fact = f"The given gradient of {name} is the one for a dout of ones: it does not depend on dout."
        cause = "the backward was written for a loss that is the sum of the outputs"
        yield Hypothesis("upstream-ignored", fact, cause, 1.0, "Multiply by dout.")
    if a.shape == dout.shape:
        with np.errstate(all="ignore"):
            yield from _dropped(evidence, name, a, n, dout)
        if same(a, dout, error):
            yield _dout_unchanged(evidence, name)
        for target, identifier, what in (
            (n - dout, "skip-missing", "lacks dout, and nothing else"),
            (n + dout, "skip-doubled", "has dout once too often"),
        ):
            if same(a, target, error):
                fact = f"The given gradient of {name} {what}."
                cause = "the input reaches the output on two paths"
                yield Hypothesis(identifier, fact, cause, 1.0, "Add up the gradients of both paths.")
        if n.any() and (dout < 0).any() and same(a, n * (dout > 0), error):
            fact = f"The given gradient of {name} is the numeric one where dout is positive, and 0 elsewhere."
            cause = "the mask is taken of the gradient, not of the input"
            yield Hypothesis("mask-of-dout", fact, cause, 1.0, "Take the mask of the input alone.")
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


def _dout_unchanged(evidence: Evidence, name: str) -> Hypothesis:
    """dout given as the gradient: half of a residual's, or a function without its derivative."""
    if _follows(evidence, name):
        fact = f"The given gradient of {name} equals dout."
        cause, fix = "the input reaches the output on two paths", "Add up the gradients of both paths."
        return Hypothesis("branch-missing", fact, cause, 1.0, fix)
    fact = f"The given gradient of {name} equals dout: it is handed on unchanged."
    cause = "the function's own derivative, the chain rule's other factor, is left out"
    fix = "Multiply dout by the derivative of the output with respect to the input."
    return Hypothesis("local-derivative-missing", fact, cause, 1.0, fix)


def _follows(evidence: Evidence, name: str) -> bool:
    """Is the output the input plus something, as a residual's is?

    It is the input itself far out, if the branch is bounded, and where the branch's weights are zero.
    """
    x = np.asarray(evidence.inputs[name], np.float64)
    floats = [k for k, b in evidence.inputs.items() if isinstance(b, np.ndarray) and b.dtype.kind == "f"]
    weights = {key: np.zeros(evidence.inputs[key].shape) for key in floats if key != name}
    for far in ({name: FAR * x}, weights, {name: FAR * x, **weights}):
        at = np.ravel(far.get(name, x))
        out = evidence.output_at(far) if far else np.full(x.size, np.nan)
        if out.size == x.size and (np.abs(np.ravel(out) - at) <= NOTHING * np.abs(at)).all() and at.any():
            return True
    return False


def _dropped(evidence: Evidence, name: str, a: Array, n: Array, dout: Array) -> Iterator[Hypothesis]:
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
    masks = _is_mask(evidence, name, right, should)
    if kept.all() and (masks or not same(a, dout)):
        fact = f"The given gradient of {name} is {c} also where the output does not depend on it."
        fix = "Multiply by the mask."
        yield Hypothesis("mask-not-applied", fact, "the forward's mask is not used", 1.0, fix)
    elif np.array_equal(kept, ~should):
        fact = f"The given gradient of {name} is zero where the numeric one is not, and the reverse."
        cause = "the mask says what is dropped, and is taken for what is kept"
        yield Hypothesis("mask-inverted", fact, cause, 1.0, "Use the mask the other way round.")
    elif masks:
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
    elif not kept.all() and (kept | ~should).all() and same(a[should], n[should]):
        count = int((kept & ~should).sum())
        fact = (
            f"The given gradient of {name} is right where it should not be zero, and {c} in {count} of "
            f"{int((~should).sum())} entries where the output does not depend on it."
        )
        cause = "one bound of a clip, or one case of a condition, is forgotten"
        yield Hypothesis("mask-incomplete", fact, cause, 1.0, "Let every case of the forward have its own.")


def _is_mask(evidence: Evidence, name: str, right: Array, should: Array) -> bool:
    """Does the forward multiply by a mask that is not made of the input's own signs or size (relu, clip)?"""
    x = np.asarray(evidence.inputs[name], np.float64)
    out = np.ravel(evidence.out)
    if out.size != x.size or not same(out, np.ravel(np.where(should, right, 0) * x)):
        return False
    opposite = np.ravel(evidence.output_at({name: -x}))
    return opposite.shape == out.shape and same(opposite, -out)


def _products(evidence: Evidence, name: str, a: Array, n: Array) -> Iterator[Hypothesis]:
    error = float(np.max(np.abs(a - n)))
    others = [*evidence.inputs.items(), ("the output", evidence.out), ("dout", evidence.dout)]
    for key, b in others:
        if not (isinstance(b, np.ndarray) and b.dtype.kind == "f" and b.size > 1 and _fits(a, b)):
            continue
        if not np.isfinite(b).all():
            continue
        if same(a * b, n, error):
            fact = f"The given gradient of {name} times {key} is the numeric one."
            yield Hypothesis("factor-missing", fact, f"the factor {key} is lost", 1.0, f"Multiply by {key}.")
        elif same(n * b, a, error):
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
