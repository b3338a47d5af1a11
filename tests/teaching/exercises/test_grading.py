"""Solutions get every point, stubs none, half the work half; whatever a file does, there is a clear grade."""

from __future__ import annotations

import importlib

import pytest

from npformer.teaching.exercises import EXERCISES, exercise, grade_all, grade_file, solution, start
from npformer.teaching.exercises.grading import exercises_in

RIGHT_FORWARD = """import numpy as np
def softmax_forward(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    p = e / e.sum(axis=-1, keepdims=True)
    return p, p
"""
KINDS = {
    "diagonal only": "def softmax_backward(dout, p):\n    return dout * p * (1 - p)\n",
    "crashing": "def softmax_backward(dout, p):\n    return dout @ undefined_name\n",
    "looping": "def softmax_backward(dout, p):\n    import time; time.sleep(60)\n",
    "printing": "def softmax_backward(dout, p):\n    print('here' * 100)\n    return dout\n",
    "a list": "def softmax_backward(dout, p):\n    return [dout, p]\n",
    "None": "def softmax_backward(dout, p):\n    dout * p\n",
    "signature": "def softmax_backward(dout):\n    return dout\n",
    "missing": "",
}


def graded_solutions(exercises, folder):
    """Return the grade of each exercise's own solution, and what it should be."""
    for one in exercises:
        (folder / f"{one.name}.py").write_text(solution(one), encoding="utf-8")
    grades = grade_all([(folder / f"{one.name}.py", one) for one in exercises], seconds=60)
    told = {grade.exercise: (grade.score, grade.note) for grade in grades}
    return told, {one.name: (one.max_score, "") for one in exercises}


def test_there_are_at_least_fourteen():
    assert len(EXERCISES) >= 14
    assert len({one.name for one in EXERCISES}) == len(EXERCISES)


@pytest.mark.usefixtures("in_this_process")
def test_solutions_get_every_point(tmp_path):
    told, expected = graded_solutions(EXERCISES, tmp_path)
    assert told == expected


@pytest.mark.parametrize("exercises", [EXERCISES[1:3], pytest.param(EXERCISES, marks=pytest.mark.thorough)])
def test_solutions_in_processes_of_their_own_do_too(exercises, tmp_path):
    told, expected = graded_solutions(exercises, tmp_path)
    assert told == expected


@pytest.mark.usefixtures("in_this_process")
def test_stubs_get_none_and_are_not_started(tmp_path):
    written = start(list(EXERCISES), tmp_path)
    grades = grade_all([(path, one) for (path, _), one in zip(written, EXERCISES, strict=True)], seconds=60)
    assert {(grade.score, grade.status) for grade in grades} == {(0.0, "not started")}


def test_starting_again_leaves_what_was_written(tmp_path):
    (path, new), *_ = start([exercise("softmax")], tmp_path)
    assert new
    path.write_text("mine")
    assert start([exercise("softmax")], tmp_path) == [(path, False)]
    assert path.read_text() == "mine"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_has_a_grade(kind, tmp_path, request):
    if kind not in ("crashing", "looping"):  # which are a process of their own, as anybody's file
        request.getfixturevalue("in_this_process")
    file = tmp_path / "softmax.py"
    file.write_text(RIGHT_FORWARD + KINDS[kind])
    grade = grade_file(file, exercise("softmax"), seconds=4 if kind == "looping" else 60)
    forward = [mark for mark in grade.marks if mark.function == "softmax_forward"]
    backward = [mark for mark in grade.marks if mark.function == "softmax_backward"]
    assert all(mark.status == "passed" for mark in forward)  # whatever comes after it
    assert backward
    assert all(mark.score == 0 for mark in backward)
    said = grade.note + "".join(mark.said for mark in backward)
    assert said
    assert "npformer/teaching" not in said  # their lines, not ours
    if kind == "crashing":
        assert "undefined_name" in said


@pytest.mark.usefixtures("in_this_process")
def test_a_file_that_cannot_be_read_as_python(tmp_path):
    file = tmp_path / "softmax.py"
    file.write_text("def softmax_forward(x:\n")
    grade = grade_file(file, exercise("softmax"), seconds=60)
    assert (grade.score, grade.status) == (0.0, "failed")
    assert "SyntaxError" in grade.note


@pytest.mark.usefixtures("in_this_process")
def test_the_answers_are_remarked_upon(tmp_path):
    file = tmp_path / "softmax.py"
    file.write_text("import npformer.functional\n" + RIGHT_FORWARD)
    assert any("npformer" in remark for remark in grade_file(file, exercise("softmax"), seconds=60).remarks)


