"""What an exercise is, and what is said of somebody's attempt at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

PASSED, PARTLY, FAILED, NOT_STARTED = "passed", "partly", "failed", "not started"


@dataclass(frozen=True)
class Mark:
    """The points for one item of an exercise: a function's value, or one of its gradients.

    Parameters
    ----------
    function, item : str
        E.g. "linear_backward" and "dw".
    max_score : float
        Half of it is for the point that is shown, half for the hidden ones.
    shown, hidden : float
        The shares of the two halves that were earned, 0 to 1.
    said : str
        What is wrong at the shown point; "" where nothing is.
    said_hidden : str
        The kinds of hidden points that failed; never their numbers.
    started : bool

    Examples
    --------
    >>> mark = Mark("linear_backward", "dw", 2.0, 1.0, 0.5, "", "wrong at one row")
    >>> mark.score, mark.status
    (1.5, 'partly')
    """

    function: str
    item: str
    max_score: float
    shown: float
    hidden: float
    said: str = ""
    said_hidden: str = ""
    started: bool = True

    @property
    def score(self) -> float:
        """The points."""
        return round(self.max_score * (self.shown + self.hidden) / 2, 4)

    @property
    def status(self) -> str:
        """One of "passed", "partly", "failed", "not started"."""
        if not self.started:
            return NOT_STARTED
        if self.shown == self.hidden == 1:
            return PASSED
        return PARTLY if self.score else FAILED


@dataclass(frozen=True)
class Point:
    """Inputs at which a function is graded; the kind is all that is told of a hidden one."""

    kind: str
    inputs: dict[str, Any]


Grader = Callable[[Any, Any], Iterator[Mark]]  # gets the student's functions, then ours


@dataclass(frozen=True)
class Exercise:
    """One exercise; its solution is solutions/`name`.py, and the stub is made of it.

    Parameters
    ----------
    name, title : str
    functions : tuple of str
        What is to be written. Everything else in the solution's file is given.
    items : tuple of (str, str, float)
        Function, item and points, in the order in which they are graded.
    hints : tuple of str
        Each says more than the one before.
    grade : callable
        Gets the student's functions and ours, yields a Mark for each item.
    """

    name: str
    title: str
    functions: tuple[str, ...]
    items: tuple[tuple[str, str, float], ...]
    hints: tuple[str, ...]
    grade: Grader = field(repr=False, compare=False)

    @property
    def max_score(self) -> float:
        """The points there are."""
        return float(sum(points for *_, points in self.items))


@dataclass(frozen=True)
class Grade:
    """What one file got for one exercise."""

    exercise: str
    number: int
    file: str
    marks: tuple[Mark, ...]
    note: str = ""  # how the process ended where it did not end well
    remarks: tuple[str, ...] = ()
    stdout: str = ""
    seconds: float = 0.0

    @property
    def score(self) -> float:
        """The points."""
        return round(sum(mark.score for mark in self.marks), 4)

    @property
    def max_score(self) -> float:
        """The points there are."""
        return float(sum(mark.max_score for mark in self.marks))

    @property
    def status(self) -> str:
        """One of "passed", "partly", "failed", "not started"."""
        if self.score == self.max_score:
            return PASSED
        if not self.note and not any(mark.started for mark in self.marks):
            return NOT_STARTED
        return PARTLY if self.score else FAILED

    def to_dict(self) -> dict[str, Any]:
        """For machines."""
        told = {"exercise": self.exercise, "number": self.number, "file": self.file, "status": self.status}
        numbers = {"score": self.score, "max_score": self.max_score, "seconds": round(self.seconds, 3)}
        rest = {"note": self.note, "remarks": list(self.remarks), "stdout": self.stdout}
        marks = [{**vars(m), "score": m.score, "status": m.status} for m in self.marks]
        return {**told, **numbers, **rest, "marks": marks}
