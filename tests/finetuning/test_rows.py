"""Examples as rows of tokens."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npformer.finetuning.rows import _shortened, grid, rows_of_texts, rows_of_words


def test_a_pair_has_two_segments_and_the_longer_side_is_cut(tokenizer):
    rows = rows_of_texts([("red cat", "dog"), ("red " * 9, "cat dog")], tokenizer, 8, segments=True)
    cls, sep, red, cat, dog = (
        tokenizer.vocab.index(piece) for piece in ("[CLS]", "[SEP]", "red", "cat", "dog")
    )
    assert rows.ids[0].tolist() == [cls, red, cat, sep, dog, sep]
    assert rows.segment_ids[0].tolist() == [0, 0, 0, 0, 1, 1]
    assert rows.ids[1].tolist() == [cls, red, red, red, sep, cat, dog, sep]
    assert rows.cut == 1
    assert rows_of_texts([("red",)], tokenizer, 8, segments=False).segment_ids is None


@given(st.lists(st.integers(0, 30), min_size=1, max_size=2), st.integers(2, 20))
def test_what_is_cut_is_no_more_than_needed(lengths, room):
    kept = _shortened(lengths, room)
    assert sum(kept) == min(sum(lengths), room)
    assert all(0 <= n <= whole for n, whole in zip(kept, lengths, strict=True))
    if len(lengths) == 2 and sum(lengths) > room:
        short, long = (np.argmin(lengths), np.argmax(lengths)) if lengths[0] != lengths[1] else (0, 1)
        assert kept[short] == lengths[short] or abs(kept[0] - kept[1]) <= 1
        assert kept[short] <= kept[long] + 1


def test_the_first_piece_of_each_word_speaks_for_it(tokenizer):
    rows = rows_of_words([["cats", "Red", "\x07", "dogs", "fish"]], tokenizer, 7, segments=True)
    pieces = [tokenizer.vocab[i] for i in rows.ids[0]]
    assert pieces == ["[CLS]", "cat", "##s", "red", "[UNK]", "dog", "[SEP]"]
    assert rows.firsts[0].tolist() == [1, 3, 4, 5]  # of the last word nothing is left
    assert rows.cut == 1
    assert rows.segment_ids[0].tolist() == [0] * 7
    whole = rows_of_words([["cats", "Red"]], tokenizer, 5, segments=False)
    assert (whole.cut, whole.firsts[0].tolist()) == (0, [1, 3])


def test_a_grid_is_as_wide_as_its_longest_row(tokenizer):
    rows = rows_of_texts([("red",), ("red cat dog",), ("cat dog",)], tokenizer, 9, segments=True)
    ids, mask, segment_ids = grid(rows, [2, 0], tokenizer.pad_id)
    assert ids.shape == mask.shape == segment_ids.shape == (2, 4)
    assert [row[keep].tolist() for row, keep in zip(ids, mask, strict=True)] == [
        rows.ids[2].tolist(),
        rows.ids[0].tolist(),
    ]
    assert (ids[~mask] == tokenizer.pad_id).all()


def test_special_tokens_written_in_a_text_are_text(tokenizer):
    rows = rows_of_texts([("red [SEP] cat",)], tokenizer, 12, segments=False)
    assert rows.ids[0].tolist().count(tokenizer.sep_id) == 1


@pytest.mark.parametrize("segments", [True, False])
def test_rows_of_several_lengths_have_their_lengths(tokenizer, segments):
    rows = rows_of_texts([("red",), ("red cat",)], tokenizer, 9, segments)
    assert rows.lengths.tolist() == [3, 4]
