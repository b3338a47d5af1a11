"""`verify` runs what it is asked to run, in order, and its table says what happened."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from npformer import functional
from npformer.proof import OPS, TARGETS, Row, table, verify
from npformer.proof.verify import Report


def test_targets_are_the_ops_and_what_is_made_of_them() -> None:
    models = ["encoder", "decoder", "encoder_decoder"]
    learnt = ["lora", "finetuning", "finetuning_decoder", "sentence_pairs", "electra", "contrastive"]
    learnt += ["distillation"]
    assert list(TARGETS) == [*OPS, *models, *learnt, "optimizers", "training"]


def test_rows_come_as_they_are_found_and_each_target_once() -> None:
    seen: list[list[Row]] = []
    report = verify(["tanh", "relu", "tanh"], 3, seen.append)
    assert [[row.target for row in rows] for rows in seen] == [["tanh", "tanh"], ["relu", "relu"]]
    assert report.rows == [row for rows in seen for row in rows]
    assert report.passed
    assert report.seed == 3


def test_the_optimizers_and_training_are_run() -> None:
    report = verify(["optimizers", "training"])
    assert report.passed
    assert {row.target for row in report.rows} == {"optimizers", "training"}


def test_bad_targets_and_seeds_are_named_before_any_work() -> None:
    def never(rows: list[Row]) -> None:
        raise AssertionError

    with pytest.raises(ValueError, match="unknown op 'layernorm': expected some of linear, .*, encoder"):
        verify(["relu", "layernorm"], on_rows=never)
    with pytest.raises(ValueError, match="seed: expected at least 0, got -2"):
        verify(["relu"], -2, never)


def test_a_report_without_rows_has_not_passed() -> None:
    assert not Report(0, [], 0.0).passed


def test_a_failure_fails_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    true = functional.tanh_backward
    monkeypatch.setattr(functional, "tanh_backward", lambda dout, cache: true(dout, cache) * (1 + 1e-9))
    report = verify(["relu", "tanh"])
    assert not report.passed
    assert [(row.target, row.input) for row in report.rows if not row.passed] == [("tanh", "x")]
    values = report.to_dict()
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert [row["passed"] for row in values["rows"]] == [True, True, True, False]


ROWS = [
    Row("op", "out", fd=1e-15, torch=2e-16),
    Row("op", "x", fd=3e-12, complex=4e-16, torch=5e-14),
    Row("op", "y", fd=1e-14, float32=9e-7),
]


def test_a_target_that_passed_has_one_line_with_its_worst_errors() -> None:
    (line,) = table.lines(ROWS).splitlines()
    assert line.split() == ["op", "y", "3.0e-12", "4.0e-16", "5.0e-14", "9.0e-07", "-", "ok"]


def test_verbose_has_a_line_for_each_input() -> None:
    lines = table.lines(ROWS, verbose=True).splitlines()
    assert [line.split()[1] for line in lines] == ["out", "x", "y"]
    assert lines[0].split() == ["op", "out", "1.0e-15", "-", "2.0e-16", "-", "-", "ok"]


def test_failed_inputs_are_listed_with_check_and_notes() -> None:
    rows = [
        *ROWS,
        Row("op", "z", fd=1e-9, torch=math.nan, float32=math.inf),
        Row("op", "w", notes=["no gradient"]),
    ]
    lines = table.lines(rows).splitlines()
    assert [line.split()[1] for line in lines[:2]] == ["z", "w"]
    assert lines[0].endswith("FAILED finite > 1e-10, PyTorch > 1e-12, float32 > 2e-06")
    assert " nan " in lines[0]
    assert " inf " in lines[0]
    assert lines[2].strip() == "no gradient"


def test_a_line_shows_the_error_that_is_nearest_to_its_own_tolerance() -> None:
    """Not the largest: rows of one target may have tolerances of their own."""
    rows = [Row("t", "losses", torch=8e-13), Row("t", "keys", torch=2e-12)]
    rows[1].tolerances["torch"] = 1e-9
    assert table.lines(rows).split() == ["t", "losses", "-", "-", "8.0e-13", "-", "-", "ok"]


def test_the_header_names_each_tolerance_and_fits_the_columns() -> None:
    titles, limits = table.header().splitlines()
    assert titles.split()[-5:] == ["finite", "complex", "PyTorch", "float32", "zero"]
    assert limits.split() == ["<=", "1e-10", "<=", "1e-13", "<=", "1e-12", "<=", "2e-06", "<=", "1e-14"]
    assert len(titles) == len(limits)


def test_the_conclusion_counts() -> None:
    report = Report(4, [*ROWS, Row("other", "x", fd=np.inf)], 1.25)
    assert table.conclusion(report) == "4 tensors of 2 targets, seed 4, 1.2 s: 1 FAILED"
    assert table.conclusion(Report(4, ROWS, 1.0)).endswith(": all passed")
