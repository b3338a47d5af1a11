"""Text from files, folders, patterns and standard input.

A file is one document. It is read as UTF-8, strictly: a byte that is not is an error that names the file
and the place, since text guessed wrong is learned wrong. A byte-order mark goes; line ends become newlines.
"""

from __future__ import annotations

import codecs
import glob
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from .errors import CorpusError

# What a folder is searched for. Any file can be named directly, whatever its suffix.
TEXT_SUFFIXES = (".txt", ".text", ".md", ".markdown", ".rst", ".adoc", ".org")

STDIN = "-"


class Document(NamedTuple):
    """A text and where it is from."""

    name: str
    text: str


def read_corpus(sources: str | Path | Sequence[str | Path]) -> list[Document]:
    """Read the documents of files, folders, patterns and standard input, in that order.

    Parameters
    ----------
    sources : path or sequence of paths
        Each a file; a folder, searched with everything below it for names that end in one of
        `TEXT_SUFFIXES`, without what is hidden (a name that begins with a dot); a pattern such as
        "notes/**/*.txt"; or "-", standard input. A folder's and a pattern's files come sorted. A file met
        twice is read once.

    Returns
    -------
    list of Document
        None of them blank: a blank file in a folder is passed over.

    Raises
    ------
    CorpusError
        If a file is missing, blank, binary or not UTF-8, a folder has no text or a pattern no match.
    """
    if isinstance(sources, (str, os.PathLike)):
        sources = [sources]
    if not sources:
        raise CorpusError("no text given: expected files, folders, patterns or - for standard input")
    documents: list[Document] = []
    seen: set[str] = set()
    for source in map(str, sources):
        if source == STDIN:
            if STDIN not in seen:
                text = require_text(read_stdin(), "<stdin>", "standard input")
                documents.append(Document("<stdin>", text))
            seen.add(STDIN)
            continue
        named, files = files_of(source)
        texts = 0
        for path in files:
            key = os.path.realpath(path)
            if key in seen:
                texts += 1
                continue
            seen.add(key)
            text = decode_text(read_file(path), path)
            if named:
                require_text(text, path, "the file")
            if text.strip():
                texts += 1
                documents.append(Document(path, text))
        if not texts:
            raise CorpusError(f"{source}: all of its text files are empty")
    return documents


def files_of(source: str) -> tuple[bool, list[str]]:
    """Return whether `source` names a file itself, and the files that it means."""
    if os.path.isdir(source):
        files = sorted(_walk(source), key=_parts)
        if not files:
            raise CorpusError(f"{source}: the folder has no text (looked for {' '.join(TEXT_SUFFIXES)})")
        return False, files
    if os.path.lexists(source):
        return True, [source]
    if glob.has_magic(source):
        files = sorted(filter(os.path.isfile, glob.glob(source, recursive=True)), key=_parts)
        if not files:
            raise CorpusError(f"{source}: no file matches the pattern")
        return False, files
    raise CorpusError(f"{source}: no such file or folder")


def _parts(path: str) -> tuple[str, ...]:
    """What files are sorted by, so that a folder's files stay together."""
    return Path(path).parts


def _walk(folder: str) -> Iterator[str]:
    def fail(error: OSError) -> None:
        raise CorpusError(f"{error.filename}: {error.strerror}") from error

    for parent, folders, names in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = os.path.join(parent, name)
            if not name.startswith(".") and name.lower().endswith(TEXT_SUFFIXES) and os.path.isfile(path):
                yield path


def read_file(path: str) -> bytes:
    """Return the bytes of a file or a named pipe; raise CorpusError if there is none."""
    try:
        mode = os.stat(path).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
            raise CorpusError(f"{path}: not a regular file")
        return Path(path).read_bytes()
    except OSError as error:
        raise CorpusError(f"{path}: {error.strerror or error}") from error


def read_stdin() -> str:
    """Return the text of standard input.

    Raises
    ------
    CorpusError
        If it is closed, or not what `decode_text` takes.
    """
    return decode_text(bytes_of_stdin(), "<stdin>")


