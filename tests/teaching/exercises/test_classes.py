"""Who handed in what: folders, files, both; and which of two files is graded."""

from __future__ import annotations

import pytest

from npformer.teaching.exercises import exercise, solution
from npformer.teaching.exercises.classes import files_in, grade_class, remark_on, submissions

HELPER = "def softmax_forward(x):\n    return x, x\n"


def handed_in(folder):
    return {
        name: {one.name: path.name for one, path in files.items()}
        for name, files in submissions(folder).items()
    }


def test_a_folder_and_a_file_of_one_name_are_one_students(tmp_path):
    (tmp_path / "ann").mkdir()
    (tmp_path / "ann" / "03_softmax.py").write_text(solution(exercise("softmax")))
    (tmp_path / "ann.py").write_text(solution(exercise("gelu")))
    (tmp_path / "bob.py").write_text(solution(exercise("gelu")))
    (tmp_path / "eve").mkdir()
    assert handed_in(tmp_path) == {
        "ann": {"softmax": "03_softmax.py", "gelu": "ann.py"},
        "bob": {"gelu": "bob.py"},
        "eve": {},
    }
    wanted = [exercise("softmax"), exercise("gelu")]
    assert [remark_on(tmp_path / name, wanted) for name in ("ann", "bob")] == ["", ""]
    (tmp_path / "ann.py").write_text(solution(exercise("softmax")))
    assert handed_in(tmp_path)["ann"] == {"softmax": "03_softmax.py"}
    assert remark_on(tmp_path / "ann", wanted) == "two files for softmax: ann.py was not graded"


@pytest.mark.usefixtures("in_this_process")
def test_both_get_their_points(tmp_path):
    (tmp_path / "ann").mkdir()
    (tmp_path / "ann" / "anything.py").write_text(solution(exercise("softmax")))
    (tmp_path / "ann.py").write_text(solution(exercise("gelu")))
    students, wanted = grade_class(tmp_path, seconds=60, workers=1)
    assert [(one.name, one.score) for one in students] == [("ann", sum(e.max_score for e in wanted))]
    assert len(wanted) == 2


def test_a_file_that_is_named_for_an_exercise_goes_before_one_that_helps_itself(tmp_path):
    (tmp_path / "attention.py").write_text(solution(exercise("attention")) + HELPER)
    found = {one.name: path.name for one, path in files_in(tmp_path).items()}
    assert found == {"attention": "attention.py"}  # one function of another exercise is no work on that
    (tmp_path / "softmax.py").write_text(solution(exercise("softmax")))
    found = {one.name: path.name for one, path in files_in(tmp_path).items()}
    assert found == {"softmax": "softmax.py", "attention": "attention.py"}
    wanted = [exercise("softmax"), exercise("attention")]
    assert remark_on(tmp_path, wanted) == ""  # one function is no second file
    (tmp_path / "attention.py").write_text(solution(exercise("attention")) + solution(exercise("softmax")))
    assert remark_on(tmp_path, wanted) == "two files for softmax: attention.py was not graded for it"
