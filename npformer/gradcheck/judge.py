"""One given gradient against its reference: which verdict, and where the worst entry is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .verdicts import (
    EPS,
    TOO_ROUGH,
    TOO_ROUGH_FLOAT32,
    Finding,
    Reference,
    Result,
    Verdict,
    Worst,
    tolerances,
    zero_like,
)

Array = npt.NDArray[Any]

KINK_SLACK = 1e-5  # one-sided slopes are known to a few digits only
FLOAT32_ERROR = 1e-6  # of the scale: what rounding to float32 somewhere inside does at most
FLOAT32_NOISE = 1e-4  # of the scale: what it does at most to the slopes of a function
FAR_BELOW_FLOAT32 = 1e-11  # of dout · out: slopes of outputs in float32 scatter by more
EXACT = 1e-13
NOTHING = 1e-9  # of the largest gradient: what has no larger entry is a zero, and the rounding of the others
PLAIN_BITS = 16  # of float32's 24: a rounded number has more, all but once in 256
ULPS = 8.0  # of float32: what it makes of a few sums and products
SAME_ERROR = 0.95  # the cosine of two errors: 1 for a mistake, about 0 for noise


def judge(
    name: str,
    x: Array,
    given: Array | None,
    reference: Reference,
    *,
    scale_all: float,
    noise: float,
    dout_single: bool,
    observed: Sequence[Finding] = (),
    error_nearby: Callable[[], Array | None] | None = None,
) -> Result:
    """Compare one given gradient with its reference.

    Parameters
    ----------
    name : str
    x : ndarray
        The input, as it was given.
    given : ndarray or None
        The gradient to judge; None where none was returned.
    reference : Reference
    scale_all : float
        The largest |numeric| over all inputs.
    noise : float
        Norm of dout · out.
    dout_single : bool
        Was the cotangent float32 or smaller? Only then must the gradient of a float32 input be float32.
    observed : sequence of Finding
        What was seen while calling.
    error_nearby : callable, optional
        Returns given - numeric at a point that is moved by a few roundings of float32: noise is other noise
        there, a mistake the same. Asked only where the error may be noise; without it nothing is called so.

    Returns
    -------
    Result
    """
    numeric = reference.gradient
    findings = list(observed)

    def result(**more: Any) -> Result:
        ordered = tuple(sorted(findings, key=lambda finding: finding.verdict.rank))
        verdict = ordered[0].verdict if ordered else Verdict.OK
        if not ordered:
            ordered = (
                Finding(Verdict.OK, f"All {numeric.size} entries agree with the {reference.method}.", True),
            )
        return Result(
            name, verdict, all(f.passed for f in ordered), ordered, x.shape, reference.method,
            given=given, numeric=numeric, numeric_error=reference.error, **more,
        )  # fmt: skip

    if given is None:
        if not any(finding.verdict is Verdict.SHAPE for finding in findings):
            findings.append(Finding(Verdict.SHAPE, f"No gradient was returned for {name}."))
        return result()
    if given.shape != x.shape:
        sentence = f"The gradient of {name} has shape {given.shape}, the input {x.shape}."
        findings.append(Finding(Verdict.SHAPE, sentence))
        return result()
    findings += _dtype(name, x, given, dout_single)
    if given.dtype.kind not in "fiub":
        return result()

    a = given.astype(np.float64)
    known = np.isfinite(numeric)
    if (known & ~np.isfinite(a)).any():
        bad = known & ~np.isfinite(a)
        sentence = (
            f"{_count(bad)} of the gradient of {name} not finite where the numeric one is, "
            f"first at {_first(bad)}."
        )
        findings.append(Finding(Verdict.NONFINITE, sentence))
    scale = max(float(np.max(np.abs(numeric[known]), initial=0.0)), 1e-3 * scale_all)
    allowed = tolerances(reference, x, scale, scale_all, noise)
    judged = known & np.isfinite(a)
    difference = np.where(judged, np.abs(np.where(judged, a, 0) - np.where(judged, numeric, 0)), 0.0)
    at_kinks = judged & reference.kinks
    wrong = judged & ~reference.kinks & ~(difference <= allowed)

    slack = KINK_SLACK * np.maximum(scale, np.maximum(np.abs(reference.low), np.abs(reference.high)))
    outside = np.maximum(
        reference.low - slack - a, a - reference.high - slack, where=at_kinks, out=np.zeros(a.shape)
    )
    outside = np.maximum(outside, 0)
    if at_kinks.any():
        findings.append(_kink(name, at_kinks, outside, reference, a))
    relative = np.where(reference.kinks, outside, difference) / (scale or 1.0)
    error, tolerance, worst = 0.0, 0.0, None
    if judged.any():
        # The worst entry is the one furthest beyond what is allowed there.
        excess = np.where(judged, relative / np.maximum(allowed / (scale or 1.0), 1e-300), -1.0)
        where = _index(np.unravel_index(int(np.argmax(excess)), a.shape))
        error, tolerance = float(relative[where]), float(allowed[where] / (scale or 1.0))
        worst = Worst(where, float(a[where]), float(numeric[where]), error)

    single = x.dtype.itemsize < 8
    visible = float(np.max(np.abs(numeric[known]), initial=0.0)) > 1e3 * float(np.max(allowed, initial=0.0))
    if not single and given.dtype.kind == "f" and given.dtype.itemsize < 8:
        sentence = f"The gradient of {name} is {given.dtype}, the input {x.dtype}; it is off by {error:.1e}."
        findings.append(Finding(Verdict.PRECISION, sentence))
        nothing = float(np.max(np.abs(numeric[known]), initial=0.0)) <= NOTHING * scale_all
        if error * (scale or 1.0) > FLOAT32_ERROR * (scale_all if nothing else scale):
            findings += _wrong(wrong, worst, reference, error, tolerance)
    elif (
        not single
        and visible
        and _holds_float32(a, numeric)
        and EXACT < float(np.max(relative)) <= FLOAT32_ERROR
    ):
        sentence = f"float32 can hold every number in the gradient of {name}, which is off by {error:.1e}."
        findings.append(Finding(Verdict.PRECISION, sentence))
    elif not single and wrong.any() and _rounded(a, numeric, relative, judged, error_nearby):
        sentence = (
            f"The gradient of {name} is off by {error:.1e} of its scale all over, as float32 inside does."
        )
        findings.append(Finding(Verdict.PRECISION, sentence))
    elif wrong.any():
        findings += _wrong(wrong, worst, reference, error, tolerance)
    elif not any(finding.verdict is Verdict.PRECISION for finding in findings):
        nothing = float(np.max(np.abs(a[judged]), initial=0.0)) <= 8 * EPS * noise
        findings += _rough(name, reference, known, scale, single, noise if nothing else 0.0, noise)
    return result(error=error, tolerance=tolerance, scale=scale, worst=worst)


def _dtype(name: str, x: Array, given: Array, dout_single: bool) -> list[Finding]:
    widened = x.dtype.itemsize < given.dtype.itemsize and dout_single
    if given.dtype.kind == "f" and not widened:
        return []
    sentence = f"The gradient of {name} is {given.dtype}, the input {x.dtype}."
    return [Finding(Verdict.DTYPE, sentence)]


def _kink(name: str, at_kinks: Array, outside: Array, reference: Reference, a: Array) -> Finding:
    if (outside > 0).any():
        where = _index(np.unravel_index(int(np.argmax(outside)), outside.shape))
        sentence = (
            f"The slope of {name} at {where} runs from {reference.low[where]:.6g} to "
            f"{reference.high[where]:.6g}, the given value {a[where]:.6g} lies outside."
        )
        return Finding(Verdict.KINK, sentence)
    where = _first(at_kinks)
    sentence = (
        f"{_count(at_kinks)} of {name} on a kink, first {where}: slopes from {reference.low[where]:.6g} to "
        f"{reference.high[where]:.6g}, given {a[where]:.6g}, which is between."
    )
    return Finding(Verdict.KINK, sentence, passed=True)


def _wrong(
    wrong: Array, worst: Worst | None, reference: Reference, error: float, tolerance: float
) -> list[Finding]:
    if worst is None or not wrong.any():
        return []
    sentence = (
        f"{_count(wrong)} of {wrong.size} differ from the {reference.method}; worst at {worst.index}: "
        f"given {worst.given:.6g}, numeric {worst.numeric:.6g}, a relative error of {error:.1e} where "
        f"{tolerance:.1e} is allowed."
    )
    return [Finding(Verdict.WRONG, sentence)]


def _rough(
    name: str, reference: Reference, known: Array, scale: float, single: bool, noise: float, rounding: float
) -> list[Finding]:
    if not known.all():
        sentence = (
            f"The numeric derivative of {name} is not finite in {_count(~known)}, first at {_first(~known)}."
        )
        return [Finding(Verdict.CANNOT_TELL, sentence)]
    # An error of the size of rounding is no obstacle: a gradient that is exactly zero has nothing else.
    enough = (TOO_ROUGH_FLOAT32 if single else TOO_ROUGH) * scale
    enough += 8 * EPS * rounding  # of the outputs, which is in every difference of them
    if zero_like(reference, noise, 1e-13):  # the stencil magnifies rounding
        enough += 1e-12 * noise
    rough = ~reference.kinks & ~(reference.error <= enough)
    if reference.method == "complex step" or not rough.any():
        return []
    median = float(np.median(reference.error))
    of_float32 = FAR_BELOW_FLOAT32 * rounding < median <= FLOAT32_NOISE * scale
    if not single and rough.mean() > 0.5 and of_float32:
        typical = median / scale
        sentence = (
            f"The outputs are noisy: slopes of {name} scatter by {typical:.1e}, as float32 inside does."
        )
        return [Finding(Verdict.PRECISION, sentence)]
    where = _index(np.unravel_index(int(np.argmax(np.where(rough, reference.error, 0))), rough.shape))
    sentence = (
        f"The numeric derivative of {name} is good to {reference.error[where]:.1e} only at {where}: "
        "the function is not smooth there, or noisy."
    )
    return [Finding(Verdict.CANNOT_TELL, sentence)]


def _holds_float32(a: Array, numeric: Array) -> bool:
    """Was `a` rounded to float32: can that hold every number of it, and does it hold `numeric` so?

    Gradients of integers and halves fit into float32 too: numbers with the last digits all zero were not
    rounded, however near the numeric ones are.
    """
    with np.errstate(all="ignore"):
        if not (a.any() and np.array_equal(a, a.astype(np.float32), equal_nan=True)):
            return False
        mantissa = np.frexp(a)[0] * 2.0**PLAIN_BITS
        if (mantissa == np.rint(mantissa))[np.isfinite(a)].all():
            return False
        rounded = numeric.astype(np.float32)
        near = np.abs(a - rounded) <= ULPS * np.spacing(np.abs(rounded))
        largest = float(np.max(np.abs(numeric), initial=0.0, where=np.isfinite(numeric)))
        # (computed in float32 all through, small entries have fewer digits: relative to the largest, then)
        of_largest = np.abs(a - rounded) <= ULPS * float(np.spacing(np.float32(largest)))
        return bool((near | of_largest | ~np.isfinite(numeric)).all())


def _rounded(
    a: Array, numeric: Array, of_scale: Array, judged: Array, error_nearby: Callable[[], Array | None] | None
) -> bool:
    """Is the error float32's rounding: small, relative to each entry, of either sign, other nearby?"""
    entries = judged & (numeric != 0)
    if entries.sum() < 4 or float(np.max(of_scale)) > FLOAT32_ERROR:
        return False
    error = a[entries] - numeric[entries]
    relative = error / numeric[entries]
    either_sign = all((e > 0).any() and (e < 0).any() for e in (error, relative))  # no shift, no factor
    if not either_sign or not 1e-9 <= float(np.median(np.abs(relative))) <= 1e-6:
        return False
    there = error_nearby() if error_nearby is not None else None
    if there is None:
        return False
    again = there[entries]
    lengths = float(np.sqrt(np.sum(error * error) * np.sum(again * again)))
    return float(np.sum(error * again)) < SAME_ERROR * lengths


def _count(which: Array) -> str:
    n = int(np.sum(which))
    return f"{n} entr{'y' if n == 1 else 'ies'}"


def _first(which: Array) -> tuple[int, ...]:
    return _index(np.argwhere(which)[0])


def _index(where: Any) -> tuple[int, ...]:
    return tuple(int(i) for i in where)
