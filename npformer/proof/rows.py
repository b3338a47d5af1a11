"""One row of the proof's table: an input (or output) of an op, and how far off it is by each check."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from . import tolerances

# The checks in the order of the table, with the attribute of `Row` that holds their error.
CHECKS = ("fd", "complex", "torch", "float32", "zero")


@dataclass
class Row:
    """Errors of one tensor; None where a check does not apply to it.

    Attributes
    ----------
    target, input : str
        An op, a model or an optimizer, and the tensor: an input's gradient, or "out".
    fd, complex, torch, float32, zero : float or None
        Error by each check; infinite where it could not be made.
    tolerances : dict of str to float
        By check.
    notes : list of str
        What went wrong, in words.
    """

    target: str
    input: str
    fd: float | None = None
    complex: float | None = None
    torch: float | None = None
    float32: float | None = None
    zero: float | None = None  # |a| / scale of all, where the gradient is known to be zero
    tolerances: dict[str, float] = field(
        default_factory=lambda: {
            "fd": tolerances.FINITE_DIFFERENCES,
            "complex": tolerances.COMPLEX_STEP,
            "torch": tolerances.STORED,
            "float32": tolerances.FLOAT32,
            "zero": tolerances.KNOWN_ZERO,
        }
    )
    notes: list[str] = field(default_factory=list)

    def failures(self) -> list[str]:
        """Return the checks whose error exceeds its tolerance (or is NaN)."""
        return [check for check in CHECKS if not self.within(check)]

    def within(self, check: str) -> bool:
        """Whether the error by `check` is within its tolerance."""
        error = getattr(self, check)
        return error is None or error <= self.tolerances[check]

    @property
    def passed(self) -> bool:
        """Whether every error is within its tolerance, and at least one check was made."""
        made = any(getattr(self, check) is not None for check in CHECKS)
        return made and not self.notes and not self.failures()

    @property
    def closeness(self) -> float:
        """The largest error as a share of its tolerance; a failure that has no number counts as infinite."""
        if self.notes:
            return float("inf")
        shares = [
            getattr(self, check) / self.tolerances[check]
            for check in CHECKS
            if getattr(self, check) is not None
        ]
        return max((share if share == share else float("inf") for share in shares), default=float("inf"))

    def worsen(self, other: Row) -> None:
        """Take over from `other`, the same tensor in another case, every error that is larger."""
        for check in CHECKS:
            mine, theirs = getattr(self, check), getattr(other, check)
            if mine is None or theirs is None:
                setattr(self, check, theirs if mine is None else mine)
            elif mine == mine and not theirs <= mine:  # NaN is the worst, and stays
                setattr(self, check, theirs)
        self.notes += [note for note in other.notes if note not in self.notes]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        errors = {check: getattr(self, check) for check in CHECKS if getattr(self, check) is not None}
        errors = {
            check: e if math.isfinite(e) else str(e) for check, e in errors.items()
        }  # JSON has no infinity
        return {
            "target": self.target,
            "input": self.input,
            **errors,
            "passed": self.passed,
            "notes": self.notes,
        }


def worst_by_input(rows: Iterable[Row]) -> list[Row]:
    """Merge rows of the same target and input, keeping the worst error of each check, in their order."""
    merged: dict[tuple[str, str], Row] = {}
    for row in rows:
        key = (row.target, row.input)
        if key in merged:
            merged[key].worsen(row)
        else:
            merged[key] = row
    return list(merged.values())
