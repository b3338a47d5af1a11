"""Stubs: a solution without the bodies of its required functions."""

from __future__ import annotations

import ast
from pathlib import Path

from ..._files import write_atomically
from .catalogue import EXERCISES
from .exercise import Exercise

SOLUTIONS = Path(__file__).resolve().parent / "solutions"
ENCODING = "utf-8"


def number(exercise: Exercise) -> int:
    """Its place in the course, from 1."""
    return EXERCISES.index(exercise) + 1


def exercise(which: str | int) -> Exercise:
    """Return an exercise by its number or name.

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> exercise(3).name, exercise("softmax").max_score
    ('softmax', 4.0)
    """
    for i, one in enumerate(EXERCISES, 1):
        if str(which) in (str(i), f"{i:02}", one.name, f"{i:02}_{one.name}", file_name(one)):
            return one
    expected = f"a number from 1 to {len(EXERCISES)}, a name, or a file or folder that exists"
    raise ValueError(f"exercise: expected {expected}, got {which!r}")


def file_name(exercise: Exercise) -> str:
    """The name of an exercise's file: "03_softmax.py"."""
    return f"{number(exercise):02}_{exercise.name}.py"


def solution(exercise: Exercise) -> str:
    """The source of the solution."""
    return (SOLUTIONS / f"{exercise.name}.py").read_text(encoding=ENCODING)


def stub(exercise: Exercise) -> str:
    """The source of the stub: after the docstring of each required function stands an exception.

    Examples
    --------
    >>> print(stub(exercise("gelu")).splitlines()[-1])
        raise NotImplementedError("gelu_backward")
    """
    source = solution(exercise)
    lines = source.splitlines()
    for node in reversed(ast.parse(source).body):
        if isinstance(node, ast.FunctionDef) and node.name in exercise.functions:
            first, last = node.body[0].end_lineno, node.end_lineno
            assert first is not None
            assert last is not None
            lines[first:last] = [f'    raise NotImplementedError("{node.name}")']
    wanted = ", ".join(exercise.functions)
    header = [
        f"# npformer exercise {number(exercise)}: {exercise.name}. To write: {wanted}.",
        f"# Check it with: npformer exercises check {number(exercise)}",
    ]
    return "\n".join([*header, *lines]) + "\n"


def start(chosen: list[Exercise], folder: str | Path) -> list[tuple[Path, bool]]:
    """Write stubs; a file that exists is left as it is.

    Returns
    -------
    list of (Path, bool)
        Was it written?
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for one in chosen:
        path = folder / file_name(one)
        new = not path.exists()
        if new:
            content = stub(one).encode(ENCODING)
            write_atomically(path, lambda file, content=content: file.write(content) and None)  # type: ignore[misc]
        found.append((path, new))
    return found
