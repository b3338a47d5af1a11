"""What is printed, and the same for machines."""

from __future__ import annotations

import json

import numpy as np
import pytest

from npformer.gradcheck import GradientError, Hypothesis, Report, Verdict, check
from npformer.gradcheck.verdicts import Finding, Result, Worst


def result(name, verdict, **more):
    passed = verdict in (Verdict.OK, Verdict.KINK)
    return Result(name, verdict, passed, (Finding(verdict, f"About {name}.", passed),), (2, 3), **more)


def test_verdict_of_the_whole():
    ok, kink, wrong, shape = (
        result(v.name.lower(), v) for v in (Verdict.OK, Verdict.KINK, Verdict.WRONG, Verdict.SHAPE)
    )
    assert Report(None, (ok,)).verdict is Verdict.OK
    assert Report(None, (ok, kink)).verdict is Verdict.KINK
    assert Report(None, (ok, kink)).passed
    assert Report(None, (kink, wrong, ok)).verdict is Verdict.WRONG
    assert Report(None, (wrong, shape)).verdict is Verdict.SHAPE
    assert not Report(None, (ok, wrong)).passed


def test_results_by_name():
    report = Report(None, (result("x", Verdict.OK),))
    assert report["x"].name == "x"
    with pytest.raises(KeyError):
        report["y"]


def test_the_table():
    worst = Worst((1, 2), 0.5, 0.25, 0.125)
    more = {"worst": worst, "error": 0.125, "tolerance": 1e-12, "method": "complex step"}
    because = Hypothesis("mean-for-sum", "a = n / 3.", "averaged in place of summed", 1.0, "Write sum.")
    report = Report(
        "op", (result("x", Verdict.OK), result("b", Verdict.WRONG, hypotheses=(because,), **more))
    )
    lines = str(report).splitlines()
    assert lines[0] == "gradient check of op: FAILED in 1 of 2 inputs: b"
    assert lines[4].split("  ")[0] == "b"
    assert "(1, 2)" in lines[4]
    assert "1.2e-01" in lines[4]
    assert "b: About b." in lines
    assert "About x." not in str(report)
    assert "  - mean-for-sum: a = n / 3. Typically: averaged in place of summed. Write sum." in str(report)
    assert report.names == {"mean-for-sum"}
    assert all(len(line) <= 100 for line in lines)


def test_raise_if_failed():
    Report(None, (result("x", Verdict.OK),)).raise_if_failed()
    with pytest.raises(GradientError, match="About x") as caught:
        Report(None, (result("x", Verdict.WRONG),)).raise_if_failed()
    assert isinstance(caught.value, AssertionError)


def test_json_is_json_whatever_the_numbers():
    rng = np.random.default_rng(0)

    def backward(dout, x):
        d = dout * np.cos(x)
        d[0, 0] = np.nan
        return d

    report = check(lambda x: (np.sin(x), x), backward, [rng.standard_normal((2, 2))], op="sin")

    def refuse(text):
        raise AssertionError(f"{text} is not JSON")

    content = json.loads(report.to_json(indent=1), parse_constant=refuse)
    assert content["op"] == "sin"
    assert content["passed"] is False
    assert content["verdict"] == content["results"][0]["verdict"] == "NONFINITE"
    assert content["blind_spots"][0]["identifier"] == "equal-sizes"

    odd = Worst((0,), float("nan"), float("inf"), float("-inf"))
    content = json.loads(
        Report(None, (result("x", Verdict.WRONG, worst=odd),)).to_json(), parse_constant=refuse
    )
    assert content["results"][0]["worst"] == {"index": [0], "given": "nan", "numeric": "inf", "error": "-inf"}
    assert content["results"][0]["error"] == "nan"


def test_a_notebook_shows_the_report_with_nothing_taken_for_html():
    told = Report("a<b", (result("x", Verdict.OK),))._repr_html_()
    assert told.startswith("<pre>gradient check of a&lt;b: passed")
    assert told.endswith("</pre>")


def test_a_report_is_true_when_it_passed_and_its_title_counts_what_failed():
    x = np.arange(1.0, 4.0)

    def forward(x, gamma):
        return x * gamma, (x, gamma)

    def right(d, c):
        return d * c[1], d * c[0]

    report = check(forward, right, [x, np.ones(3)])
    assert report
    assert str(report).startswith("gradient check: passed, 2 inputs")
    assert not check(forward, lambda d, c: (d, -d * c[0]), [x, x])
    strict = check(forward, right, [x, np.ones(3)], strict=True)
    assert not strict
    assert str(strict).startswith(
        "gradient check: FAILED, since it is strict: nothing is wrong, 1 blind spot\n"
    )


def test_how_two_returned_values_were_taken_is_told():
    def loss(x, y):
        p = x * y
        return p.sum(), p

    def backward(dout, p, y):  # wants the cache, and the inputs too
        return p * y, p * y

    report = check(loss, backward, [np.arange(1.0, 4.0), np.arange(2.0, 5.0)])
    assert "it was called as backward(dout, x, y), with a dout for each output" in " ".join(
        str(report).split()
    )
