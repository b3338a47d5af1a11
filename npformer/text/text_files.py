"""Text files that are too large to hold: read anew, a piece at a time, whenever they are gone through.

A piece is about a megabyte of one file and ends with a paragraph, else with a line, else between two words,
else between two characters. Pieces put together again are the text.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from .corpus import STDIN, CorpusError, Document, decode_text, files_of, read_corpus, require_text

IN_MEMORY = 16_000_000  # bytes of text; up to here a corpus is held as it is
PIECE = 1 << 20  # bytes


class TextFiles:
    """Files as an iterable of documents, none blank, of which one is in memory at a time.

    Parameters
    ----------
    files : sequence of (str, bool)
        Path, and whether the file was named itself: a blank one is then an error.

    Attributes
    ----------
    size : int
        Bytes of all files.

    Raises
    ------
    CorpusError
        While it is gone through, if a file is no longer what it was: its size, or when it was changed last.
    """

    def __init__(self, files: Sequence[tuple[str, bool]]) -> None:
        self.files = list(files)
        self._states = {path: _state(path) for path, _ in files}
        self.size = sum(size for size, _ in self._states.values())

    @property
    def names(self) -> list[str]:
        """Paths of the files."""
        return [path for path, _ in self.files]

    def __iter__(self) -> Iterator[Document]:
        for path, _ in self.files:
            self._require_unchanged(path)
        for path, named in self.files:
            blank = True
            for text in pieces(path):
                if text.strip():
                    blank = False
                    yield Document(path, text)
            if named and blank:
                require_text("\n" if os.stat(path).st_size else "", path, "the file")
            self._require_unchanged(path)

    def _require_unchanged(self, path: str) -> None:
        if _state(path) != self._states[path]:
            raise CorpusError(f"{path}: changed while it was read")


def _state(path: str) -> tuple[int, int]:
    try:
        about = os.stat(path)
    except OSError as error:
        raise CorpusError(f"{path}: {error.strerror or error}") from error
    return about.st_size, about.st_mtime_ns


def open_corpus(
    sources: str | Path | Sequence[str | Path], in_memory: int = IN_MEMORY
) -> list[Document] | TextFiles:
    """Read the documents of `sources` if they are small, else return what reads them a piece at a time.

    Standard input and pipes can be read once only: they are held in memory, however large.

    Parameters
    ----------
    sources
        As in `read_corpus`.
    in_memory : int
        Bytes up to which a corpus is read into memory.

    Returns
    -------
    list of Document, or TextFiles

    Raises
    ------
    CorpusError
        As `read_corpus`; of large files, what is wrong inside shows when they are gone through.
    """
    paths = [sources] if isinstance(sources, (str, os.PathLike)) else list(sources)
    files: dict[str, tuple[str, bool]] = {}  # by their real path: a file met twice is read once
    size = 0
    for source in map(str, paths):
        if source == STDIN:
            return read_corpus(paths)
        named, found = files_of(source)
        for path in found:
            try:
                about = os.stat(path)
            except OSError:
                return read_corpus(paths)  # which says what is wrong
            if not stat.S_ISREG(about.st_mode):
                return read_corpus(paths)
            key = os.path.realpath(path)
            if key not in files:
                files[key] = path, named
                size += about.st_size
    return read_corpus(paths) if size <= in_memory else TextFiles(list(files.values()))


def pieces(path: str, piece: int = PIECE) -> Iterator[str]:
    """Yield the text of a file in pieces of at most two times `piece` bytes, which is at least 8.

    Raises
    ------
    CorpusError
        If it cannot be read, is binary or not UTF-8; see `decode_text`.
    """
    try:
        with open(path, "rb") as file:
            data, offset = file.read(piece), 0
            while following := file.read(piece):
                stop = _cut(data)
                yield decode_text(data[:stop], path, offset)
                data, offset = data[stop:] + following, offset + stop
            if data:
                yield decode_text(data, path, offset)
    except OSError as error:
        raise CorpusError(f"{path}: {error.strerror or error}") from error


def _cut(data: bytes) -> int:
    """Where the last whole part of `data` ends, in its second half."""
    for end in (b"\n\n", b"\n", b"\r", b" "):
        # A "\r" at the very end may be the half of a line's end.
        at = data.rfind(end, len(data) // 2, len(data) - (end == b"\r"))
        if at >= 0:
            return at + len(end)
    start = len(data) - 1  # of the last character: its first byte is not 10xxxxxx
    while start > len(data) - 4 and data[start] & 0xC0 == 0x80:
        start -= 1
    return start
