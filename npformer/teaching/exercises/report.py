"""What a student and a teacher read: an exercise in detail, a folder as a table, a class as CSV or JSON."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .catalogue import EXERCISES
from .exercise import Exercise, Grade
from .stubs import number

WIDTH = 100
PRINTED = 5  # lines of what their code prints


def listing() -> str:
    """Return the list of the exercises."""
    rows = [
        f"{number(one):>3}  {one.name:<21} {_points(one.max_score):>4} points  {one.title}"
        for one in EXERCISES
    ]
    return "\n".join(rows)


def detailed(grade: Grade) -> str:
    """Return one graded file in words.

    Examples
    --------
    >>> from .grading import nothing
    >>> from .stubs import exercise
    >>> print(detailed(nothing(exercise("gelu"), "05_gelu.py")))
    5 gelu (05_gelu.py): not started, 0 of 4 points
    """
    points = f"{_points(grade.score)} of {_points(grade.max_score)} points"
    lines = [f"{grade.number} {grade.exercise} ({grade.file}): {grade.status}, {points}"]
    if grade.status == "not started":
        return lines[0]
    if grade.note:
        lines += textwrap.indent(grade.note, "  ").splitlines()
    wide = max(len(mark.function) for mark in grade.marks), max(len(mark.item) for mark in grade.marks)
    for mark in grade.marks:
        earned = f"{_points(mark.score)} of {_points(mark.max_score)}"
        lines.append(f"  {mark.status:<11}  {mark.function:<{wide[0]}}  {mark.item:<{wide[1]}}  {earned}")
        if mark.said and mark.said != grade.note.partition("\n")[0]:
            lines += _wrapped(mark.said)
        lines += [f"      hidden point, {said}" for said in mark.said_hidden.splitlines()]
    lines += [f"  remark: {remark}" for remark in grade.remarks]
    if grade.stdout.strip():
        printed = grade.stdout.rstrip().splitlines()
        more = [f"  ... {len(printed) - PRINTED} lines more"] if len(printed) > PRINTED else []
        lines += ["  it printed:", *(f"    {line}" for line in printed[:PRINTED]), *more]
    return "\n".join(lines)


def table(grades: Sequence[Grade]) -> str:
    """Return a row for each exercise and the total."""
    wide = max((len(grade.exercise) for grade in grades), default=0)
    rows = [
        f"{g.number:>3}  {g.exercise:<{wide}}  {g.status:<11}  {_points(g.score):>5} of "
        + _points(g.max_score)
        for g in grades
    ]
    score, most = sum(g.score for g in grades), sum(g.max_score for g in grades)
    return "\n".join([*rows, f"{'':>3}  {'total':<{wide}}  {'':<11}  {_points(score):>5} of {_points(most)}"])


@dataclass(frozen=True)
class Student:
    """Somebody's grades, one for each exercise of the class."""

    name: str
    grades: tuple[Grade, ...]
    note: str = ""  # on what was not graded

    @property
    def score(self) -> float:
        """The points."""
        return round(sum(grade.score for grade in self.grades), 4)


def class_csv(students: Sequence[Student], chosen: Sequence[Exercise]) -> str:
    """Return a row for each student: points for each exercise, their sum, the most there is, notes."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["student", *(one.name for one in chosen), "score", "max_score", "notes"])
    most = sum(one.max_score for one in chosen)
    for student in students:
        points = [_points(grade.score) for grade in student.grades]
        notes = [student.note] if student.note else []
        notes += [f"{g.exercise}: {note}" for g in student.grades for note in _notes(g)]
        sums = [_points(student.score), _points(most)]
        writer.writerow([_harmless(student.name), *points, *sums, "; ".join(notes)])
    return out.getvalue()


def class_dict(students: Sequence[Student], chosen: Sequence[Exercise]) -> dict[str, Any]:
    """Return the same with every mark, for machines."""
    most = sum(one.max_score for one in chosen)
    rows = [
        {
            "student": s.name,
            "score": s.score,
            "max_score": most,
            "note": s.note,
            "grades": [g.to_dict() for g in s.grades],
        }
        for s in students
    ]
    return {"exercises": [one.name for one in chosen], "students": rows}


def _notes(grade: Grade) -> list[str]:
    notes = [grade.note.splitlines()[0]] if grade.note else []
    return [*notes, *grade.remarks]


def _harmless(name: str) -> str:
    """A spreadsheet takes a cell that begins like this for a formula."""
    return f"'{name}" if name[:1] in "=+-@" else name


def _points(x: float) -> str:
    return f"{x:.2f}".rstrip("0").rstrip(".")


def _wrapped(text: str) -> list[str]:
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("    "):  # a traceback: as it is
            lines.append("  " + line)
        else:
            lines += textwrap.wrap(line, WIDTH, initial_indent="      ", subsequent_indent="      ")
    return lines


def hint(exercise: Exercise, which: int | None = None, more: int = 0) -> str:
    """Return a hint by its number, or the first and `more` after it.

    Raises
    ------
    ValueError
        If there is no such hint.
    """
    k, most = (1 if which is None else which) + more, len(exercise.hints)
    if which is None and k > most:
        k = most
    if not 1 <= k <= most:
        raise ValueError(f"hint: expected a number from 1 to {most}, got {k}")
    following = f"next: npformer exercises hint {number(exercise)} {k + 1}"
    left = following if k < most else "that was the last one"
    return f"{exercise.name}, hint {k} of {most}: {exercise.hints[k - 1]} ({left})"
