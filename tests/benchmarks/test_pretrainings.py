"""Pre-trainings compared, at a scale that says nothing: every objective, and a run that goes on."""

from __future__ import annotations

import json
import subprocess
import sys

import pretrainings
import pytest

from npformer.cli import main

TINY = "--quiet --layers 1 --d-model 8 --heads 2 --seq-len 16 --batch-size 4"


@pytest.fixture
def run(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pretrainings, "ROUNDS", 1)

    def here(command: list[str], check: bool) -> None:  # a process of its own takes a second to start
        assert command[1:3] == ["-m", "npformer"]
        assert main(command[3:]) == 0

    monkeypatch.setattr(subprocess, "run", here)

    def call(*more: str) -> str:
        arguments = [str(data), "--minutes", "0.0005", "--preset", "tiny", "--options", TINY, "--seeds", "2"]
        arguments += ["--lr", "1e-3", "--epochs", "1", "--out", str(tmp_path / "out"), *more]
        monkeypatch.setattr(sys, "argv", ["pretrainings.py", *arguments])
        pretrainings.main()
        return capsys.readouterr().out

    return call


@pytest.mark.parametrize(
    "rows",
    [("from scratch", "MLM", "CLM"), pytest.param(pretrainings.ROWS, marks=pytest.mark.thorough)],
    ids=["some", "all"],
)
def test_every_pretraining_has_its_row_and_a_second_run_goes_on(run, rows, tmp_path, monkeypatch):
    objectives = {name: of for name, of in pretrainings.OBJECTIVES.items() if name in rows}
    monkeypatch.setattr(pretrainings, "OBJECTIVES", objectives)
    arguments = ["--tasks", "snips intents", "--rows", *rows]
    out = run(*arguments)
    path = tmp_path / "out" / "results.json"
    kept = json.loads(path.read_text())
    assert list(kept["cells"]) == list(rows)
    assert list(kept["paces"]) == list(objectives)
    for row in rows:
        assert f"\n| {row} | " in out
        assert len(kept["cells"][row]["snips intents"]["test"]) == 2
    for name, pace in kept["paces"].items():
        steps = max(1, int(60 * 0.96 * 0.0005 / pace["seconds"]))
        assert f"| {name} | {pace['trained']:,} | {1e3 * pace['seconds']:.1f} | {steps:,} |" in out
        assert (tmp_path / "out" / f"{objectives[name]}-{steps}" / "pretrain" / "model").is_dir()

    def again(*arguments: object) -> None:
        raise AssertionError(f"done again: {arguments}")

    monkeypatch.setattr(pretrainings, "timed", again)
    monkeypatch.setattr(pretrainings, "pretrain", again)
    del kept["cells"]["CLM"]
    path.write_text(json.dumps(kept))
    asked = []
    true = pretrainings.best_of
    monkeypatch.setattr(pretrainings, "best_of", lambda *a: asked.append(a[1]) or true(*a))
    assert "\n| CLM | " in run(*arguments)
    assert asked == ["CLM, snips intents"]
    with pytest.raises(SystemExit, match="another --out"):
        run("--minutes", "1")
