"""The folder of a run.

    config.json      the configuration, and what the run was made from
    vocab.txt        the tokenizer
    train.npy        the packed training ids (text/packed_file.py), of which a step reads its batch's rows
    held_out.npy     the packed held-out ids: resuming needs neither the text nor standard input
                     (runs of earlier versions have both in data.npz)
    metrics.jsonl    a line for each step and each evaluation; without a clock, so equal runs have equal files
    timing.jsonl     the clock
    initial.npz      the weights of an earlier run, if it begins with them (initial.py)
    checkpoints/     see checkpoints.py
    model/, result.json, loss.png    when the run has finished

The folder is filled under a temporary name and then given its own: a run folder is there whole or not at all.
While it is filled, a lock in it says that its process lives; what a killed one has left, the next run that is
created beside it removes.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..text import Packed, Tokenizer, read_tokenizer
from ..text.packed_file import blocks_of_packed, map_rows, write_rows
from .config import RunConfig
from .initial import Array, read_initial, write_initial
from .prepare import Prepared

LOOKED_AT = 1 << 22  # tokens of the training part, when a run is opened
CLAIM = ".claim.tmp"  # in a temporary folder: locked as long as the process that fills it lives


@dataclass(frozen=True)
class Run:
    """An existing run folder and what it was made from."""

    folder: Path
    config: RunConfig
    tokenizer: Tokenizer
    train: Packed
    held_out: Packed

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.folder / "checkpoints"

    @property
    def initial(self) -> dict[str, Array] | None:
        """The weights of an earlier run that this one begins with, if any."""
        return read_initial(self.folder / "initial.npz")

    @property
    def result(self) -> dict[str, Any] | None:
        """What the finished run achieved; None before it has finished."""
        path = self.folder / "result.json"
        if not path.is_file():
            return None
        try:
            values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            for model in values["models"]:
                model["name"], model["nats"], model["accuracy"], model["positions"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}: damaged ({error}); delete it to evaluate the run again") from None
        return values


def free_folder(parent: str | os.PathLike[str] = "runs", name: str = "pretrain") -> Path:
    """Return `parent`/`name`-N with the smallest N that is larger than every one there."""
    parent = Path(parent)
    taken = [path.name.rpartition("-")[2] for path in parent.glob(f"{name}-*")]
    return parent / f"{name}-{max([int(n) for n in taken if n.isdecimal()], default=0) + 1}"


def require_free(folder: str | os.PathLike[str]) -> None:
    """Raise OSError or ValueError unless `folder` does not exist or is an empty folder, in a place for it."""
    folder = Path(folder)
    if folder.name in ("", ".."):
        raise ValueError(f"{folder}: expected the name of a new folder")
    if folder.is_dir():
        if any(folder.iterdir()):
            raise FileExistsError(f"{folder}: the folder is not empty; choose another")
    elif os.path.lexists(folder):
        raise FileExistsError(f"{folder}: a file of this name exists")
    for parent in folder.absolute().parents:
        if parent.exists():
            if not parent.is_dir():
                raise NotADirectoryError(f"{parent}: not a folder")
            if not os.access(parent, os.W_OK):
                raise PermissionError(f"{parent}: no permission to write here")
            break


def create_run(folder: str | os.PathLike[str], prepared: Prepared, **about: Any) -> Run:
    """Make the folder of a run that is about to begin.

    Parameters
    ----------
    folder : path
        Must not exist, or be empty.
    prepared : Prepared
        Its configuration must have a number of steps.
    **about
        Recorded in config.json beside the configuration.

    Returns
    -------
    Run

    Raises
    ------
    OSError
        If it cannot be written; nothing stays behind.
    """
    folder = Path(folder)
    require_free(folder)
    if prepared.config.steps is None:
        raise ValueError("create_run: prepared.config.steps: expected a number of steps, got None")
    config = prepared.config.with_steps(prepared.config.steps)
    folder.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(folder.parent)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        temporary.mkdir()
        with claimed(temporary):
            prepared.tokenizer.save(temporary / "vocab.txt")
            for name, part in (("train", prepared.train), ("held_out", prepared.held_out)):
                _write_packed(temporary / f"{name}.npy", part, prepared.tokenizer.vocab_size)
            if prepared.initial is not None:
                write_initial(temporary / "initial.npz", prepared.initial)
            values = {"run": "pretrain", "config": config.to_dict(), "numpy": np.__version__, **about}
            (temporary / "config.json").write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
            (temporary / "metrics.jsonl").touch()
            (temporary / "timing.jsonl").touch()
            (temporary / "checkpoints").mkdir()
            if folder.is_dir():
                folder.rmdir()  # empty, as `require_free` made sure
            os.rename(temporary, folder)
            (folder / CLAIM).unlink(missing_ok=True)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return Run(
        folder,
        config,
        prepared.tokenizer,
        *_open_packed(folder, prepared.tokenizer, config.task.width(config.seq_len)),
    )


def open_run(folder: str | os.PathLike[str]) -> Run:
    """Read the folder of a run.

    Raises
    ------
    FileNotFoundError, ValueError
        If it is not the folder of a run, or one of its files is damaged.
    """
    folder = Path(folder)
    config = read_config(folder)
    tokenizer = read_tokenizer(folder / "vocab.txt", config.tokenizer, lowercase=not config.cased)
    train, held_out = _open_packed(folder, tokenizer, config.task.width(config.seq_len))
    looked_at = (train.evenly_spaced(LOOKED_AT), held_out)  # the model refuses what is wrong in the rest
    largest = max(int(part.ids.max(initial=0)) for part in looked_at)
    if largest >= tokenizer.vocab_size:
        raise ValueError(
            f"{folder / 'vocab.txt'}: expected more than {largest} pieces, as in the data, "
            f"got {tokenizer.vocab_size}"
        )
    return Run(folder, config, tokenizer, train, held_out)


def read_config(folder: Path) -> RunConfig:
    """Return the configuration of the run in `folder`.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is none, or it is another kind of file.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder}: expected the folder of a run, found no config.json in it")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["run"] == "finetune":
            raise ValueError("it is one of fine-tuning, which cannot be resumed")
        if values["run"] != "pretrain":
            raise KeyError("run")
        config = RunConfig.from_dict(values["config"])
        if config.steps is None:
            raise KeyError("steps")
        return config.with_steps(config.steps)  # intervals that somebody has taken out come back
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not the configuration of a pre-training run ({error})") from None


