"""The proof as a table: one line for each op with its worst errors, or every input."""

from __future__ import annotations

import math

from . import tolerances
from .rows import CHECKS, Row
from .verify import Report

TITLES = {"fd": "finite", "complex": "complex", "torch": "PyTorch", "float32": "float32", "zero": "zero"}
OP, INPUT, NUMBER = 50, 42, 10  # widths


def header() -> str:
    """Return the titles of the columns and the tolerance of each check."""
    titles = "".join(f"{TITLES[check]:>{NUMBER}}" for check in CHECKS)
    limits = dict(
        zip(
            CHECKS,
            (
                tolerances.FINITE_DIFFERENCES,
                tolerances.COMPLEX_STEP,
                tolerances.STORED,
                tolerances.FLOAT32,
                tolerances.KNOWN_ZERO,
            ),
            strict=True,
        )
    )
    numbers = "".join(f"{'<= ' + format(limits[check], '.0e'):>{NUMBER}}" for check in CHECKS)
    return f"{'op':<{OP}}{'worst input':<{INPUT}}{titles}\n{'':<{OP + INPUT}}{numbers}"


def lines(rows: list[Row], verbose: bool = False) -> str:
    """Return the lines of some rows: one for each target, or, if verbose or failed, one for each input."""
    out = []
    for target in dict.fromkeys(row.target for row in rows):
        mine = [row for row in rows if row.target == target]
        shown = mine if verbose else [row for row in mine if not row.passed] or [_summary(mine)]
        for row in shown:
            numbers = "".join(f"{_number(getattr(row, check)):>{NUMBER}}" for check in CHECKS)
            out.append(f"{row.target:<{OP}}{row.input:<{INPUT}}{numbers}  {_verdict(row)}")
            out += [f"{'':<4}{note}" for note in row.notes]
    return "\n".join(out)


def conclusion(report: Report) -> str:
    """Return the last line."""
    failed = sum(not row.passed for row in report.rows)
    targets = len({row.target for row in report.rows})
    verdict = "all passed" if report.passed else f"{failed} FAILED"
    tensors = f"{len(report.rows)} tensors of {targets} targets"
    return f"{tensors}, seed {report.seed}, {report.seconds:.1f} s: {verdict}"


class Printer:
    """Prints rows as they come, the header with the first, so that a bad argument is answered by one line."""

    def __init__(self, verbose: bool = False) -> None:
        self.verbose = verbose
        self.started = False

    def __call__(self, rows: list[Row]) -> None:
        """Print the lines of some rows."""
        if not self.started:
            print(header())
        self.started = True
        print(lines(rows, self.verbose), flush=True)


def _summary(rows: list[Row]) -> Row:
    """Return one row for all: of each check the error nearest to its tolerance; the worst tensor's name."""
    worst = max(rows, key=lambda row: row.closeness)
    summary = Row(worst.target, worst.input, tolerances=dict(worst.tolerances))
    for check in CHECKS:
        made = [row for row in rows if getattr(row, check) is not None]
        if made:
            nearest = max(made, key=lambda row: getattr(row, check) / row.tolerances[check])
            setattr(summary, check, getattr(nearest, check))
            summary.tolerances[check] = nearest.tolerances[check]
    return summary


def _verdict(row: Row) -> str:
    if row.passed:
        return "ok"
    failures = [f"{TITLES[check]} > {row.tolerances[check]:.0e}" for check in row.failures()]
    return "FAILED " + (", ".join(failures) or "(see below)")


def _number(error: float | None) -> str:
    if error is None:
        return "-"
    return f"{error:.1e}" if math.isfinite(error) else str(error)
