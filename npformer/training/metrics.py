"""metrics.jsonl: a line of JSON for each step and each evaluation, cut back where a resumed run goes on."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any


class MetricsLog:
    """Appends lines; every line is handed to the system at once, so a killed process loses none.

    Parameters
    ----------
    path : path
    length : int, optional
        What lies beyond this many bytes is cut off first: lines of steps that a resumed run does again.

    Raises
    ------
    ValueError
        If the file is shorter than `length`.
    """

    def __init__(self, path: str | os.PathLike[str], length: int | None = None) -> None:
        path = Path(path)
        size = path.stat().st_size if path.exists() else 0
        if length is not None:
            if size < length:
                raise ValueError(f"{path}: expected the {length} bytes that the checkpoint knows, got {size}")
            if size > length:
                os.truncate(path, length)
        self._file = open(path, "ab")  # noqa: SIM115 - open as long as the run goes on

    def write(self, **values: Any) -> None:
        """Append a line."""
        self._file.write(json.dumps(values).encode() + b"\n")
        self._file.flush()

    def sync(self) -> int:
        """Force everything to the disk; return the length of the file."""
        os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        """Close the file; a full disk has been reported by `write` already."""
        with contextlib.suppress(OSError):
            self._file.close()


def read_metrics(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return the lines of a metrics file."""
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
