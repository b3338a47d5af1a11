"""`npformer vectors`: a file in either format, JSON on standard output, one line for what is wrong."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

from npformer.cli import main
from npformer.proof.vectors import read_vectors, to_npz, vectors


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
        (["relu", "--dtype", "float32"], "--dtype: for --judge alone"),
        (["relu", "--json"], "--json: for --judge alone"),
        (["relu", "--judge", "x.npz", "--out", "y.npz"], "--out: for writing vectors"),
        (["relu", "--judge", "x.npz", "--format", "json"], "--format: for writing vectors"),
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


def flat(op: str) -> dict[str, object]:
    cases = enumerate(vectors(op, 0))
    return {f"{i}/gradients/{name}": g.tolist() for i, case in cases for name, g in case["gradients"].items()}


def test_results_in_flat_json_are_judged(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(flat("relu")))
    assert main(["vectors", "relu", "--judge", str(path)]) == 0
    path.write_text(
        json.dumps({name: 2 * np.array(g) for name, g in flat("relu").items()}, default=np.ndarray.tolist)
    )
    assert main(["vectors", "relu", "--judge", str(path)]) == 1


def test_a_verdict_in_json_has_the_form_of_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], in_this_process: None
) -> None:
    own = tmp_path / "own.py"
    own.write_text("def relu(x):\n    return x * (x > 0), x\ndef relu_backward(dout, x):\n    return dout\n")
    assert main(["check", str(own), "--json"]) == 1
    of_check = json.loads(capsys.readouterr().out)
    results: dict[str, object] = {name: 2 * np.array(g) for name, g in flat("relu").items()}
    results["0/gradients/x"] = vectors("relu", 0)[0]["gradients"]["x"]
    path = tmp_path / "results.npz"
    np.savez(path, **results)  # type: ignore[arg-type]
    assert main(["vectors", "relu", "--judge", str(path), "--json"]) == 1
    of_kernel = json.loads(capsys.readouterr().out)
    assert set(of_kernel) == set(of_check)
    right, *wrong = of_kernel["checked"]
    assert set(right) == set(of_check["checked"][0])
    assert right["passed"]
    assert right["report"]["passed"]
    assert wrong
    assert not any(one["passed"] or one["report"]["passed"] for one in wrong)
    assert all(one["text"].startswith(f"relu, {one['name']}: FAILED") for one in wrong)


def npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ones(3))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "got an empty file"),
        (to_npz("relu")[:300], "got one that is damaged"),
        (npy(), "got an .npy, one array"),
        (b"[1, 2]", "got a list"),
        (b"any text", "expected an .npz or JSON with test vectors, got another file"),
        (b'{"0/gradients/x": [1, 2', "expected JSON with test vectors"),
        (b'{"gradients/x": [1.0]}', "expected names like 0/gradients/x"),
        (b'{"0/gradients/x": [[1.0], [2.0, 3.0]]}', "expected JSON with test vectors"),
        (b'{"0/gradients/x": {"a": 1}}', "expected an array of numbers"),
        (b'{"cases": 3}', "expected JSON with test vectors"),
        (b'{"cases": [1, 2, 3]}', "relu"),
        (b"{}", "cases of relu, got 0"),
    ],
)
def test_bad_results_are_told_in_one_line(
    content: bytes, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "relu-results"
    path.write_bytes(content)
    assert main(["vectors", "relu", "--judge", str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
    assert "pickle" not in line
    assert "unsafe" not in line
