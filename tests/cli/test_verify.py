"""`npformer verify`: exit status, table, JSON, one line for an unknown op."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from npformer import functional
from npformer.cli import main
from npformer.proof import OPS
from npformer.proof.verify import TARGETS, Report


def test_what_passes_exits_0_with_a_line_for_each_op(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "relu", "layer_norm"]) == 0
    titles, _, relu, layer_norm, conclusion = capsys.readouterr().out.splitlines()
    assert titles.startswith("op ")
    assert relu.startswith("relu ")
    assert relu.endswith(" ok")
    assert layer_norm.startswith("layer_norm ")
    assert conclusion.endswith(": all passed")


def test_verbose_has_a_line_for_each_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "layer_norm", "-v", "--seed", "7"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines[2:-1]] == ["out", "x", "gamma", "beta"]
    assert "seed 7" in lines[-1]


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "swiglu", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["passed"]
    assert [row["input"] for row in values["rows"]] == ["out", "gate", "up"]
    assert set(values["rows"][1]) == {
        "target",
        "input",
        "fd",
        "complex",
        "torch",
        "float32",
        "passed",
        "notes",
    }


@pytest.mark.parametrize("options", [[], ["--json"], ["-v"]])
def test_a_failure_exits_1(
    options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    true = functional.silu_backward
    monkeypatch.setattr(functional, "silu_backward", lambda dout, cache: true(dout, cache) * 2)
    assert main(["verify", "relu", "silu", *options]) == 1
    out = capsys.readouterr().out
    if "--json" in options:
        values = json.loads(out)
        assert not values["passed"]
        assert [row["passed"] for row in values["rows"] if row["target"] == "silu"] == [True, False]
    else:
        assert "FAILED finite > 1e-10, complex > 1e-13, PyTorch > 1e-12" in out
        assert out.splitlines()[-1].endswith("1 FAILED")


def test_an_unknown_op_exits_2_with_one_line_that_names_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["verify", "relu", "layernorm"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert "unknown op 'layernorm'" in line
    assert all(op in line for op in (*OPS, "encoder", "optimizers", "training"))


def test_the_help_names_all_that_can_be_proved(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--help"]) == 0
    words = capsys.readouterr().out.replace(",", " ").replace(".", " ").split()
    assert set(TARGETS) <= set(words)


@pytest.mark.parametrize("seed", ["-1", "one"])
def test_a_bad_seed_exits_2(seed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "relu", f"--seed={seed}"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_it_runs_from_any_folder_and_never_imports_torch(tmp_path: Path) -> None:
    """In a process of its own, in which importing torch would fail."""
    (tmp_path / "torch.py").write_text("raise SystemExit('torch was imported')\n")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); sys.path.insert(1, sys.argv[2]);"
        "from npformer.cli import main; sys.exit(main(['verify', 'softmax', 'optimizers']))"
    )
    package = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), package], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("all passed\n")


def test_the_whole_proof_is_shared_over_the_cores_and_what_is_named_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def verify(ops: list[str], seed: int, on_rows: object = None, processes: int = 1) -> Report:
        asked.append((ops, processes))
        return Report(seed, [], 0.0)

    monkeypatch.setattr(sys.modules["npformer.proof.verify"], "verify", verify)
    monkeypatch.setattr("npformer._threads.available_cores", lambda: 3)
    for options in ([], ["--json"], ["relu"], ["relu", "--json"]):
        main(["verify", *options])
    assert asked == [([], 3), ([], 3), (["relu"], 1), (["relu"], 1)]
