"""results.json, as Gradescope's autograder reads it.

The fields are those of https://gradescope-autograders.readthedocs.io/en/latest/specs/: each item is two
tests, one for the shown point and one for the hidden ones, whose visibility can be chosen.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

from ..._files import write_atomically
from .exercise import Grade, Mark

VISIBILITIES = ("visible", "after_due_date", "after_published", "hidden")


def results(
    grades: Sequence[Grade], hidden: str = "after_due_date", seconds: float = 0.0, note: str = ""
) -> dict[str, Any]:
    """Return the content of results.json.

    Parameters
    ----------
    grades : sequence of Grade
    hidden : {"visible", "after_due_date", "after_published", "hidden"}
        When students see the tests of hidden points. Gradescope shows the total when all tests are visible.
    seconds : float
        How long grading took.
    note : str
        What is said of the whole folder, such as which file was not graded.

    Raises
    ------
    ValueError
        If `hidden` is none of these.

    Examples
    --------
    >>> from .grading import nothing
    >>> from .stubs import exercise
    >>> made = results([nothing(exercise("gelu"))])
    >>> made["score"], made["tests"][0]["name"], made["tests"][0]["max_score"]
    (0.0, '5 gelu: gelu_forward, value', 0.5)
    """
    if hidden not in VISIBILITIES:
        raise ValueError(f"gradescope: visibility: expected one of {', '.join(VISIBILITIES)}, got {hidden!r}")
    marks = [(grade, i, mark) for grade in grades for i, mark in enumerate(grade.marks, 1)]
    tests = [test for grade, i, mark in marks for test in _tests(grade, i, mark, hidden)]
    notes = [note] if note else []
    notes += [f"{grade.number} {grade.exercise}: {grade.note}" for grade in grades if grade.note]
    done = sum(grade.status == "passed" for grade in grades)
    return {
        "score": round(sum(test["score"] for test in tests), 4),
        "execution_time": round(seconds, 1),
        "output": "\n".join([f"{done} of {len(grades)} exercises passed.", *notes]),
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": tests,
        "extra_data": {"remarks": {grade.exercise: list(grade.remarks) for grade in grades if grade.remarks}},
    }


def _tests(grade: Grade, item: int, mark: Mark, hidden: str) -> list[dict[str, Any]]:
    name = f"{grade.number} {grade.exercise}: {mark.function}, {mark.item}"
    half = mark.max_score / 2
    said = mark.said if mark.started else "not started"
    behind = "\n".join(f"hidden point, {line}" for line in mark.said_hidden.splitlines())
    if mark.shown != 1:
        behind = "Not graded: the test at the shown point has to pass first."
    rows = [
        ("", mark.shown, said, "visible", 1),
        (" (hidden points)", mark.hidden, behind, hidden, 2),
    ]
    return [
        {
            "name": name + suffix,
            "number": f"{grade.number}.{item}.{part}",
            "score": round(half * share, 4),
            "max_score": half,
            "status": "passed" if share == 1 else "failed",
            "output": text or "passed",
            "tags": [grade.exercise],
            "visibility": visibility,
        }
        for suffix, share, text, visibility, part in rows
    ]


def write(path: str | os.PathLike[str], content: dict[str, Any]) -> None:
    """Write results.json: the whole file or none of it."""
    data = json.dumps(content, indent=1, allow_nan=False).encode("utf-8")

    def into(file: Any) -> None:
        file.write(data)

    write_atomically(path, into)
