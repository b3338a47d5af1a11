"""A gradient that is the right one times a constant: what the constant equals."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..verdicts import Evidence, Hypothesis

EXACT = 1e-8


def scaled(evidence: Evidence, name: str, c: float, axes: int) -> Hypothesis:
    """Return the hypothesis for a = c · n, where n has `axes` axes.

    Returns
    -------
    Hypothesis
        "sign-flipped", "accumulated-twice", "averaged-not-summed" or "scaled".
    """
    if _near(c, -1):
        fact = f"The given gradient of {name} is the numeric one with the other sign, everywhere."
        return Hypothesis("sign-flipped", fact, "a minus lost or one too many", 1.0, "Change the sign.")
    if _near(c, 2):
        fact = f"The given gradient of {name} is twice the numeric one, everywhere."
        cause = "added to a buffer that held the gradient already, or counted for two paths"
        return Hypothesis("accumulated-twice", fact, cause, 1.0, "Start from zeros; add each path once.")
    if axes == 1:
        for rows, what in _sizes(evidence):
            if "rows" in what and rows > 1 and _near(c, 1 / rows):
                fact = f"The given gradient of {name} is the numeric one divided by {rows}, {what}."
                cause = "np.mean where every row adds its own share"
                return Hypothesis("averaged-not-summed", fact, cause, 1.0, "Sum over the rows.")
    words = next((text for value, text in _constants(evidence) if _near(c, value)), "")
    told = f": {words}" if words else ""
    fact = f"The given gradient of {name} is {c:.10g} times the numeric one{told}, everywhere."
    cause = "a factor missing, or applied twice"
    return Hypothesis("scaled", fact, cause, 1.0, f"Divide the gradient by {c:.6g}, where it is made.")


def _near(c: float, value: float) -> bool:
    return abs(c - value) <= EXACT * abs(value)


def _sizes(evidence: Evidence) -> Iterator[tuple[int, str]]:
    """Numbers that a factor may come from, and what they are."""
    for key, x in [("dout", evidence.dout), *evidence.inputs.items()]:
        if not isinstance(x, np.ndarray):
            continue
        yield math.prod(x.shape[:-1]), f"the number of rows of {key}"
        for axis, size in enumerate(x.shape):
            yield size, f"the length of axis {axis} of {key}"
        yield x.size, f"the number of entries of {key}"
        if x.dtype.kind in "iu":
            yield int(np.sum(x >= 0)), f"the number of entries of {key} that are not negative"
        if x.dtype.kind == "b":
            yield int(x.sum()), f"the number of True in {key}"


def _constants(evidence: Evidence) -> Iterator[tuple[float, str]]:
    """Constants a factor may equal, the likeliest first."""
    for size, what in _sizes(evidence):
        if size > 1:
            yield float(size), f"{size}, {what}"
            yield 1 / size, f"1/{size}, with {size} {what}"
    for key, p in evidence.inputs.items():
        if _is_fraction(p):
            yield 1 - p, f"1 - {key} with {key} = {p:g}"
            yield p, f"{key} = {p:g}"
            yield (1 - p) / p, f"(1 - {key}) / {key} with {key} = {p:g}"
            yield 1 / p, f"1 / {key} with {key} = {p:g}"
    for bottom in range(1, 7):
        for top in range(1, 7):
            if math.gcd(top, bottom) == 1:
                yield top / bottom, f"{top}/{bottom}" if bottom > 1 else str(top)
    for size in (2, 10):
        yield math.log(size), f"ln {size}"
        yield 1 / math.log(size), f"1 / ln {size}"
    for size, what in _sizes(evidence):
        if size > 1:
            yield math.sqrt(size), f"√{size}, with {size} {what}"
            yield 1 / math.sqrt(size), f"1/√{size}, with {size} {what}"


def _is_fraction(p: Any) -> bool:
    return isinstance(p, (float, np.floating)) and 0 < float(p) < 1
