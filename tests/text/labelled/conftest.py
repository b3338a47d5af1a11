"""What the tests of labelled examples share: a file written, and the error that a file gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from npformer.text import CorpusError
from npformer.text.labelled import read_examples


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """Write text or bytes to a file of a name, and return its path."""

    def write_file(content: str | bytes, name: str = "a.txt") -> str:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write_file


@pytest.fixture
def refused(write) -> Callable[..., str]:
    """The message with which a file is refused, its folder left out."""

    def message(content: str | bytes, task: str, *, name: str = "a.txt", **options) -> str:
        path = write(content, name)
        with pytest.raises(CorpusError) as caught:
            read_examples(path, task, **options)
        assert "\n" not in str(caught.value)
        return str(caught.value).replace(path, name)

    return message
