"""The stream: its rows overlap by a token, and are the documents."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npformer.text import CharacterTokenizer, Document, token_rows

TOKENIZER = CharacterTokenizer.train(["ab\n"])


@given(st.lists(st.text("ab\n", max_size=30), max_size=5), st.integers(1, 9))
def test_rows_put_together_are_the_documents(texts, seq_len):
    rows = list(token_rows([Document("x", text) for text in texts], TOKENIZER, seq_len))
    assert all(len(row) == seq_len + 1 for row in rows[:-1])
    assert all(1 < len(row) <= seq_len + 1 for row in rows)
    for row, following in zip(rows, rows[1:], strict=False):
        assert row[-1] == following[0]
    ids = rows[0][:1] + [i for row in rows for i in row[1:]] if rows else [TOKENIZER.sep_id]
    sep = TOKENIZER.sep_id
    expected = [sep] + [i for text in texts for i in (*TOKENIZER.encode_plain(text), sep)]
    assert ids == expected


def test_special_tokens_in_a_text_are_text():
    tokenizer = CharacterTokenizer.train(["a[MASK]"])
    (row,) = token_rows([Document("x", "a[MASK]")], tokenizer, 20)
    assert tokenizer.decode(row) == "a[MASK]"
    with pytest.raises(ValueError, match="seq_len: expected at least 1, got 0"):
        list(token_rows([], tokenizer, 0))
