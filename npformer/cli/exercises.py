"""`npformer exercises list | start | check | hint | solution | report`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .._files import write_atomically
from ._options import at_least_one

WHEN = ("visible", "after_due_date", "after_published", "hidden")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of every action."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, what: str) -> argparse.ArgumentParser:
        description = f"{what[0].upper()}{what[1:]}."
        return actions.add_parser(name, help=what, description=description, allow_abbrev=False)

    def graded(parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--seconds", type=float, default=5.0, metavar="S", help="time limit of a file (5)"
        )
        parser.add_argument("--json", action="store_true", help="print JSON in place of text")

    action("list", "the exercises in order")
    begin = action("start", "write stubs; a file that exists is left as it is")
    begin.add_argument("which", nargs="?", default="all", metavar="N", help="number, name or all (default)")
    begin.add_argument("--dir", default="exercises", metavar="DIR", help="where to (default exercises)")
    look = action("check", "grade a file, or those of a folder that were started")
    look.add_argument("which", nargs="?", default="", metavar="N|FILE|DIR", help="default: all of --dir")
    look.add_argument("--dir", default="exercises", metavar="DIR", help="where N is (default exercises)")
    graded(look)
    hint = action("hint", "a hint; each says more than the one before")
    hint.add_argument("which", metavar="N", help="number or name")
    hint.add_argument("number", nargs="?", type=int, metavar="K", help="the hint's number (default 1)")
    hint.add_argument("--more", action="count", default=0, help="one hint further for each --more")
    show = action("solution", "print a solution")
    show.add_argument("which", metavar="N", help="number or name")
    report = action("report", "a table of the points, for one student or a class")
    report.add_argument("dir", nargs="?", default="exercises", metavar="DIR", help="default: exercises")
    report.add_argument(
        "--only",
        metavar="N,N,...",
        help="these exercises; default: all, of a class those that anybody handed in",
    )
    report.add_argument("--class", dest="whole_class", action="store_true", help="DIR has an entry a student")
    report.add_argument("--gradescope", metavar="FILE", help="write Gradescope's results.json")
    report.add_argument(
        "--hidden",
        choices=WHEN,
        metavar="WHEN",
        help=f"when Gradescope shows hidden tests: {', '.join(WHEN)} (default after_due_date)",
    )
    report.add_argument(
        "--output", metavar="FILE", help="write it there: a class as CSV, or as JSON where FILE ends in .json"
    )
    report.add_argument(
        "--workers", type=at_least_one, metavar="N", help="files at a time (default: the cores)"
    )
    graded(report)


def run(args: argparse.Namespace) -> int:
    """Do what was asked; `check` returns 1 unless everything passed."""
    return {"start": _start, "check": _check, "report": _report}.get(args.action, _print)(args)


def _print(args: argparse.Namespace) -> int:
    from ..teaching.exercises import exercise, report, solution

    if args.action == "list":
        print(report.listing())
    elif args.action == "solution":
        print(solution(exercise(args.which)), end="")
    else:
        print(report.hint(exercise(args.which), args.number, args.more))
    return 0


def _start(args: argparse.Namespace) -> int:
    from ..teaching.exercises import EXERCISES, exercise, start

    for path, new in start(list(EXERCISES) if args.which == "all" else [exercise(args.which)], args.dir):
        print(f"{path}" if new else f"{path}: exists, left as it is")
    return 0


def _check(args: argparse.Namespace) -> int:
    from ..teaching.exercises import EXERCISES, grade_all, report, to_grade

    grades = grade_all(to_grade(args.which, args.dir), seconds=args.seconds)
    _tell_left_out(Path(args.which or args.dir), EXERCISES)
    if args.json:
        print(json.dumps([grade.to_dict() for grade in grades], indent=1))
    else:
        print(_readable("\n\n".join(report.detailed(grade) for grade in grades)))
    return 0 if all(grade.status == "passed" for grade in grades) else 1


def _report(args: argparse.Namespace) -> int:
    from ..teaching.exercises import EXERCISES, exercise, grade_class, grade_folder, gradescope, report

    if args.hidden and not args.gradescope:
        raise ValueError("--hidden: for --gradescope alone, which shows students their tests")
    began = time.monotonic()
    settings: dict[str, Any] = {"seconds": args.seconds, "workers": args.workers}
    as_json = args.json or Path(args.output or "").suffix == ".json"
    for option, file in (("--gradescope", args.gradescope), ("--output", args.output)):
        if file and Path(file).is_dir():
            raise ValueError(f"{option}: expected the name of a file to write, got the folder {file!r}")
    chosen = [exercise(which) for which in args.only.split(",")] if args.only else []
    if args.whole_class:
        if args.gradescope:
            raise ValueError("--gradescope is for one student: leave out --class")
        students, chosen = grade_class(args.dir, chosen, progress=_progress, **settings)
        text = report.class_csv(students, chosen)
        if as_json:
            text = json.dumps(report.class_dict(students, chosen), indent=1) + "\n"
    else:
        grades = grade_folder(args.dir, chosen or EXERCISES, **settings)
        note = _tell_left_out(Path(args.dir), chosen or EXERCISES)
        if args.gradescope:
            took, hidden = time.monotonic() - began, args.hidden or "after_due_date"
            gradescope.write(args.gradescope, gradescope.results(grades, hidden, took, note))
        dicts = [grade.to_dict() for grade in grades]
        text = json.dumps(dicts, indent=1) + "\n" if as_json else report.table(grades) + "\n"
    text = _readable(text)
    if args.output:

        def into(file: Any) -> None:
            file.write(text.encode())

        write_atomically(args.output, into)
    else:
        print(text, end="")
    return 0


def _tell_left_out(folder: Path, wanted: Sequence[Any]) -> str:
    """Say which files of a folder were not graded, and return it."""
    from ..teaching.exercises.classes import remark_on

    note = remark_on(folder, wanted) if folder.is_dir() else ""
    if note:
        apart = any(len(path.relative_to(folder).parts) > 1 for path in folder.rglob("*.py"))
        hint = " (of several students, each in a folder: report --class)" if apart else ""
        print(_readable(f"{folder}: {note}{hint}"), file=sys.stderr)
    return note


def _readable(text: str) -> str:
    """Text that can be printed and written: a file's name need not be UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def _progress(done: int, of: int) -> None:
    if done % 20 == 0 or done == of:
        print(f"{done} of {of} files", file=sys.stderr, flush=True)
