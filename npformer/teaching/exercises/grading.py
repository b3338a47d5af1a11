"""Grading a file in a process of its own. What was found before it hung or died counts."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ..child import run_child
from .catalogue import EXERCISES
from .exercise import Exercise, Grade, Mark
from .stubs import ENCODING, exercise, number

SECONDS = 5.0
HEADER = re.compile(r"^# npformer exercise \d+: (\w+)\.", re.MULTILINE)
ANSWERS = {"npformer", "torch", "jax", "tensorflow", "autograd"}  # packages that hold the answers


def exercises_in(file: str | Path) -> list[Exercise]:
    """Return the exercises that a file is for: by its header, else its name, and by the functions it defines.

    Examples
    --------
    >>> [one.name for one in exercises_in("anywhere/03_softmax.py")]
    ['softmax']
    """
    return list(weights(file))


def weights(file: str | Path) -> dict[Exercise, float]:
    """Return how much a file has of each exercise it is for: the share of its functions, and 1 for its name.

    Of those with less than all only if there is no other: one function of softmax helps attention.
    """
    file = Path(file)
    try:
        text = file.read_text(encoding=ENCODING)
    except (OSError, UnicodeDecodeError):
        text = ""
    names = HEADER.findall(text) or [re.sub(r"^\d+_", "", file.stem)]
    defined = set(re.findall(r"^def (\w+)", text, re.MULTILINE))
    found = {
        one: (one.name in names) + len(defined & set(one.functions)) / len(one.functions) for one in EXERCISES
    }
    whole = any(much >= 1 for much in found.values())
    return {one: much for one, much in found.items() if (much >= 1 if whole else much > 0)}


def grade_file(file: str | Path, which: Exercise, *, seconds: float = SECONDS) -> Grade:
    """Grade one file for one exercise.

    Parameters
    ----------
    file : path
    which : Exercise
    seconds : float
        After that long the file's process is killed; what it had been graded for by then counts.

    Returns
    -------
    Grade
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="npformer-") as folder:
        progress = Path(folder, "marks.json")
        payload = {"file": str(Path(file).resolve()), "exercise": which.name, "progress": str(progress)}
        outcome = run_child(f"{__name__}:grade_in_child", payload, seconds=seconds)
        told = outcome.value
        loaded = progress.exists()
        if outcome.status != "done":
            told = json.loads(progress.read_text(encoding=ENCODING)) if loaded else []
    marks = [Mark(**mark) for mark in told]
    note = ""
    if outcome.status != "done":
        words = {"timeout": "it did not end", "died": "it ended early", "raised": "it raised an exception"}
        last = outcome.error.strip().splitlines()[-1] if outcome.status == "raised" else outcome.error
        note = f"{words[outcome.status]}: {last}"
        if outcome.status == "raised":
            when = "while it was graded" if loaded else "when it was loaded"
            note = f"{words['raised']} {when}\n{outcome.error}"
        done = {(mark.function, mark.item) for mark in marks}
        missing = [item for item in which.items if item[:2] not in done]
        marks += [Mark(f, item, points, 0.0, 0.0, note.splitlines()[0]) for f, item, points in missing]
    remarks = tuple(_remarks(Path(file), which))
    took = time.monotonic() - began
    return Grade(which.name, number(which), str(file), tuple(marks), note, remarks, outcome.stdout, took)


def grade_in_child(payload: dict[str, str]) -> list[dict[str, Any]]:
    """Load the file and grade it; runs in the child.

    Parameters
    ----------
    payload : dict
        "file", "exercise", and "progress", where the marks so far are written, from when the file is loaded.

    Returns
    -------
    list of dict
        The fields of a Mark for each item.
    """
    which = exercise(payload["exercise"])
    ours = importlib.import_module(f"{__package__}.solutions.{which.name}")
    theirs = _loaded(Path(payload["file"]))
    marks: list[dict[str, Any]] = []

    def write() -> None:
        partial = Path(payload["progress"] + ".partial")
        partial.write_text(json.dumps(marks), encoding=ENCODING)
        os.replace(partial, payload["progress"])

    write()  # none yet: it is loaded
    for mark in which.grade(theirs, ours):
        marks.append(vars(mark))
        write()
    return marks


def _loaded(path: Path) -> SimpleNamespace:
    """The functions of a file."""
    sys.path.insert(0, str(path.parent))  # they may import the files beside it,
    sys.path.append(os.getcwd())  # and those of this folder, where nothing else has the name
    spec = importlib.util.spec_from_file_location("submission", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["submission"] = module
    spec.loader.exec_module(module)
    return SimpleNamespace(**vars(module))


def _remarks(file: Path, which: Exercise) -> Iterable[str]:
    """Say which packages with the answers the file imports, for the teacher to judge."""
    from .stubs import solution

    try:
        own = _imported(file.read_text(encoding=ENCODING))
    except (OSError, UnicodeDecodeError, SyntaxError, ValueError):
        return
    for name in sorted(own - _imported(solution(which))):
        yield f"imports {name}"


def _imported(source: str) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module}
    return {name for name in found if name.split(".")[0] in ANSWERS}


def nothing(which: Exercise, file: str = "") -> Grade:
    """The grade where there is no file."""
    marks = tuple(Mark(f, item, points, 0.0, 0.0, "", "", False) for f, item, points in which.items)
    return Grade(which.name, number(which), file, marks)


def grade_all(
    work: list[tuple[str | Path, Exercise]],
    *,
    seconds: float = SECONDS,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Grade]:
    """Grade many files, each in a process of its own, some at a time.

    Parameters
    ----------
    work : list of (path, Exercise)
    seconds : float
        For each.
    workers : int, optional
        How many at a time; default: the cores.
    progress : callable, optional
        Gets how many are done, and how many there are.

    Returns
    -------
    list of Grade
        In the order of `work`.
    """
    done = 0
    grades: list[Grade] = []
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        try:
            for grade in pool.map(lambda one: grade_file(one[0], one[1], seconds=seconds), work):
                grades.append(grade)
                done += 1
                if progress is not None:
                    progress(done, len(work))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return grades
