"""Parts of a file: told by blank lines alone, and of the same split as the whole."""

from __future__ import annotations

import random

import pytest

from npformer.text import Document, TextFiles, separate, split_corpus, streamed_split, text_files
from npformer.text.parts import part_blocks
from npformer.text.streamed_split import draw_held_out, training_documents

TEXT = "\n \n One.\nTwo.\n\n  \n  Three.\n \n\tFour.\n\tFive.\n\nSix.\n"
PARTS = ["One.\nTwo.", "Three.", "Four.\n\tFive.", "Six."]


def test_the_parts_of_one_file_are_documents():
    found = separate([Document("f", TEXT)])
    assert [text.strip() for _, text in found] == PARTS
    assert [name for name, _ in found] == ["f:1", "f:2", "f:3", "f:4"]
    assert "".join(text for _, text in found).strip() == TEXT.strip()
    two = [Document("f", TEXT), Document("g", TEXT)]
    assert separate(two) is two


@pytest.mark.parametrize("size", range(1, 12))
def test_a_part_has_one_number_however_the_file_is_cut(size):
    pieces = [TEXT[i : i + size] for i in range(0, len(TEXT), size)]
    found: dict[str, str] = {}
    for name, blocks in part_blocks(("f", [(False, piece)]) for piece in pieces):
        found[name] = found.get(name, "") + "".join(part for _, part in blocks)
    assert {name: text.strip() for name, text in found.items()} == {
        f"f:{i}": text for i, text in enumerate(PARTS, 1)
    }


def paragraphs(n=400):
    """Paragraphs of one line to ten, every third indented; a line begins with its paragraph's number."""
    draw = random.Random(0)
    text = ""
    for i in range(1, n + 1):
        indent = "   " if i % 3 == 0 else ""
        text += "".join(f"{indent}{i} {draw.random()}\n" for _ in range(draw.randint(1, 10))) + "\n"
    return text


def lines(documents):
    return [line.strip() for _, text in documents for line in text.splitlines() if line.strip()]


def require_parts(documents, name):
    """The text has the number of its paragraph."""
    numbers = {name.rpartition(":")[2] for name, _ in documents}
    assert len(numbers) > 10
    for of, text in documents:
        assert of.rpartition(":")[0] == name
        assert {line.split()[0] for line in text.splitlines() if line.strip()} == {of.rpartition(":")[2]}


@pytest.mark.parametrize("share", [0.1, 0.6])
def test_parts_are_held_out_as_the_file_is(share):
    file = [Document("f", paragraphs())]
    for whole, parts in zip(split_corpus(file, share), split_corpus(file, share, parts=True), strict=True):
        assert lines(parts) == lines(whole)
        require_parts(parts, "f")
    train, (held,) = split_corpus([Document("f", "a\n\nb\n\na\n\nb\n")], parts=True)  # one line alone
    assert {name for name, _ in train} < {"f:1", "f:2", "f:3", "f:4"}
    assert not set(lines(train)) & set(lines([held]))


def test_parts_of_a_large_file_are_held_out_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(streamed_split, "LARGEST_BLOCK", 300)
    pieces = text_files.pieces
    monkeypatch.setattr(text_files, "pieces", lambda path: pieces(path, 2000))
    path = tmp_path / "f"
    path.write_text(paragraphs())
    files = TextFiles([(str(path), True)])
    of = {}
    for parts in (False, True):
        held_out, sample, length = draw_held_out(files, 0.1, 0, 10**9, parts=parts)
        train = list(training_documents(files, 0.1, 0, length, set(), parts=parts))
        of[parts] = lines(train), lines(held_out), "".join(sample).split()
        if parts:
            require_parts(train, str(path))
            require_parts(held_out, str(path))
    assert of[True] == of[False]
