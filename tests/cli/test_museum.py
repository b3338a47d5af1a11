"""`npformer museum`: the list, a page, JSON, and no such exhibit."""

from __future__ import annotations

import json

import pytest

from npformer.cli import main
from npformer.teaching.museum import INDEX, OPTIMIZER_INDEX


def test_the_list(capsys):
    assert main(["museum"]) == 0
    assert "sum-term-missing" in capsys.readouterr().out


def test_a_page_by_number_and_by_name(capsys):
    assert main(["museum", "1"]) == 0
    by_number = capsys.readouterr().out
    assert main(["museum", "linear/averaged-not-summed"]) == 0
    assert capsys.readouterr().out == by_number
    assert "averaged-not-summed: The given gradient of b" in " ".join(by_number.split())


def test_json(capsys):
    assert main(["museum", "softmax/sum-term-missing", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "sum-term-missing"


def test_no_such_exhibit(capsys):
    assert main(["museum", "softmax/none"]) == 2
    assert "got 'softmax/none'" in capsys.readouterr().err


def test_an_op_lists_its_own(capsys):
    assert main(["museum", "softmax"]) == 0
    out = capsys.readouterr().out
    assert "wrong-axis" in out
    assert "gamma-forgotten" not in out


def test_json_of_an_op_and_of_an_optimizer(capsys):
    assert main(["museum", "softmax", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in found] == [name for name, _ in INDEX["softmax"]]
    assert {one["op"] for one in found} == {"softmax"}
    assert main(["museum", "adam", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in found] == [name for name, _ in OPTIMIZER_INDEX["adam"]]


@pytest.mark.parametrize("others", [["softmax"], ["softmax/wrong-axis"], ["--json"]])
def test_all_pages_are_asked_for_alone(others, capsys):
    assert main(["museum", "--markdown", *others]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "--markdown: prints every page: leave out N and --json" in captured.err


def test_the_mistakes_of_optimizers_are_in_the_list(capsys):
    assert main(["museum"]) == 0
    whole = capsys.readouterr().out
    assert all(f"{name:<32} {what}" in whole for names in OPTIMIZER_INDEX.values() for name, what in names)
    assert main(["museum", "adamw"]) == 0
    out = capsys.readouterr().out
    assert "check_optimizer" in out
    assert "l2-for-decoupled-decay" in out
    assert "momentum-damped" not in out
    assert main(["museum", "adam/betas-swapped"]) == 0
    assert capsys.readouterr().out.count("exchanged") == 1
