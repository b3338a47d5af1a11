"""`npformer exercises`: what is printed, what is written, and the exit status."""

from __future__ import annotations

import json

import pytest

from npformer.cli import main


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
