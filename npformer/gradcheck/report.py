"""The report: what was checked, what came out, and what this point could not show."""

from __future__ import annotations

import html
import json
import math
import textwrap
from dataclasses import dataclass
from typing import Any

from .verdicts import BlindSpot, Hypothesis, Result, Verdict

WIDTH = 100


class GradientError(AssertionError):
    """A gradient check failed; the message is the whole report."""


@dataclass(frozen=True)
class Report:
    """The outcome of a gradient check.

    Parameters
    ----------
    op : str or None
        What was checked.
    results : tuple of Result
        One for every differentiable input; also by name, as `report["x"]`.
    blind_spots : tuple of BlindSpot
        What the point could not have shown.
    strict : bool
        Does a blind spot fail the report?

    Examples
    --------
    >>> import numpy as np
    >>> from npformer.gradcheck import check
    >>> def scale(x, gamma):
    ...     return x * gamma, (x, gamma)
    >>> def scale_backward(dout, cache):
    ...     x, gamma = cache
    ...     return dout * gamma, (dout * x).mean(axis=0)  # mean for sum
    >>> rng = np.random.default_rng(0)
    >>> report = check(scale, scale_backward, [rng.standard_normal((3, 2)), np.ones(2)], op="scale")
    >>> print(report)
    gradient check of scale: FAILED in 1 of 2 inputs: gamma
    <BLANKLINE>
    input  shape  verdict  worst at     given  numeric    error  allowed  held against
    x      3x2    OK       (0, 0)     1.23541  1.23541  0.0e+00  1.0e-12  complex step
    gamma  2      WRONG    (0,)      0.117917  0.35375  6.7e-01  1.2e-12  complex step
    <BLANKLINE>
    gamma: 2 entries of 2 differ from the complex step; worst at (0,): given 0.117917, numeric 0.35375,
      a relative error of 6.7e-01 where 1.2e-12 is allowed.
      - averaged-not-summed: The given gradient of gamma is the numeric one divided by 3, the number of
        rows of dout. Typically: np.mean where every row adds its own share. Sum over the rows.
    <BLANKLINE>
    This point could not show:
      - gamma is 1 everywhere: a forgotten factor gamma, or one in the wrong place, would pass. To see
        it: draw gamma at random, e.g. between 0.5 and 1.5. [constant-input]
    """

    op: str | None
    results: tuple[Result, ...]
    blind_spots: tuple[BlindSpot, ...] = ()
    strict: bool = False
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Did every input pass (and, when strict, was nothing hidden)?"""
        return all(result.passed for result in self.results) and not (self.strict and self.blind_spots)

    def __bool__(self) -> bool:
        return self.passed

    @property
    def verdict(self) -> Verdict:
        """The gravest verdict; of those that passed only where none failed."""
        failed = [result.verdict for result in self.results if not result.passed]
        if not failed and self.strict and self.blind_spots:
            return Verdict.CANNOT_TELL
        verdicts = failed or [result.verdict for result in self.results]
        return min(verdicts, key=lambda verdict: verdict.rank, default=Verdict.OK)

    @property
    def names(self) -> frozenset[str]:
        """The mistakes that were recognised: the first hypothesis of every failed input, taken apart."""
        first = [r.hypotheses[0].identifier for r in self.results if not r.passed and r.hypotheses]
        return frozenset(name for identifier in first for name in identifier.split(" + "))

    def __getitem__(self, name: str) -> Result:
        """The result of one input."""
        for result in self.results:
            if result.name == name:
                return result
        raise KeyError(name)

    def raise_if_failed(self) -> None:
        """Raise GradientError, an AssertionError, with the whole report unless it passed."""
        if not self.passed:
            raise GradientError("\n" + str(self))

    def __str__(self) -> str:
        lines = [f"gradient check{' of ' + self.op if self.op else ''}: {self._outcome()}", ""]
        lines += _table(self.results)
        for result in self.results:
            if result.verdict is not Verdict.OK:
                lines += ["", *_wrapped(f"{result.name}: {result.sentence}")]
                for hypothesis in result.hypotheses:
                    lines += _wrapped(_told(hypothesis), "  - ")
        if not self.passed:
            for note in self.notes:
                lines += ["", *_wrapped(note)]
        if self.blind_spots:
            lines += [
                "",
                "This point could not show" + (" (strict: counts as a failure):" if self.strict else ":"),
            ]
            for spot in self.blind_spots:
                lines += _wrapped(f"{spot.sentence} To see it: {spot.remedy}. [{spot.identifier}]", "  - ")
        return "\n".join(lines)

    def _outcome(self) -> str:
        failed = [result.name for result in self.results if not result.passed]
        if failed:
            return f"FAILED in {len(failed)} of {_inputs(len(self.results))}: {', '.join(failed)}"
        if not self.passed:
            count = len(self.blind_spots)
            return f"FAILED, since it is strict: nothing is wrong, {count} blind spot{'s'[: count != 1]}"
        return f"passed, {_inputs(len(self.results))}"

    def _repr_html_(self) -> str:
        """The report in a notebook: as it is printed, with its spacing."""
        return f"<pre>{html.escape(str(self))}</pre>"

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values for JSON, without the arrays.

        Numbers that JSON does not know are the strings "nan", "inf" and "-inf".

        Returns
        -------
        dict
        """
        return {
            "op": self.op,
            "passed": self.passed,
            "verdict": self.verdict.name,
            "strict": self.strict,
            "results": [_result(result) for result in self.results],
            "blind_spots": [{**vars(spot)} for spot in self.blind_spots],
            "notes": list(self.notes),
        }

    def to_json(self, indent: int | None = None) -> str:
        """The same as a JSON object.

        Returns
        -------
        str
        """
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False)