def bytes_of_stdin() -> bytes:
    """Return the bytes of standard input; raise CorpusError if it is closed."""
    if sys.stdin is None:  # closed by whoever started the program
        raise CorpusError("<stdin>: standard input is closed")
    return sys.stdin.buffer.read()


def lines_of_stdin(what: str) -> list[str]:
    """Return the lines of standard input, a text each.

    Raises
    ------
    CorpusError
        As `read_stdin`; if there is none, or one is blank: what is printed would slip by a line.
    """
    text = read_stdin()
    if not text.removesuffix("\n"):
        raise CorpusError(f"no text: expected a {what}, as an argument or on standard input")
    return _lines(text, "<stdin>", what)


def lines_of(path: str, what: str) -> list[str]:
    """Return the lines of a file, "-" for standard input, a text each.

    Raises
    ------
    CorpusError
        If it cannot be read as text, is empty, or a line is blank: what is printed would slip by a line.
    """
    if path == STDIN:
        return lines_of_stdin(what)
    if os.path.isdir(path):
        raise CorpusError(f"{path}: expected a file with a {what} in each line, got a folder")
    if not os.path.lexists(path):
        raise CorpusError(f"{path}: no such file")
    return _lines(require_text(decode_text(read_file(path), path), path, "the file"), path, what)


def _lines(text: str, name: str, what: str) -> list[str]:
    lines = text.removesuffix("\n").split("\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            raise CorpusError(f"{name}:{number}: expected a {what} in each line, got a blank one")
    return lines


def require_text(text: str, name: str, what: str) -> str:
    """Return `text`; raise CorpusError if it is empty or blank."""
    if not text:
        raise CorpusError(f"{name}: {what} is empty")
    if not text.strip():
        raise CorpusError(f"{name}: {what} has nothing but white space")
    return text


def _place(data: bytes, at: int, offset: int) -> str:
    """Where a byte of the file is; of a part of a file its line is not known."""
    line = data.count(b"\n", 0, at) + 1
    return f"at offset {offset + at}" + ("" if offset else f" (line {line})")


def decode_text(data: bytes, name: str, offset: int = 0, errors: str = "strict") -> str:
    """The text of a file's bytes: UTF-8, without a byte-order mark, its line ends newlines.

    Parameters
    ----------
    data : bytes
    name : str
        What an error calls it.
    offset : int
        Where in the file the bytes begin.
    errors : str
        What becomes of bytes that are not UTF-8: "strict", they are an error; "surrogateescape", each becomes
        a lone surrogate, U+DC00 and the byte, for callers who name the line.

    Raises
    ------
    CorpusError
        If the bytes are UTF-16, binary (a NUL byte, or more than a tenth control characters), or not UTF-8.

    Examples
    --------
    >>> decode_text(b"caf\\xc3\\xa9\\r\\n", "menu.txt")
    'café\\n'
    >>> decode_text(b"caf\\xe9", "menu.txt")
    Traceback (most recent call last):
    ...
    npformer.text.errors.CorpusError: menu.txt: not UTF-8: byte 0xe9 at offset 3 (line 1)
    """
    if not offset and data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise CorpusError(f"{name}: UTF-16 or UTF-32 text, expected UTF-8")
    nul = data.find(0)
    if nul >= 0:
        where = _place(data, nul, offset)
        raise CorpusError(f"{name}: a binary file (byte 0x00 {where}), expected UTF-8 text")
    try:
        text = data.decode("utf-8", errors)
    except UnicodeDecodeError as error:
        at = error.start
        where = _place(data, at, offset)
        raise CorpusError(f"{name}: not UTF-8: byte 0x{data[at]:02x} {where}") from None
    controls = sum(map(data.count, (bytes([code]) for code in (*range(1, 9), *range(14, 32), 127))))
    if 10 * controls > len(data):
        raise CorpusError(f"{name}: a binary file ({controls} control characters), expected UTF-8 text")
    if not offset:
        text = text.removeprefix("\ufeff")
    return text.replace("\r\n", "\n").replace("\r", "\n")
