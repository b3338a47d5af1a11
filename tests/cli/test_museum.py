"""`npformer museum`: the list, a page, JSON, and no such exhibit."""

from __future__ import annotations

import json

from npformer.cli import main


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
