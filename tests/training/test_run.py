"""Run folders: there whole or not at all, and refused where they would do harm."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from npformer.text import Document
from npformer.training import RunConfig, create_run, free_folder, open_run, prepare, require_free
from npformer.training import run as module


def test_what_is_created_is_opened(make_run):
    run = make_run(cased=True)
    again = open_run(run.folder)
    assert again.config == run.config
    assert again.config.eval_every == 4
    assert again.tokenizer.vocab == run.tokenizer.vocab
    assert not again.tokenizer.lowercase
    for part, other in ((run.train, again.train), (run.held_out, again.held_out)):
        assert np.array_equal(part.ids, other.ids)
        assert np.array_equal(part.mask[:], other.mask[:])
    assert json.loads((run.folder / "config.json").read_text())["config"]["steps"] == 12
    assert run.result is None


def test_a_failure_leaves_nothing_behind(tmp_path: Path, make_run, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "write_rows", full)
    with pytest.raises(OSError, match="No space left") as error:
        make_run("nested/run")
    assert error.value.filename.endswith("train.npy")
    assert not list((tmp_path / "nested").iterdir())


MAKE_AND_WAIT = """
import sys, time
from pathlib import Path
from npformer.training.run import claimed
temporary = Path(sys.argv[1])
temporary.mkdir()
with claimed(temporary):
    (temporary / "vocab.txt").write_text("half")
    print("claimed", flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(os.name == "nt", reason="no locks of this kind on Windows")
def test_what_a_killed_process_leaves_is_removed_and_nothing_else(tmp_path: Path, make_run):
    others = [tmp_path / ".notes.tmp", tmp_path / ".run.1.tmp"]  # not claimed: whoever's they are
    for folder in others:
        folder.mkdir()
        (folder / "file").touch()
    temporary = tmp_path / ".run.123.tmp"
    command = [sys.executable, "-c", MAKE_AND_WAIT, str(temporary)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"claimed\n"
            make_run("one")
            assert (temporary / "vocab.txt").is_file()  # its process lives
        finally:
            process.kill()
    assert temporary.is_dir()
    run = make_run("two")
    assert not temporary.exists()
    assert all((folder / "file").is_file() for folder in others)
    assert {path.name for path in tmp_path.iterdir()} == {"one", "two", ".notes.tmp", ".run.1.tmp"}
    assert module.CLAIM not in os.listdir(run.folder)


def test_an_empty_folder_is_used_and_others_are_refused(tmp_path: Path, make_run):
    (tmp_path / "empty").mkdir()
    assert make_run("empty").folder == tmp_path / "empty"
    with pytest.raises(FileExistsError, match="the folder is not empty"):
        require_free(tmp_path / "empty")
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError, match="a file of this name exists"):
        require_free(tmp_path / "file")
    with pytest.raises(NotADirectoryError, match="file: not a folder"):
        require_free(tmp_path / "file" / "run")
    with pytest.raises(ValueError, match="expected the name of a new folder"):
        require_free(".")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path: Path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(PermissionError, match="no permission"):
        require_free(tmp_path / "locked" / "run")


def test_the_next_free_folder(tmp_path: Path):
    assert free_folder(tmp_path) == tmp_path / "pretrain-1"
    for name in ("pretrain-2", "pretrain-10", "pretrain-old"):
        (tmp_path / name).mkdir()
    assert free_folder(tmp_path) == tmp_path / "pretrain-11"


def test_folders_that_are_no_run(tmp_path: Path, make_run):
    with pytest.raises(FileNotFoundError, match="found no config.json"):
        open_run(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match="not the configuration of a pre-training run"):
        open_run(tmp_path)
    (tmp_path / "config.json").write_text('{"architecture": "encoder"}')
    with pytest.raises(ValueError, match="not the configuration of a pre-training run"):
        open_run(tmp_path)
    run = make_run()
    for name in ("train.npy", "held_out.npy"):
        data = run.folder / name
        whole, narrow = data.read_bytes(), np.load(data)[:, :10]
        magic, wrong = b"\x93NUMPY", [(b"<u2", b"<f8"), (b"(", b"{"), (b", ", b"0" * 40 + b", ")]
        altered = (whole.replace(*change) for change in wrong)
        for damaged in (whole[:-1], whole[:20], *altered, magic + bytes(90), b""):
            data.write_bytes(damaged)
            with pytest.raises(ValueError, match=f"{name}: damaged"):
                open_run(run.folder)
        np.save(data, narrow)
        with pytest.raises(ValueError, match=f"{name}: expected rows of .* tokens, got 10"):
            open_run(run.folder)
        data.unlink()
        with pytest.raises(FileNotFoundError, match=f"{name}: the run's data is missing"):
            open_run(run.folder)
        data.write_bytes(whole)
    assert open_run(run.folder)


def test_a_run_of_an_earlier_version(make_run):
    run = make_run()
    old = {"train_ids": run.train.ids, "train_mask": run.train.mask[:]}
    old |= {"held_out_ids": run.held_out.ids, "held_out_mask": run.held_out.mask}
    np.savez(run.folder / "data.npz", **{name: np.array(value) for name, value in old.items()})
    for name in ("train.npy", "held_out.npy"):
        (run.folder / name).unlink()
    again = open_run(run.folder)
    for part, other in ((run.train, again.train), (run.held_out, again.held_out)):
        assert np.array_equal(part.ids, other.ids)
        assert np.array_equal(part.mask[:], other.mask)
    data = run.folder / "data.npz"
    data.write_bytes(data.read_bytes()[:2000])
    with pytest.raises(ValueError, match="data.npz: damaged"):
        open_run(run.folder)


def test_damage_that_json_and_numpy_do_not_see(make_run):
    run = make_run()
    path = run.folder / "config.json"
    config = json.loads(path.read_text())
    config["config"] |= {"eval_every": None, "checkpoint_every": None}
    path.write_text(json.dumps(config))
    assert open_run(run.folder).config.eval_every == max(1, run.config.steps // 10)
    for text in ("{", '{"models": 3}', '{"models": [{"name": "encoder"}]}', "[]"):
        (run.folder / "result.json").write_text(text)
        with pytest.raises(ValueError, match="result.json: damaged"):
            print(open_run(run.folder).result)
    vocab = run.folder / "vocab.txt"
    vocab.write_text("\n".join(vocab.read_text().splitlines()[:12]) + "\n")
    with pytest.raises(ValueError, match="vocab.txt: expected more than"):
        open_run(run.folder)


def test_a_run_without_a_number_of_steps_is_not_begun(tmp_path: Path, text: str):
    prepared = prepare([Document("text", text)], RunConfig(minutes=1.0, vocab_size=60))
    with pytest.raises(ValueError, match="expected a number of steps"):
        create_run(tmp_path / "run", prepared)
    assert not list(tmp_path.iterdir())
