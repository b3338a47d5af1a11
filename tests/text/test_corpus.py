"""Reading text: files, folders, patterns, standard input; and what is refused, in one line."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npformer.text import CorpusError, Document, read_corpus
from npformer.text.corpus import decode_text, lines_of_stdin


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {
        "b.txt": "b",
        "a.md": "a",
        "sub/c.RST": "c",
        "sub/.hidden.txt": "hidden",
        ".git/d.txt": "hidden",
        "sub.txt": "s",
        "picture.png": "no text",
        "empty.txt": "",
        "blank.txt": " \n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_folder_sorted_and_recursive_without_the_hidden(folder: Path) -> None:
    documents = read_corpus([folder])
    assert [document.text for document in documents] == ["a", "b", "c", "s"]
    assert documents[2] == Document(str(folder / "sub" / "c.RST"), "c")


def test_pattern(folder: Path) -> None:
    assert [d.text for d in read_corpus([str(folder / "*.txt")])] == ["b", "s"]
    assert [d.text for d in read_corpus([str(folder / "**" / "*.*")])] == ["a", "b", "no text", "c", "s"]


def test_a_name_that_looks_like_a_pattern(tmp_path: Path) -> None:
    path = tmp_path / "draft [1].txt"
    path.write_text("x", encoding="utf-8")
    assert read_corpus(path)[0].text == "x"


def test_sources_in_order_and_each_file_once(folder: Path) -> None:
    documents = read_corpus([folder / "sub", folder / "b.txt", folder])
    assert [document.text for document in documents] == ["c", "b", "a", "s"]
    assert [d.text for d in read_corpus([folder / "b.txt", folder / "b.txt"])] == ["b"]


def test_any_file_that_is_named(folder: Path) -> None:
    assert read_corpus(str(folder / "picture.png"))[0].text == "no text"


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("Zürich\r\n".encode()), encoding="ascii"))
    assert read_corpus(["-", "-"]) == [Document("<stdin>", "Zürich\n")]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
    with pytest.raises(CorpusError, match=r"^<stdin>: standard input is empty$"):
        read_corpus(["-"])
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"ab\xff")))
    with pytest.raises(CorpusError, match=r"^<stdin>: not UTF-8: byte 0xff at offset 2 .line 1.$"):
        read_corpus(["-"])
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(CorpusError, match=r"^<stdin>: standard input is closed$"):
        read_corpus(["-"])


def test_mark_and_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "windows.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\ntwo\rthree\n")
    assert read_corpus(path)[0].text == "one\ntwo\nthree\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b" \n\t\n", "the file has nothing but white space"),
        (b"\xef\xbb\xbf", "the file is empty"),
        (b"caf\xc3\xa9 caf\xe9\n", "not UTF-8: byte 0xe9 at offset 9 .line 1."),
        (b"a\nb\ncaf\xe9\n", "not UTF-8: byte 0xe9 at offset 7 .line 3."),
        (b"\xef\xbb\xbfab\xff", "not UTF-8: byte 0xff at offset 5 .line 1."),
        (b"cut off \xe4\xb8", "not UTF-8: byte 0xe4 at offset 8 .line 1."),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "a binary file .byte 0x00 at offset 8 .line 3.., expected UTF-8 text"),
        (bytes(range(1, 32)) * 9, "a binary file .*control characters.*, expected UTF-8 text"),
        ("text".encode("utf-16"), "UTF-16 or UTF-32 text, expected UTF-8"),
    ],
)
def test_refused_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(content)
    with pytest.raises(CorpusError, match=rf"x\.txt: {message}$") as caught:
        read_corpus([path])
    assert "\n" not in str(caught.value)


def test_a_bad_file_in_a_folder_is_named(folder: Path) -> None:
    (folder / "sub" / "bad.txt").write_bytes(b"\xff")
    with pytest.raises(CorpusError, match=r"sub.bad\.txt: not UTF-8: byte 0xff at offset 0 .line 1.$"):
        read_corpus([folder])


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"missing\.txt: no such file or folder$"):
        read_corpus([tmp_path / "missing.txt"])
    with pytest.raises(CorpusError, match=r"\*\.txt: no file matches the pattern$"):
        read_corpus([str(tmp_path / "*.txt")])
    with pytest.raises(CorpusError, match=r"the folder has no text \(looked for \.txt .*\.rst"):
        read_corpus([tmp_path])
    (tmp_path / "empty.txt").touch()
    with pytest.raises(CorpusError, match="all of its text files are empty$"):
        read_corpus([tmp_path])
    with pytest.raises(CorpusError, match="no text given"):
        read_corpus([])
    (tmp_path / "link.txt").symlink_to(tmp_path / "nowhere")
    with pytest.raises(CorpusError, match=r"link\.txt: No such file"):
        read_corpus([tmp_path / "link.txt"])


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="no /dev/zero on this system")
def test_a_device_is_refused_not_read_for_ever() -> None:
    with pytest.raises(CorpusError, match=r"/dev/zero: not a regular file$"):
        read_corpus(["/dev/zero"])


@settings(deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=30).map(str.encode))
def test_bytes_are_decoded_or_refused(data: bytes) -> None:
    try:
        text = decode_text(data, "x")
    except CorpusError:
        return
    assert data.decode("utf-8").removeprefix("\ufeff").splitlines() == text.splitlines()


def test_bytes_that_are_not_utf_8_can_be_kept_for_later():
    text = decode_text(b"caf\xc3\xa9\r\ncaf\xe9\n", "x", errors="surrogateescape")
    assert text == "café\ncaf\udce9\n"
    with pytest.raises(CorpusError, match="a binary file"):
        decode_text(b"\xe9\0", "x", errors="surrogateescape")


@pytest.mark.parametrize("data", [b"one\x0ctwo\nthree", b"one\x0ctwo\r\nthree\r\n"])
def test_lines_of_standard_input_end_at_line_feeds_alone(data, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert lines_of_stdin("text") == ["one\x0ctwo", "three"]
