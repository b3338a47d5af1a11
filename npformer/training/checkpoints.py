"""Checkpoints: everything a run needs to go on, in files that are whole or not there.

    checkpoints/step-00000700.npz      params/<name>, optimizer/<name>, about (JSON: step, length of metrics)

A file is written under a temporary name, forced to the disk and renamed, and an older one is deleted only
when two younger ones stand. The parts of an .npz carry checksums, so a file torn or altered later is noticed
when it is read, and the one before it is taken.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from .._files import write_atomically

Array = npt.NDArray[Any]

DAMAGE = (None, errno.EINVAL, errno.EIO)  # a place before the file's start, a bad sector
KEEP = 2
_NAME = re.compile(r"step-(\d{8,})\.npz")


class Checkpoint(NamedTuple):
    """The state after `step` steps."""

    step: int
    params: dict[str, Array]
    optimizer: dict[str, Array]
    about: dict[str, Any]


def write_arrays(file: BinaryIO, arrays: Mapping[str, Array]) -> None:
    """Write `arrays` into the open `file`."""
    values: dict[str, Any] = dict(arrays)
    np.savez(file, **values)


def save_checkpoint(folder: str | os.PathLike[str], checkpoint: Checkpoint) -> Path:
    """Write `checkpoint` into `folder` and delete those that are older than it and the one before.

    Those of later steps stay: no run has come to them that could read them.

    Parameters
    ----------
    folder : path
    checkpoint : Checkpoint

    Returns
    -------
    Path

    Raises
    ------
    OSError
        If it cannot be written, e.g. on a full disk. What was there before is untouched.
    """
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    arrays = {f"params/{name}": value for name, value in checkpoint.params.items()}
    arrays |= {f"optimizer/{name}": value for name, value in checkpoint.optimizer.items()}
    about = json.dumps({"step": checkpoint.step, "names": sorted(arrays), **checkpoint.about})
    arrays["about"] = np.frombuffer(about.encode(), dtype=np.uint8)
    path = folder / f"step-{checkpoint.step:08d}.npz"
    write_atomically(path, lambda file: write_arrays(file, arrays))
    found = list_checkpoints(folder)
    for older in found[: found.index(path) + 1][:-KEEP]:
        with contextlib.suppress(OSError):
            older.unlink()
    return path


def list_checkpoints(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the checkpoints in `folder`, the oldest first."""
    found = []
    for path in Path(folder).glob("step-*.npz"):
        match = _NAME.fullmatch(path.name)
        if match:
            found.append((int(match[1]), path))
    return [path for _, path in sorted(found)]


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read one checkpoint.

    Raises
    ------
    ValueError
        If the file is not a whole checkpoint.
    OSError
        If it cannot be read now, which says nothing of the file.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        about = json.loads(arrays.pop("about").tobytes())
        if about.pop("names") != sorted(arrays):
            raise ValueError("an array is missing")
        groups: dict[str, dict[str, Array]] = {"params": {}, "optimizer": {}}
        for name, value in arrays.items():
            group, _, rest = name.partition("/")
            groups[group][rest] = value
        return Checkpoint(about.pop("step"), groups["params"], groups["optimizer"], about)
    except Exception as error:  # a damaged file can fail in any way: zipfile, struct, json, a missing name
        if isinstance(error, OSError) and error.errno not in DAMAGE:
            raise
        raise ValueError(f"{path}: not a whole checkpoint ({type(error).__name__}: {error})") from error


def load_newest(folder: str | os.PathLike[str], say: Callable[[str], None]) -> Checkpoint | None:
    """Return the newest whole checkpoint in `folder`, None if there is none.

    Parameters
    ----------
    folder : path
    say : callable
        Told of every file that is passed over.
    """
    for path in reversed(list_checkpoints(folder)):
        try:
            return load_checkpoint(path)
        except ValueError as error:
            say(f"passed over {error}")
    return None


def remove_unfinished(folder: str | os.PathLike[str]) -> None:
    """Delete what a killed process left half-written in `folder`."""
    for path in Path(folder).glob(".*.tmp"):
        with contextlib.suppress(OSError):
            path.unlink()
