"""`npformer exercises`: what is printed, what is written, and the exit status."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from npformer.cli import main
from npformer.teaching.exercises import exercise, solution


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_list(capsys):
    assert main(["exercises", "list"]) == 0
    assert "layer_norm" in capsys.readouterr().out


def test_start_check_solution_report(tmp_path, capsys):
    assert main(["exercises", "start", "3"]) == 0
    assert (tmp_path / "exercises" / "03_softmax.py").is_file()
    assert main(["exercises", "check", "3"]) == 1
    assert "not started" in capsys.readouterr().out
    assert main(["exercises", "solution", "softmax"]) == 0
    (tmp_path / "exercises" / "03_softmax.py").write_text(capsys.readouterr().out)
    assert main(["exercises", "check", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["status"] == "passed"
    assert main(["exercises", "report", "--only", "3,5", "--gradescope", "results.json"]) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["score"] == 4
    assert results["score"] == sum(test["score"] for test in results["tests"])
    assert sum(test["max_score"] for test in results["tests"]) == 8


def test_hints_say_more_and_more(capsys):
    assert main(["exercises", "hint", "softmax"]) == 0
    first = capsys.readouterr().out
    assert main(["exercises", "hint", "softmax", "2"]) == 0
    assert capsys.readouterr().out != first


@pytest.mark.parametrize("arguments", [["check", "nosuch"], ["hint", "99"], ["report", "nowhere"]])
def test_bad_usage_is_one_line(arguments, capsys):
    assert main(["exercises", *arguments]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_a_class_says_what_it_did_not_grade(tmp_path, capsys):
    assert main(["exercises", "solution", "3"]) == 0
    solution = capsys.readouterr().out
    for name in ("ann", "bob", "eve"):
        (tmp_path / "class" / name).mkdir(parents=True)
    (tmp_path / "class" / "ann" / "03_softmax.py").write_text(solution)
    (tmp_path / "class" / "ann" / "other.py").write_text(solution)
    (tmp_path / "class" / "bob" / "hw.ipynb").write_text("{}")
    (tmp_path / "class" / "zed.zip").write_bytes(b"PK")
    assert main(["exercises", "report", "class", "--class"]) == 0
    rows = dict(line.split(",", 1) for line in capsys.readouterr().out.strip().splitlines())
    assert rows["ann"].endswith("two files for softmax: other.py was not graded")
    assert rows["ann"].startswith("4,")
    assert "no .py file of an exercise found, but hw.ipynb" in rows["bob"]
    assert "but nothing" in rows["eve"]
    assert "neither a folder nor a .py file" in rows["zed.zip"]
    assert main(["exercises", "report", "class", "--class", "--output", "points.json"]) == 0
    assert json.loads((tmp_path / "points.json").read_text())["students"][0]["student"] == "ann"


def test_a_number_is_found_in_the_folder_itself_too(tmp_path, capsys, monkeypatch):
    assert main(["exercises", "start", "3"]) == 0
    assert "npformer exercises check 3" in (tmp_path / "exercises" / "03_softmax.py").read_text()
    monkeypatch.chdir(tmp_path / "exercises")
    assert main(["exercises", "check", "3"]) == 1
    assert "not started" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--hidden", "visible"], "--hidden: for --gradescope alone"),
        (["--workers", "0"], "--workers: expected at least 1, got 0"),
    ],
)
def test_options_that_would_do_nothing_are_refused(arguments, words, tmp_path, capsys):
    (tmp_path / "exercises").mkdir()
    assert main(["exercises", "report", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert words in captured.err


@pytest.mark.parametrize(("options", "shown"), [([], "after_due_date"), (["--hidden", "visible"], "visible")])
def test_when_gradescope_shows_hidden_tests(options, shown, tmp_path):
    (tmp_path / "exercises").mkdir()
    assert main(["exercises", "report", "--only", "3", "--gradescope", "results.json", *options]) == 0
    tests = json.loads((tmp_path / "results.json").read_text())["tests"]
    assert {test["visibility"] for test in tests} == {"visible", shown}


def test_a_folder_is_no_file_to_write(capsys):
    assert main(["exercises", "report", "--gradescope", "."]) == 2
    assert "--gradescope: expected the name of a file to write, got the folder '.'" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="every name of a file is Unicode there")
def test_names_that_are_no_utf_8_cost_nobody_their_points(tmp_path, capsys):
    assert main(["exercises", "solution", "3"]) == 0
    solution = capsys.readouterr().out
    folder = os.fsencode(tmp_path / "class") + b"/b\xff"
    os.makedirs(folder)
    with open(folder + b"/softmax.py", "w", encoding="utf-8") as file:
        file.write(solution)
    (tmp_path / "points.csv").write_text("the old ones")
    assert main(["exercises", "report", "class", "--class", "--output", "points.csv"]) == 0
    rows = (tmp_path / "points.csv").read_text("utf-8").splitlines()
    assert rows[1].startswith(r"b\udcff,4,")
    capsys.readouterr()
    assert main(["exercises", "report", "class", "--class"]) == 0
    assert capsys.readouterr().out.splitlines() == rows
    assert main(["exercises", "check", os.fsdecode(folder)]) == 0
    assert r"b\udcff" in capsys.readouterr().out
    assert main(["exercises", "report", "class", "--class", "--output", "class"]) == 2


def test_a_file_that_was_not_graded_is_told(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for student in ("bob", "zoe"):
        Path("class", student).mkdir(parents=True)
        Path("class", student, "03_softmax.py").write_text(solution(exercise("softmax")))
    assert main(["exercises", "report", "class", "--only", "3", "--gradescope", "results.json"]) == 0
    said = "class: two files for softmax: zoe/03_softmax.py was not graded"
    assert f"{said} (of several students, each in a folder: report --class)\n" in capsys.readouterr().err
    assert said.removeprefix("class: ") in json.loads(Path("results.json").read_text())["output"]
    assert main(["exercises", "check", "class"]) == 0
    assert said in capsys.readouterr().err
