"""A whole class: who handed in what, and grading all of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from .catalogue import EXERCISES
from .exercise import Exercise, Grade
from .grading import SECONDS, exercises_in, grade_all, nothing, weights
from .report import Student
from .stubs import exercise, file_name, number

Files = dict[Exercise, Path]


def submissions(folder: str | Path) -> dict[str, Files]:
    """Return who handed in what: a folder for each student, a file, or both. Nothing else is graded.

    Raises
    ------
    ValueError
        If there is no folder, or nothing in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    found: dict[str, Files] = {}
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith((".", "__")):
            continue
        name = entry.stem if entry.suffix == ".py" and not entry.is_dir() else entry.name
        found[name] = _by_exercise(_handed_in(folder / name))
    if not any(entry.is_dir() or entry.suffix == ".py" for entry in folder.iterdir()):
        raise ValueError(f"{folder}: expected a folder or a .py file for each student, found none")
    return found


def remark_on(entry: Path, wanted: Sequence[Exercise]) -> str:
    """Say what of a student's entry was not graded, "" where all was."""
    paths = _handed_in(entry)
    if not entry.is_dir() and not paths:
        return "not graded: neither a folder nor a .py file"
    files = _by_exercise(paths)
    told = []
    for path in paths:  # (one function of an exercise beside others is a help to these)
        whole = [one for one, much in weights(path).items() if much >= 1 and one in wanted]
        if twice := [one.name for one in whole if files[one] != path]:
            name = path.relative_to(entry) if entry in path.parents else path.name
            rest = " for it" if path in files.values() else ""
            told.append(f"two files for {', '.join(twice)}: {name} was not graded{rest}")
    if entry.is_dir() and not any(one in wanted for one in files):
        names = [path.name for path in sorted(entry.rglob("*")) if path.is_file()][:5]
        told.append(f"no .py file of an exercise found, but {', '.join(names) if names else 'nothing'}")
    return "; ".join(told)


def files_in(folder: str | Path) -> Files:
    """Return the file for each exercise in a folder and the folders in it."""
    return _by_exercise(_sources(folder))


def _by_exercise(paths: Sequence[Path]) -> Files:
    """The file for each exercise: one that is named for it before one that has its functions among others."""
    found: dict[Exercise, tuple[float, Path]] = {}
    for path in paths:
        for one, much in weights(path).items():
            if much > found.get(one, (0.0, path))[0]:
                found[one] = much, path
    return {one: found[one][1] for one in EXERCISES if one in found}


def _handed_in(entry: Path) -> list[Path]:
    """A student's files: those in the folder `entry`, and the one beside it that has its name."""
    alone = entry.with_name(f"{entry.name}.py")
    return [*(_sources(entry) if entry.is_dir() else []), *([alone] if alone.is_file() else [])]


def _sources(folder: str | Path) -> list[Path]:
    return [
        path
        for path in sorted(Path(folder).rglob("*.py"))
        if not any(part.startswith((".", "__")) for part in path.relative_to(folder).parts)
    ]


def grade_class(
    folder: str | Path,
    chosen: Sequence[Exercise] = (),
    *,
    seconds: float = SECONDS,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Student], list[Exercise]]:
    """Grade everybody.

    Parameters
    ----------
    folder : path
        Holds a folder or a file for each student.
    chosen : sequence of Exercise
        Default: those that anybody handed in.
    seconds, workers, progress
        As in `grade_all`.

    Returns
    -------
    students : list of Student
        By name, each with a grade for every exercise; 0 points where there is no file.
    chosen : list of Exercise
    """
    handed_in = submissions(folder)
    wanted = [one for one in EXERCISES if one in chosen] or [
        one for one in EXERCISES if any(one in files for files in handed_in.values())
    ]
    keys = [(name, one) for name, files in handed_in.items() for one in wanted if one in files]
    grades = grade_all(
        [(handed_in[name][one], one) for name, one in keys],
        seconds=seconds,
        workers=workers,
        progress=progress,
    )
    by_key = dict(zip(keys, grades, strict=True))
    students = [
        Student(
            name,
            tuple(by_key.get((name, one)) or nothing(one) for one in wanted),
            remark_on(Path(folder, name), wanted),
        )
        for name in handed_in
    ]
    return students, wanted


def grade_folder(
    folder: str | Path, chosen: Sequence[Exercise], *, seconds: float = SECONDS, workers: int | None = None
) -> list[Grade]:
    """Grade one student's folder: a grade for each exercise that is chosen, 0 points where there is no file.

    Raises
    ------
    ValueError
        If there is no folder.
    """
    if not Path(folder).is_dir():
        raise ValueError(f"{folder}: no such folder")
    files = files_in(folder)
    wanted = [one for one in chosen if one in files]
    grades = grade_all([(files[one], one) for one in wanted], seconds=seconds, workers=workers)
    by_exercise = dict(zip(wanted, grades, strict=True))
    return [by_exercise.get(one) or nothing(one) for one in chosen]


def to_grade(which: str, folder: str | Path) -> list[tuple[str | Path, Exercise]]:
    """Return what "a number, a file or a folder" means: files and the exercises they are for.

    Parameters
    ----------
    which : str
        "" = everything in `folder`.
    folder : path
        Where the file of a number or name is.

    Raises
    ------
    ValueError
        If there is nothing to grade.
    """
    path = Path(which or folder)
    if path.is_dir():
        files = files_in(path)
        if not files:
            raise ValueError(f"{path}: no file of an exercise in it: npformer exercises start writes stubs")
        return [(files[one], one) for one in EXERCISES if one in files]
    if path.is_file():
        found = exercises_in(path)
        if not found:
            raise ValueError(f"{path}: no function of an exercise in it")
        return [(path, one) for one in found]
    if path.suffix == ".py" or not which:
        raise ValueError(f"{path}: no such {'file' if which else 'folder'}")
    one = exercise(which)
    path = Path(folder, file_name(one))
    if not path.is_file() and Path(file_name(one)).is_file():
        path = Path(file_name(one))  # they are in the folder itself
    if not path.is_file():
        raise ValueError(f"{path}: no such file: npformer exercises start {number(one)} writes it")
    return [(path, one)]
