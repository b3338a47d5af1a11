"""What is stored is what PyTorch computes now, and the comparison can fail."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from npformer.proof import golden

pytestmark = pytest.mark.extra
torch = pytest.importorskip("torch", reason="needs torch, of the extra 'parity'")
if not torch.__version__.startswith("2.13"):
    pytest.skip(f"needs torch 2.13, of the extra 'parity', not {torch.__version__}", allow_module_level=True)

from npformer.proof.make_golden import __main__ as script  # noqa: E402 - imports torch


@pytest.mark.thorough  # the proofs fail, too, where a point is no more the stored one
def test_what_is_stored_is_what_pytorch_computes(capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main(["--check"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == list(golden.FILES)
    assert all(line.endswith(", 0 differ") for line in lines)


@pytest.fixture
def stored() -> dict[str, np.ndarray]:
    return dict(golden.load("golden_ops"))


def test_a_difference_is_found_and_exits_1(
    stored: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key = "tanh/N(0, 1)/grad/x"
    stored[key] = stored[key] * (1 + 1e-12)
    monkeypatch.setattr(script.golden, "load", lambda name: stored)
    assert script.main(["--check", "golden_ops"]) == 1
    assert f"{key}: off by 1.0e-12" in capsys.readouterr().out


def test_every_kind_of_difference_is_named() -> None:
    x = {
        "a/g": np.array([1.0, 2.0]),
        "a/ids": np.array([1, 2]),
        "a/only": np.zeros(1),
        "a/shape": np.zeros(2),
    }
    y = {
        "a/g": np.array([1.0, np.nan]),
        "a/ids": np.array([1, 3]),
        "a/more": np.zeros(1),
        "a/shape": np.zeros(3),
    }
    assert script.differences(x, y) == [
        "a/g: off by inf",
        "a/ids: differs",
        "a/more: stored, but not made any more",
        "a/only: not stored",
        "a/shape: float64 (2,), stored float64 (3,)",
    ]


def test_a_gradient_of_zero_is_not_judged_by_its_rounding() -> None:
    assert (
        script.differences(
            {"grad/b_k": np.array([1e-17]), "grad/x": np.array([1.0])},
            {"grad/b_k": np.array([-2e-17]), "grad/x": np.array([1.0])},
        )
        == []
    )
    assert script.differences({"grad/b_k": np.array([1e-17])}, {"grad/b_k": np.array([-2e-17])})


def test_infinities_are_equal_to_themselves_alone() -> None:
    mask = {"masks/a": np.array([-np.inf, 1.0]), "masks/b": np.array([2.0])}
    assert script.differences(dict(mask), mask) == []
    moved = {"masks/a": np.array([1.0, -np.inf]), "masks/b": np.array([2.0 + 1e-9])}
    assert script.differences(moved, mask) == ["masks/a: off by inf", "masks/b: off by 5.0e-10"]


def test_only_what_training_made_may_drift() -> None:
    assert script.tolerance_of("AdamW/losses") == 1e-12
    assert script.tolerance_of("AdamW/param/mlm.bias") == 1e-11
    assert script.tolerance_of("AdamW/param/encoder.0.attention.key.bias") == 1e-9
    assert script.tolerance_of("start/mlm.bias") == script.tolerance_of("linear/bias/out") == 1e-13


def test_making_writes_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (Path(script.__file__).parent.parent / "golden_optimizers.npz").read_bytes()
    monkeypatch.setattr(script, "__file__", str(tmp_path / "make_golden" / "__main__.py"))
    assert script.main(["golden_optimizers"]) == 0
    assert (tmp_path / "golden_optimizers.npz").read_bytes() == before


def test_an_unknown_file_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        script.main(["golden_nothing"])
    assert "no such file: golden_nothing" in capsys.readouterr().err


def test_a_run_that_learns_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from npformer.proof.make_golden import training

    run = training.RUNS["AdamW"]._replace(arguments={"lr": 1e-6})
    monkeypatch.setattr(training, "RUNS", {"AdamW": run})
    with pytest.raises(RuntimeError, match="the loss fell by -?0.0"):
        training.make()


def test_a_gradient_of_zero_only_has_to_be_as_small() -> None:
    stored = {"a/grad": np.ones(3), "a/zero": np.array([1e-16, -3e-17])}
    made = {**stored, "a/zero": np.array([-2e-16, 1e-16])}
    assert script.differences(made, stored) == []
    found = script.differences({**stored, "a/zero": np.array([2e-14, 0.0])}, stored)
    assert [line.partition(":")[0] for line in found] == ["a/zero"]
