"""Rows of sentences: nothing is lost, none is alone, none crosses from one document into another."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npformer.text import (
    CharacterTokenizer,
    Document,
    Packed,
    WordPieceTokenizer,
    document_starts,
    packed_rows,
    sentence_rows,
)

TOKENIZER = CharacterTokenizer.train(["Ab. \n"])
CLS, SEP = TOKENIZER.cls_id, TOKENIZER.sep_id


def parts_of(row):
    """The sentences of a row."""
    found = [[]]
    for token in row[1:]:
        if token == SEP:
            found.append([])
        else:
            found[-1].append(token)
    return found


@given(st.lists(st.text("Ab. \n", max_size=60), max_size=5), st.integers(4, 30))
def test_rows_put_together_are_the_documents(texts, width):
    documents = [Document(str(i), text) for i, text in enumerate(texts)]
    rows = list(sentence_rows(documents, TOKENIZER, width))
    for row in rows:
        assert len(row) <= width
        assert row[0] in (CLS, SEP)
        assert len(parts_of(row)) >= 2
        assert all(parts_of(row))
    read: list[list[int]] = []
    for row in rows:
        if row[0] == CLS:
            read.append([])
        read[-1] += [token for part in parts_of(row) for token in part]
    expected = [ids for text in texts if len(ids := TOKENIZER.encode_plain(text)) > 1]
    assert len(read) == len(expected)
    for found, ids in zip(read, expected, strict=True):
        assert found in (ids, ids[:-1])  # a single token may be left at the end, which is no pair


def test_sentences_are_whole_where_two_fit():
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "a", "b", "##b", "A"]
    tokenizer = WordPieceTokenizer(vocab, lowercase=False)
    documents = [Document("x", "A a. A b a. A bb bb bb bb bb. A.")]
    rows = list(sentence_rows(documents, tokenizer, 12))
    texts = [[tokenizer.decode(part) for part in parts_of(row)] for row in rows]
    # The long sentence is cut at the end of a word.
    assert texts == [["A a.", "A b a."], ["A bb bb", "bb bb"], ["bb.", "A."]]


def test_what_was_held_out_ends_a_row_and_not_the_document():
    documents = [Document("x", "A. A."), Document("x", "b. A."), Document("y", "A. A.")]
    rows = list(sentence_rows(documents, TOKENIZER, 30))
    assert [row[0] for row in rows] == [CLS, SEP, CLS]
    packed = packed_rows(rows, 30, TOKENIZER.pad_id)
    assert document_starts(packed, CLS).tolist() == [0, 2, 3]
    with pytest.raises(ValueError, match="expected rows of whole documents, the first begins none"):
        document_starts(packed.rows(slice(1, None)), CLS)
    nothing = Packed(np.zeros((0, 30), dtype=int), np.zeros((0, 30), dtype=bool))
    assert document_starts(nothing, CLS).tolist() == [0]


def test_a_width_without_room_is_refused():
    with pytest.raises(ValueError, match="width: expected an integer of at least 4, got 3"):
        list(sentence_rows([], TOKENIZER, 3))
