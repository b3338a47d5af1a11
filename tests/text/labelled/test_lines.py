"""Lines: those of the file, whatever ends them, and the first byte of each that is not UTF-8."""

from __future__ import annotations

import pytest

from npformer.text.labelled.lines import bad_byte, read_lines


def test_lines_are_those_of_the_file(write):
    text = "one\u2028one\x85\x0bone\r\n\r\n two \rthree\n \n\n"
    assert read_lines(write(text))[1] == ["one\u2028one\x85\x0bone", "", " two ", "three"]
    assert read_lines(write(b"\xef\xbb\xbfa\n\t\n"))[1] == ["a", "\t"]


@pytest.mark.parametrize(
    ("line", "byte", "at"),
    [
        (b"\xe9t\xe9", 0xE9, 1),
        ("天é".encode() + b"\xff\xfe", 0xFF, 6),
        (b"ab\xc3", 0xC3, 3),
        (b"a\xed\xa0\x80", 0xED, 2),  # half of a surrogate pair, which UTF-8 does not write
    ],
)
def test_bytes_that_are_not_utf_8(write, line, byte, at):
    lines = read_lines(write("déjà vu\n".encode() * 20 + line + b"\nyes\n"))[1]
    assert [bad_byte(line) for line in lines] == [
        *[""] * 20,
        f"expected UTF-8, got byte 0x{byte:02x} (byte {at} of the line)",
        "",
    ]
