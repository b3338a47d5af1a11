"""The lines of a file of examples, of which some may not be UTF-8: those are named, not guessed."""

from __future__ import annotations

from ..corpus import STDIN, bytes_of_stdin, decode_text, read_file, require_text


def read_lines(path: str) -> tuple[str, list[str]]:
    """Return what messages call the file, and its lines, without those at its end that are blank.

    A byte that is not UTF-8 is a lone surrogate in its line; `bad_byte` tells.

    Raises
    ------
    CorpusError
        If it cannot be read, is empty or blank, binary, UTF-16 or UTF-32.
    """
    if path == STDIN:
        name, data, what = "<stdin>", bytes_of_stdin(), "standard input"
    else:
        name, data, what = path, read_file(path), "the file"
    text = require_text(decode_text(data, name, errors="surrogateescape"), name, what)
    lines = text.split("\n")
    while not lines[-1].strip(" "):
        lines.pop()
    return name, lines


def bad_byte(line: str) -> str:
    """What to say of the first byte of `line` that is not UTF-8; nothing if all are.

    Examples
    --------
    >>> bad_byte(b"caf\\xc3\\xa9, caf\\xe9".decode(errors="surrogateescape"))
    'expected UTF-8, got byte 0xe9 (byte 11 of the line)'
    """
    try:
        line.encode()
    except UnicodeEncodeError as error:
        byte = ord(line[error.start]) - 0xDC00
        at = len(line[: error.start].encode()) + 1
        return f"expected UTF-8, got byte 0x{byte:02x} (byte {at} of the line)"
    return ""
