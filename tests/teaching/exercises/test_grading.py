"""Solutions get every point, stubs none, half the work half; whatever a file does, there is a clear grade."""

from __future__ import annotations

import pytest

from npformer.teaching.exercises import EXERCISES, exercise, grade_all, grade_file, solution, start

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
