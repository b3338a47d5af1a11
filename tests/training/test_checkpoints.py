"""Checkpoints: whole or not there, whatever happens to the disk or to the file."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest

from npformer.training import Checkpoint, load_checkpoint, load_newest, save_checkpoint
from npformer.training import checkpoints as module
from npformer.training.checkpoints import list_checkpoints, remove_unfinished


def make(step: int) -> Checkpoint:
    rng = np.random.default_rng(step)
    return Checkpoint(
        step,
        {"encoder.0.weight": rng.standard_normal((3, 5)), "bias": rng.standard_normal(4).astype(np.float32)},
        {"step": np.array(step), "m": rng.standard_normal(19)},
        {"metrics_bytes": 100 * step},
    )


def same(a: Checkpoint, b: Checkpoint) -> bool:
    pairs = [(x, y) for x, y in ((a.params, b.params), (a.optimizer, b.optimizer))]
    return (a.step, a.about) == (b.step, b.about) and all(
        x.keys() == y.keys() and all(np.array_equal(x[n], y[n]) and x[n].dtype == y[n].dtype for n in x)
        for x, y in pairs
    )


def silent(line: str) -> None:
    raise AssertionError(line)


def test_what_was_saved_is_loaded_and_two_are_kept(tmp_path: Path):
    assert load_newest(tmp_path / "none", silent) is None
    for step in (5, 10, 15, 20):
        save_checkpoint(tmp_path, make(step))
    assert [path.name for path in list_checkpoints(tmp_path)] == ["step-00000015.npz", "step-00000020.npz"]
    newest = load_newest(tmp_path, silent)
    assert newest is not None
    assert same(newest, make(20))


def test_order_is_by_number(tmp_path: Path):
    for step in (99_999_999, 100_000_000):
        save_checkpoint(tmp_path, make(step))
    newest = load_newest(tmp_path, silent)
    assert newest is not None
    assert newest.step == 100_000_000


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_torn_file_is_passed_over(tmp_path: Path, share: float):
    save_checkpoint(tmp_path, make(1))
    path = save_checkpoint(tmp_path, make(2))
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    said: list[str] = []
    newest = load_newest(tmp_path, said.append)
    assert newest is not None
    assert same(newest, make(1))
    assert len(said) == 1
    assert "step-00000002.npz: not a whole checkpoint" in said[0]


def test_what_is_saved_stands_beside_torn_files_of_later_steps(tmp_path: Path):
    for step in (9, 12):
        path = save_checkpoint(tmp_path, make(step))
        path.write_bytes(path.read_bytes()[:100])
    for step in (3, 5, 7):
        save_checkpoint(tmp_path, make(step))
        newest = load_newest(tmp_path, [].append)
        assert newest is not None
        assert newest.step == step
    assert [path.stem[-2:] for path in list_checkpoints(tmp_path)] == ["05", "07", "09", "12"]


def test_a_file_that_cannot_be_read_now_is_not_passed_over(tmp_path: Path, monkeypatch):
    save_checkpoint(tmp_path, make(1))

    def failing(path, **options):
        raise OSError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(module.np, "load", failing)
    with pytest.raises(OSError, match="Permission denied"):
        load_newest(tmp_path, silent)


def test_no_altered_byte_goes_unnoticed(tmp_path: Path):
    path = save_checkpoint(tmp_path, make(1))
    data = path.read_bytes()
    noticed = 0
    for place in range(0, len(data), 7):
        altered = bytearray(data)
        altered[place] ^= 0x55
        path.write_bytes(altered)
        try:
            loaded = load_checkpoint(path)
        except ValueError:
            noticed += 1
        else:  # a byte that carries nothing, such as a date
            assert same(loaded, make(1)), place
    assert noticed > len(data) / 7 / 2


def test_a_missing_array_is_noticed(tmp_path: Path):
    path = save_checkpoint(tmp_path, make(1))
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files if name != "params/bias"}
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match="an array is missing"):
        load_checkpoint(path)


def test_nothing_is_unpickled(tmp_path: Path):
    path = save_checkpoint(tmp_path, make(1))
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    np.savez(path, **{**arrays, "params/bias": np.array([{}], dtype=object)})
    with pytest.raises(ValueError, match="not a whole checkpoint"):
        load_checkpoint(path)


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    save_checkpoint(tmp_path, make(1))
    save_checkpoint(tmp_path, make(2))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(file, arrays):
        file.write(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "write_arrays", full)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(tmp_path, make(3))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_unfinished_files_are_removed(tmp_path: Path):
    save_checkpoint(tmp_path, make(1))
    (tmp_path / ".step-00000002.npz.123.tmp").write_bytes(b"half")
    assert len(list_checkpoints(tmp_path)) == 1
    remove_unfinished(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001.npz"]
