"""Files that are written whole: links stay links, and what is no file is written to."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from npformer._files import write_atomically


def test_a_link_stays_one(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    (there / "a.csv").write_text("old")
    link = tmp_path / "link.csv"
    try:
        link.symlink_to(there / "a.csv")
    except OSError:
        pytest.skip("this system lets nobody make a link")
    write_atomically(link, lambda file: file.write(b"new"))
    assert link.is_symlink()
    assert (there / "a.csv").read_text() == "new"
    assert [path.name for path in there.iterdir()] == ["a.csv"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write_atomically(pipe, lambda file: file.write(b"points"))
    reader.join(timeout=10)
    assert read == [b"points"]
    assert pipe.is_fifo()


def test_what_fails_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("old")

    def fails(file: object) -> None:
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_atomically(path, fails)
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["a.csv"]
