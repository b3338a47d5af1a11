"""Writing a file so that a crash, a kill or a full disk never leaves half of one behind."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO


def write_atomically(path: str | os.PathLike[str], write: Callable[[BinaryIO], None]) -> None:
    """Call `write` on a temporary file beside `path`, force it to the disk, then give it its name.

    Whoever looks at `path` finds the old content or the new one, at any moment. Where `write` fails, the
    temporary file is removed and the old content stays. What is no file, such as /dev/stdout or a pipe, is
    written to; a link stays one.

    Parameters
    ----------
    path : path
    write : callable
        Takes the open binary file.

    Raises
    ------
    OSError
        If the folder cannot be written or the disk is full.
    """
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        with open(path, "wb") as file:
            write(file)
        return
    path = Path(os.path.realpath(path))
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    if hasattr(os, "O_DIRECTORY"):  # make the new name itself survive a power cut
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_json(path: str | os.PathLike[str], values: Mapping[str, Any]) -> None:
    r"""Write `values` as JSON that people can read too, in the manner of `write_atomically`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_json(Path(folder, "a.json"), {"label": "caf\u00e9", "file": "b\udcff"})
    ...     print(Path(folder, "a.json").read_text("utf-8"), end="")
    {
      "label": "café",
      "file": "b\udcff"
    }
    """
    text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"

    def write(file: BinaryIO) -> None:
        file.write(text.encode(errors="backslashreplace"))  # half a character: JSON's own escape

    write_atomically(path, write)