def _result(result: Result) -> dict[str, Any]:
    worst = result.worst
    return {
        "name": result.name,
        "verdict": result.verdict.name,
        "passed": result.passed,
        "shape": list(result.shape),
        "method": result.method,
        "error": _number(result.error),
        "tolerance": _number(result.tolerance),
        "worst": worst
        and {
            "index": list(worst.index),
            "given": _number(worst.given),
            "numeric": _number(worst.numeric),
            "error": _number(worst.error),
        },
        "findings": [
            {"verdict": finding.verdict.name, "sentence": finding.sentence, "passed": finding.passed}
            for finding in result.findings
        ],
        "hypotheses": [
            {**vars(hypothesis), "share": _number(hypothesis.share)} for hypothesis in result.hypotheses
        ],
    }


def _told(hypothesis: Hypothesis) -> str:
    """A hypothesis in words: the name, the fact, the typical cause, the fix."""
    cause = f" Typically: {hypothesis.cause}." if hypothesis.cause else ""
    share = (
        ""
        if hypothesis.share > 0.999 or not hypothesis.share
        else f" It explains {hypothesis.share:.0%} of the error."
    )
    fix = f" {hypothesis.fix}" if hypothesis.fix else ""
    return f"{hypothesis.identifier}: {hypothesis.fact}{share}{cause}{fix}"


def _inputs(count: int) -> str:
    return f"{count} input{'s' if count != 1 else ''}"


def _number(x: float) -> float | str:
    return float(x) if math.isfinite(x) else str(float(x))


def _table(results: tuple[Result, ...]) -> list[str]:
    rows = [("input", "shape", "verdict", "worst at", "given", "numeric", "error", "allowed", "held against")]
    for result in results:
        worst = result.worst
        numbers = ("", "", "", "", "")
        if worst is not None:
            numbers = (
                str(worst.index),
                f"{worst.given:.6g}",
                f"{worst.numeric:.6g}",
                f"{result.error:.1e}",
                f"{result.tolerance:.1e}",
            )
        shape = "x".join(map(str, result.shape)) or "scalar"
        rows.append((result.name, shape, result.verdict.name, *numbers, result.method))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    right = {4, 5, 6, 7}
    return [
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _wrapped(text: str, bullet: str = "") -> list[str]:
    later = " " * max(2, len(bullet))
    return textwrap.wrap(text, WIDTH, initial_indent=bullet, subsequent_indent=later, break_on_hyphens=False)
