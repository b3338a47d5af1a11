"""Relations between a given gradient and the other arrays, each of which has a name."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ..verdicts import Evidence, Hypothesis

Array = npt.NDArray[Any]

EXACT = 1e-8  # of the largest entry: the numeric gradient is good to less


def relations(evidence: Evidence, name: str) -> list[Hypothesis]:
    """Return the relations that hold for one wrong gradient, the most telling one first."""
    a, n = evidence.given[name], evidence.numeric[name]
    if a is None or a.dtype.kind not in "fiub" or not np.isfinite(n).all():
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
    if math.isfinite(c) and same(a, c * n, float(np.max(np.abs(a - n)))):
        yield _scaled(evidence, name, c, n)
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
            few = "summed-over-too-few-axes" if len(axes) == 1 and a.ndim - n.ndim == 1 else "not-summed"
            label = "not-summed" if few == "not-summed" or a.ndim == n.ndim + 1 else few
            yield Hypothesis(label, text, cause, 1.0, "Sum over every axis that was broadcast.")


def _summed(n: Array, a: Array) -> Array:
    return np.ravel(n.sum()) if a.size == 1 else np.full(a.size, np.nan)


def _scaled(evidence: Evidence, name: str, c: float, n: Array) -> Hypothesis:
    if abs(c + 1) < EXACT:
        fact = f"The given gradient of {name} is the numeric one with the other sign, everywhere."
        return Hypothesis("sign-flipped", fact, "a minus lost or one too many", 1.0, "Change the sign.")
    if abs(c - 2) < EXACT:
        fact = f"The given gradient of {name} is twice the numeric one, everywhere."
        cause = "added to a buffer that held the gradient already, or counted for two paths"
        return Hypothesis("accumulated-twice", fact, cause, 1.0, "Start from zeros; add each path once.")
    sizes: dict[int, str] = {}
    for key, x in [*evidence.inputs.items(), ("dout", evidence.dout)]:
        if isinstance(x, np.ndarray):
            for axis, size in enumerate(x.shape):
                sizes.setdefault(size, f"the length of axis {axis} of {key}")
            rows = math.prod(x.shape[:-1])
            sizes.setdefault(rows, f"the number of rows of {key}")
            sizes.setdefault(x.size, f"the number of entries of {key}")
            if x.dtype.kind in "iu":
                sizes.setdefault(int(np.sum(x >= 0)), f"the number of entries of {key} that are not negative")
            if x.dtype.kind == "b":
                sizes.setdefault(int(x.sum()), f"the number of True in {key}")
    words = ""
    for size, what in sorted(sizes.items()):
        if size < 2:
            continue
        for value, text in (
            (float(size), f"{size}, {what}"),
            (1 / size, f"1/{size}, with {size} {what}"),
            (math.sqrt(size), f"√{size}, with {size} {what}"),
            (1 / math.sqrt(size), f"1/√{size}, with {size} {what}"),
        ):
            if not words and abs(c / value - 1) < EXACT:
                words = text
                if value == 1 / size and "number of rows" in what and n.ndim == 1:
                    fact = f"The given gradient of {name} is the numeric one divided by {size}, {what}."
                    cause = "np.mean where every row adds its own share"
                    return Hypothesis("averaged-not-summed", fact, cause, 1.0, "Sum over the rows.")
    for key, x in evidence.inputs.items():
        if isinstance(x, (float, np.floating)) and not isinstance(x, bool) and 0 < float(x) < 1 and not words:
            p = float(x)
            for value, text in (
                (p, key),
                (1 - p, f"1 - {key}"),
                (1 / p, f"1 / {key}"),
                ((1 - p) / p, f"(1 - {key}) / {key}"),
            ):
                if abs(c / value - 1) < EXACT:
                    words = f"{text} with {key} = {p:g}"
    if not words:
        for top in range(1, 7):
            for bottom in (2, 3, 4, 5, 6, 1):
                if not words and math.gcd(top, bottom) == 1 and abs(c * bottom / top - 1) < EXACT:
                    words = f"{top}/{bottom}" if bottom > 1 else str(top)
    told = f": {words}" if words else ""
    fact = f"The given gradient of {name} is {c:.10g} times the numeric one{told}, everywhere."
    cause = "a factor missing, or applied twice"
    return Hypothesis("scaled", fact, cause, 1.0, f"Divide the gradient by {c:.6g}, where it is made.")


def _of_dout(evidence: Evidence, name: str, a: Array, n: Array, dout: Array) -> Iterator[Hypothesis]:
    ones = evidence.numeric_for(np.ones_like(dout))[name]
    if ones.any() and same(a, ones):
        fact = f"The given gradient of {name} is the one for a dout of ones: it does not depend on dout."
        cause = "the backward was written for a loss that is the sum of the outputs"
        yield Hypothesis("upstream-ignored", fact, cause, 1.0, "Multiply by dout.")
    if a.shape == dout.shape:
        for c, identifier, what in (
            (1, "branch-missing", "equals dout"),
            (-1, "skip-missing", "lacks dout"),
            (1, "skip-doubled", "has dout once too often"),
        ):
            target = dout if what == "equals dout" else n + c * dout
            if same(a, target):
                fact = f"The given gradient of {name} {what}."
                yield Hypothesis(
                    identifier, fact, "one of two paths", 1.0, "Add up the gradient of each path."
                )
        with np.errstate(all="ignore"):
            yield from _dropped(name, a, n, dout)
    for key, ids in evidence.inputs.items():
        if isinstance(ids, np.ndarray) and ids.dtype.kind in "iu" and n.ndim == 2:
            if dout.shape == (*ids.shape, n.shape[1]) and ids.size and ids.min() >= 0 and ids.max() < len(n):
                last = np.zeros_like(n)
                last[ids] = dout
                if same(a, last):
                    fact = f"Each row of the given gradient of {name} is dout at the last place of its id in {key}."
                    cause = "dtable[ids] += dout adds a repeated id once"
                    fix = "Use np.add.at, or a product with the one-hot matrix."
                    yield Hypothesis("overwritten-not-accumulated", fact, cause, 1.0, fix)
    if n.ndim == 2:
        rows = ~np.isclose(a, n, rtol=EXACT, atol=EXACT * float(np.max(np.abs(n)))).all(axis=1)
        if 0 < rows.sum() <= max(1, len(rows) // 4) and not a[rows].any():
            fact = f"The given gradient of {name} is zero in row {int(np.flatnonzero(rows)[0])}, and right elsewhere."
            cause = "a row is treated as padding which the forward does not treat so"
            yield Hypothesis(
                "row-zeroed", fact, cause, 1.0, "Leave the row as it is, or mask it in the forward too."
            )


def _dropped(name: str, a: Array, n: Array, dout: Array) -> Iterator[Hypothesis]:
    """Gradients that are dout times 0 or one constant, but at other places than the numeric one."""
    if not (n == 0).any() or not n.any():
        return
    ratio, right = a / dout, n / dout
    kept = right[np.abs(right) > 1e-9 * np.max(np.abs(right))]
    if np.ptp(kept) > EXACT * abs(kept[0]):
        return  # the forward is no dropout
    values = ratio[np.abs(ratio) > EXACT]
    if values.size and np.ptp(values) <= EXACT * abs(values[0]):
        if not np.array_equal(np.abs(ratio) > EXACT, np.abs(right) > EXACT):
            if (np.abs(ratio) > EXACT).all():
                fact = f"The given gradient of {name} is {values[0]:.6g} · dout everywhere, also where the output does not depend on it."
                yield Hypothesis(
                    "mask-not-applied", fact, "the forward's mask is not used", 1.0, "Multiply by the mask."
                )
            elif np.array_equal(np.abs(ratio) > EXACT, ~(np.abs(right) > EXACT)):
                fact = f"The given gradient of {name} is zero exactly where the numeric one is not, and the reverse."
                cause = "the mask says what is dropped, and is taken for what is kept"
                yield Hypothesis("mask-inverted", fact, cause, 1.0, "Use the mask the other way round.")
            else:
                fact = f"The given gradient of {name} is 0 or {values[0]:.6g} · dout, but zero at other places than the numeric one."
                cause = "the backward draws a mask of its own"
                yield Hypothesis(
                    "mask-redrawn", fact, cause, 1.0, "Keep the forward's mask in the cache and use it."
                )


def _products(evidence: Evidence, name: str, a: Array, n: Array) -> Iterator[Hypothesis]:
    others = [*evidence.inputs.items(), ("the output", evidence.out), ("dout", evidence.dout)]
    for key, b in others:
        if not (isinstance(b, np.ndarray) and b.dtype.kind == "f" and 1 < b.size and np.isfinite(b).all()):
            continue
        if (
            b.ndim > a.ndim or b.ndim == 0 or np.broadcast_shapes(a.shape, b.shape) != a.shape
            if _fits(a, b)
            else True
        ):
            continue
        for product, what in ((a * b, "missing"), (n * b, "extra")):
            target = n if what == "missing" else a
            if same(product, target):
                fact = f"The given gradient of {name} times {key} is the numeric one."
                if what == "extra":
                    fact = f"The given gradient of {name} is the numeric one times {key}."
                yield Hypothesis(
                    f"factor-{what}",
                    fact,
                    f"the factor {key} is {'lost' if what == 'missing' else 'one too many'}",
                    1.0,
                    "",
                )


def _fits(a: Array, b: Array) -> bool:
    return all(m in (1, k) for m, k in zip(b.shape[::-1], a.shape[::-1], strict=False))


def same(a: Array, b: Array, error: float | None = None) -> bool:
    """Equal to a small fraction of the largest entry, or of the error that is to be explained."""
    if a.shape != b.shape or not a.size:
        return False
    scale = float(np.max(np.abs(b)))
    allowed = EXACT * scale
    if error is not None:
        allowed = min(allowed, 1e-4 * error)
    return float(np.max(np.abs(a - b))) <= max(allowed, 1e-13 * scale)
