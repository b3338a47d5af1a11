"""Files read in pieces: together they are the text, whatever ends its lines, and errors name the place."""

from __future__ import annotations

import os
import random
import threading

import pytest

from npformer.text import CorpusError, TextFiles, open_corpus, read_corpus
from npformer.text.corpus import decode_text
from npformer.text.text_files import pieces

ENDS = {"paragraphs": "\n\n", "lines": "\n", "windows": "\r\n", "old": "\r", "spaces": " ", "nothing": ""}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("piece", [8, 13, 64, 500, 10_000])
def test_pieces_are_the_text(tmp_path, end, piece):
    draw = random.Random(piece)
    words = ["a", "é", "天", "🙂", "word", "longer-word"]
    text = "".join(draw.choice(words) + draw.choice([ENDS[end], "x"]) for _ in range(300))
    path = tmp_path / "text.txt"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    found = list(pieces(str(path), piece))
    assert "".join(found) == decode_text(path.read_bytes(), "text.txt")
    assert max(len(part.encode()) for part in found) <= 2 * piece
    if piece == 500 and ENDS[end]:
        assert all(part[-1] in "\n " for part in found[:-1])


def test_errors_name_the_place_in_the_file(tmp_path):
    path = tmp_path / "text.txt"
    for bad, message in ((b"\xe9", "not UTF-8: byte 0xe9"), (b"\0", "a binary file .byte 0x00")):
        path.write_bytes(b"abc\n" * 1250 + b"abc" + bad + b"\nabc\n" * 100)
        with pytest.raises(CorpusError, match=f"text.txt: {message} at offset 5003"):
            list(pieces(str(path), 64))
    with pytest.raises(CorpusError, match="No such file"):
        list(pieces(str(tmp_path / "none"), 64))


def test_small_text_is_read_and_large_text_is_not(tmp_path):
    for name, text in (("a.txt", "one\n"), ("b.md", " \n"), ("c.txt", "two\n"), ("d.bin", "no\n")):
        (tmp_path / name).write_text(text)
    os.symlink(tmp_path / "a.txt", tmp_path / "e.txt")
    sources = [tmp_path, tmp_path / "c.txt"]
    small = open_corpus(sources)
    assert small == read_corpus(sources)
    large = open_corpus(sources, in_memory=9)
    assert isinstance(large, TextFiles)
    assert large.size == 4 + 2 + 4
    assert list(large) == small
    assert list(large) == small  # and again
    assert open_corpus(sources, in_memory=10) == small
    with pytest.raises(CorpusError, match="no such file"):
        open_corpus(tmp_path / "none")
    for text, message in (("", "is empty"), (" \n", "nothing but white space")):
        (tmp_path / "blank").write_text(text)
        with pytest.raises(CorpusError, match=f"blank: the file .*{message}"):
            list(open_corpus([tmp_path, tmp_path / "blank"], in_memory=0))


def test_a_file_edited_to_the_same_length_between_two_passes(tmp_path):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("one two\n")
        os.utime(tmp_path / name, ns=(10**18, 10**18))
    corpus = open_corpus(tmp_path, in_memory=0)
    assert len(list(corpus)) == 2
    (tmp_path / "b.txt").write_text("two one\n")
    documents = iter(corpus)
    with pytest.raises(CorpusError, match=r"b\.txt: changed while it was read$"):
        next(documents)  # before the first file is read again
    (tmp_path / "b.txt").unlink()
    with pytest.raises(CorpusError, match=r"b\.txt: No such file"):
        next(iter(corpus))


def test_a_file_edited_while_it_is_read(tmp_path):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("one two\n")
        os.utime(tmp_path / name, ns=(10**18, 10**18))
    documents = iter(open_corpus(tmp_path, in_memory=0))
    next(documents)
    (tmp_path / "a.txt").write_text("two one\n")
    with pytest.raises(CorpusError, match=r"a\.txt: changed while it was read$"):
        next(documents)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names on this system")
def test_a_pipe_is_read_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large.txt").write_text("text\n")
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=("from a pipe\n",))
    writer.start()
    documents = open_corpus([tmp_path / "large.txt", tmp_path / "pipe"], in_memory=0)
    writer.join()
    assert [document.text for document in documents] == ["text\n", "from a pipe\n"]