@pytest.mark.parametrize("seconds", [0, float("nan"), float("inf")])
def test_no_time_at_all_is_no_grade(seconds, tmp_path):
    file = tmp_path / "softmax.py"
    file.write_text(RIGHT_FORWARD)
    with pytest.raises(ValueError, match="seconds: expected a positive number"):
        grade_all([(file, exercise("softmax"))], seconds=seconds)


@pytest.mark.usefixtures("in_this_process")
def test_what_happens_after_loading_is_not_said_to_be_of_loading(tmp_path):
    file = tmp_path / "softmax.py"
    file.write_text("import sys\nsys.exit(2)\n" + RIGHT_FORWARD)
    assert "when it was loaded" in grade_file(file, exercise("softmax"), seconds=60).note
    file.write_text(
        "class Odd(BaseException):\n    pass\n"
        "def softmax_forward(x):\n    raise Odd('mine')\n"
        "def softmax_backward(dout, p):\n    return dout\n"
    )
    grade = grade_file(file, exercise("softmax"), seconds=60)
    assert grade.note.startswith("it raised an exception while it was graded")
    assert "Odd: mine" in grade.note


RAGGED = "def corrupt(ids, *rest):\n    return ids.copy(), [[1, 2], [3]]\n"
ODD = """
class Odd:
    def __array__(self, *rest, **more):
        raise KeyError("mine")
"""


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize(
    ("name", "source", "words"),
    [
        ("masked_lm", RAGGED, "cannot be read as arrays: ValueError"),
        ("masked_lm", ODD + "def corrupt(ids, *rest):\n    return ids.copy(), Odd()\n", "KeyError: 'mine'"),
        ("softmax", ODD + "def softmax_forward(x):\n    return Odd(), x\n", "got Odd, which raises KeyError"),
    ],
)
def test_what_cannot_be_read_as_an_array_is_told_as_that(name, source, words, tmp_path):
    file = tmp_path / f"{name}.py"
    file.write_text(source)
    grade = grade_file(file, exercise(name), seconds=60)
    assert grade.note == ""
    assert words in grade.marks[0].said
    assert len(grade.marks) == len(exercise(name).items)


@pytest.mark.usefixtures("in_this_process")
def test_a_fault_of_the_referee_is_not_told_as_the_students(tmp_path, monkeypatch):
    referee = importlib.import_module("npformer.gradcheck.check")
    monkeypatch.setattr(referee, "EXPLAINED", "a word")  # which is asked for where a gradient is wrong
    file = tmp_path / "softmax.py"
    file.write_text(RIGHT_FORWARD + "def softmax_backward(dout, p):\n    return 2 * dout\n")
    said = [mark.said for mark in grade_file(file, exercise("softmax"), seconds=60).marks]
    assert said[0] == ""
    assert "npformer itself failed, not this code: TypeError" in said[-1]


@pytest.mark.usefixtures("in_this_process")
def test_a_hidden_point_that_is_not_started_leaves_the_shown_one_its_points(tmp_path):
    """As of an op, whose value and gradients are graded by the other grader."""
    file = tmp_path / "clipping.py"
    lines = solution(exercise("clipping")).splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("def clip_by_global_norm"))
    lines[at] = lines[at].replace("clip_by_global_norm", "right")
    called = "\nSEEN = []\ndef clip_by_global_norm(*args, **named):\n    SEEN.append(1)\n"
    called += "    if len(SEEN) > 1:\n        raise NotImplementedError\n    return right(*args, **named)\n"
    file.write_text("\n".join(lines) + called)
    grade = grade_file(file, exercise("clipping"), seconds=60)
    assert all(mark.started and mark.shown == 1 for mark in grade.marks)
    assert all("not started" in mark.said_hidden for mark in grade.marks)


def test_a_file_is_for_all_that_it_holds(tmp_path):
    file = tmp_path / "attention.py"
    others = solution(exercise("softmax")) + solution(exercise("layer_norm"))
    file.write_text(solution(exercise("attention")) + others)
    assert [one.name for one in exercises_in(file)] == ["softmax", "layer_norm", "attention"]
    file.write_text("# npformer exercise 9: attention. To write: attention_forward.\n" + others)
    assert [one.name for one in exercises_in(file)] == ["softmax", "layer_norm", "attention"]
