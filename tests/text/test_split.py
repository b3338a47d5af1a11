"""The held-out split: no shared line, the wanted share, any shape of text."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npformer.text import CorpusError, Document, read_corpus, split_corpus
from npformer.text.split import blocks_of_text


def line_set(documents: Iterable[Document]) -> set[str]:
    return {line.strip() for document in documents for line in document.text.splitlines() if line.strip()}


def size(documents: Iterable[Document]) -> int:
    return sum(len(document.text) for document in documents)


def numbered(n: int, name: str = "x") -> Document:
    return Document(name, "".join(f"Line {name} number {i} of some.\n" for i in range(n)))


TEXTS = st.lists(st.text(st.sampled_from("ab. \n\n\r\x0c\u2028\x1c"), max_size=60), max_size=6)


@settings(deadline=None)
@given(TEXTS, st.floats(0.01, 0.99), st.integers(0, 5))
def test_no_shared_line_and_none_invented(texts: list[str], held_out: float, seed: int) -> None:
    documents = [Document(str(i), text) for i, text in enumerate(texts)]
    try:
        train, held = split_corpus(documents, held_out, seed)
    except CorpusError:
        assert len(line_set(documents)) < 2
        return
    assert line_set(train)
    assert line_set(held)
    assert not line_set(train) & line_set(held)
    by_name = dict(documents)
    for document in (*train, *held):
        assert document.text.strip()
        for line in document.text.splitlines():
            assert line.strip() in by_name[document.name]


@settings(deadline=None)
@given(st.integers(2, 200), st.floats(0.02, 0.5), st.integers(0, 3))
def test_different_lines_all_stay_and_the_share_is_kept(n: int, held_out: float, seed: int) -> None:
    documents = [numbered(n)]
    train, held = split_corpus(documents, held_out, seed)
    assert line_set(train) | line_set(held) == line_set(documents)
    total = size(documents)
    assert size(held) < held_out * total + max(total / 200, 27)  # one block more at most
    assert size(held) >= min(held_out * total, total - 27)


def test_deterministic_and_the_seed_matters() -> None:
    documents = [numbered(50, name) for name in "abc"]
    assert split_corpus(documents, seed=1) == split_corpus(documents, seed=1)
    assert split_corpus(documents, seed=1) != split_corpus(documents, seed=2)


def test_blocks_side_by_side_are_one_document_again() -> None:
    train, held = split_corpus([numbered(1000)], 0.1)
    assert len(train) <= 25
    assert len(held) <= 24
    # each part is a slice of the text: no seam between lines that were not neighbours
    assert all(document.text in numbered(1000).text for document in (*train, *held))


def test_documents_stay_whole_where_there_are_many() -> None:
    documents = [Document(str(i), f"Text {i}.\n\nSecond {i}.\n") for i in range(500)]
    train, held = split_corpus(documents)
    assert len(train) + len(held) == 500
    assert len(held) == 50
    assert [int(d.name) for d in train] == sorted(int(d.name) for d in train)


def test_repeated_lines_go_from_the_held_out_side() -> None:
    text = "".join(f"SPEAKER:\nVerse {i}.\n\n" for i in range(300))
    train, held = split_corpus([Document("play", text)])
    assert "SPEAKER:" in line_set(train)
    assert "SPEAKER:" not in line_set(held)
    assert len(line_set(held)) == pytest.approx(30, abs=3)


@pytest.mark.parametrize(
    "texts",
    [
        ["a\nb\n"],
        ["a\nb\na\nb\n"],
        ["a\na\na\nb"],
        ["a", "b"],
        ["a\nb", "a\nb", "b\na"],
        ["First sentence. Second sentence."],
        ["天黑了。你呢？"],
        ["\n\n \n", "a\n\n\nb\n"],
    ],
)
def test_tiny(texts: list[str]) -> None:
    for seed in range(10):
        train, held = split_corpus([Document("t", text) for text in texts], seed=seed)
        assert line_set(train)
        assert line_set(held)
        assert not line_set(train) & line_set(held)


@pytest.mark.parametrize(
    "texts", [[], [""], ["\n \n"], ["one line"], ["same\n" * 40], ["same", " same ", "same"]]
)
def test_too_little(texts: list[str]) -> None:
    with pytest.raises(CorpusError, match="at least two different lines"):
        split_corpus([Document("t", text) for text in texts])


@pytest.mark.parametrize("held_out", [0, 1, -0.1, 1.5, float("nan")])
def test_bad_share(held_out: float) -> None:
    with pytest.raises(ValueError, match="split_corpus: held_out: expected a share between 0 and 1, got"):
        split_corpus([numbered(5)], held_out)


def test_a_text_of_one_line_is_split_at_its_sentences() -> None:
    text = " ".join(f"Sentence number {i}." for i in range(200))
    train, held = split_corpus([Document("t", text)])
    assert 0.1 * len(text) <= size(held) <= 0.12 * len(text)
    assert size(train) + size(held) == len(text)


def test_blocks_are_the_text() -> None:
    text = "\n\n" + numbered(30).text + "\n\n\n" + numbered(5).text + "x" * 500 + "\n" * 100
    blocks = blocks_of_text(text, 100, 100_000)
    assert "".join(blocks) == text
    assert all(block.strip() for block in blocks)
    assert max(len(block) for block in blocks if "x" * 500 not in block) <= 104  # blank lines are extra
    assert min(map(len, blocks)) > 50


def test_shakespeare(shared_data: Path) -> None:
    documents = read_corpus([shared_data / "tinyshakespeare" / "input.txt"])
    train, held = split_corpus(documents)
    assert not line_set(train) & line_set(held)
    assert 0.08 * size(documents) < size(held) < 0.11 * size(documents)
    assert len(held) > 10  # from many places of the one file


def test_default_corpus(python_docs: list[Document]) -> None:
    train, held = split_corpus(python_docs)
    assert not line_set(train) & line_set(held)
    assert 0.07 * size(python_docs) < size(held) < 0.12 * size(python_docs)
