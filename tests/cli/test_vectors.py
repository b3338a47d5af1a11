"""`npformer vectors`: a file in either format, JSON on standard output, one line for what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from npformer.cli import main
from npformer.proof.vectors import read_vectors, vectors


def test_a_file_is_written_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "v.npz"
    assert main(["vectors", "layer_norm", "--seed", "1", "--out", str(path)]) == 0
    assert capsys.readouterr().out.strip() == str(path)
    np.testing.assert_array_equal(read_vectors(path)[0]["out"], vectors("layer_norm", 1)[0]["out"])


def test_without_a_name_it_lands_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["vectors", "relu", "--seed", "3", "--format", "json"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["relu-seed3.json"]


def test_standard_output_gets_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["vectors", "embedding", "--out", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["op"] == "embedding"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["layernorm"], "unknown op 'layernorm': expected one of linear, "),
        (["relu", "--seed=-1"], "seed: expected at least 0, got -1"),
        (["relu", "--format", "xml"], "invalid choice: 'xml'"),
        (["relu", "--out", "no/such/folder/x.npz"], "no/such/folder/x.npz: No such file or directory"),
        ([], "OP"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["vectors", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert words in line
    assert not list(tmp_path.iterdir())