def _write_packed(path: Path, packed: Packed, vocab_size: int) -> None:
    try:
        with open(path, "wb") as file:
            write_rows(file, blocks_of_packed(packed), packed.ids.shape[1], vocab_size)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _open_packed(folder: Path, tokenizer: Tokenizer, width: int) -> tuple[Packed, Packed]:
    """Return the training part, mapped from its file, and the held-out part, read."""
    path = folder / "data.npz"
    if path.is_file():
        return _open_npz(path)
    parts = []
    for path in (folder / "train.npy", folder / "held_out.npy"):
        try:
            with open(path, "rb") as file:
                parts.append(map_rows(file, tokenizer.pad_id))
        except FileNotFoundError:
            raise FileNotFoundError(f"{path}: the run's data is missing") from None
        except OSError:
            raise
        except Exception as error:  # a damaged header can fail in any way, in tokenize too
            raise ValueError(f"{path}: damaged ({error})") from None
        if parts[-1].ids.shape[1] != width:
            raise ValueError(f"{path}: expected rows of {width} tokens, got {parts[-1].ids.shape[1]}")
    train, held_out = parts
    return train, held_out.rows(slice(None))


def _open_npz(path: Path) -> tuple[Packed, Packed]:
    """Return the parts of a run of an earlier version, read."""
    try:
        with np.load(path, allow_pickle=False) as data:
            train = Packed(data["train_ids"], data["train_mask"])
            return train, Packed(data["held_out_ids"], data["held_out_mask"])
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: damaged ({error})") from None


@contextlib.contextmanager
def sole_use(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Keep a second process from training the same run, until this one ends, however it ends."""
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    with open(Path(folder) / ".lock", "wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BlockingIOError(f"{folder}: another process is training this run") from None
        except OSError:  # a file system without locks: as on Windows
            pass
        yield


@contextlib.contextmanager
def claimed(temporary: Path) -> Iterator[None]:
    """Mark the folder `temporary` as one that a process fills, until this one ends, however it ends."""
    try:
        import fcntl
    except ImportError:  # not on Windows: nothing is marked, and nothing removed
        yield
        return
    unlocked = temporary / f"{CLAIM}.new"
    with open(unlocked, "wb") as file:
        with contextlib.suppress(OSError):  # a file system without locks: as on Windows
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.rename(unlocked, temporary / CLAIM)  # has this name only when it is locked
        unlocked.unlink(missing_ok=True)
        yield


def remove_abandoned(parent: Path) -> None:
    """Delete the folders in `parent` that killed processes left half-made: claimed, the claim not locked."""
    try:
        import fcntl
    except ImportError:
        return
    for claim in parent.glob(f".*.tmp/{CLAIM}"):
        with contextlib.suppress(OSError), open(claim, "rb") as file:  # somebody else's, or gone meanwhile
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises if its process lives
            if os.path.samestat(os.fstat(file.fileno()), os.stat(claim)):  # was not renamed in between
                shutil.rmtree(claim.parent)
