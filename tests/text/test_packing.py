"""Packing: no token lost, whole sentences, little padding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npformer.text import Document, Packed, WordPieceTokenizer, pack, read_corpus

TEXTS = st.lists(st.text(st.sampled_from("aabcd. .\n\n'X!?。"), max_size=120), max_size=5)


def documents_of(texts: list[str]) -> list[Document]:
    return [Document(str(i), text) for i, text in enumerate(texts)]


def content(packed: Packed, tokenizer: WordPieceTokenizer) -> list[int]:
    outside = (tokenizer.cls_id, tokenizer.sep_id)
    return [i for i in packed.ids[packed.mask].tolist() if i not in outside]


@settings(deadline=None)
@given(TEXTS, st.integers(3, 40))
def test_no_token_lost_and_the_form_of_a_row(
    tokenizer: WordPieceTokenizer, texts: list[str], seq_len: int
) -> None:
    ids, mask = packed = pack(documents_of(texts), tokenizer, seq_len)
    assert ids.dtype == np.int32
    assert mask.dtype == np.bool_
    assert ids.shape == mask.shape == (len(ids), seq_len)
    assert content(packed, tokenizer) == [i for text in texts for i in tokenizer.encode_plain(text)]
    for row, real in zip(ids.tolist(), mask.tolist(), strict=True):
        length = sum(real)
        assert real == [True] * length + [False] * (seq_len - length)
        assert row[length:] == [tokenizer.pad_id] * (seq_len - length)
        assert row[0] == tokenizer.cls_id
        assert row[length - 1] == tokenizer.sep_id
        assert length >= 3
        assert row[1] != tokenizer.sep_id
        assert row.count(tokenizer.cls_id) == 1
        assert not any(a == b == tokenizer.sep_id for a, b in zip(row, row[1:], strict=False))
    for length in mask.sum(axis=1)[:-1]:  # an eighth at most, or as much for a word, and a [SEP] not needed
        assert seq_len - length <= seq_len // 8 + 1


def test_whole_sentences_where_they_fit(tokenizer: WordPieceTokenizer) -> None:
    sentence = "A b c d e f. "  # 7 tokens
    ids, mask = pack([Document("t", sentence * 8)], tokenizer, 32)
    assert mask.sum(axis=1).tolist() == [30, 30]  # 4 sentences each; 2 places stay empty, no sentence is cut
    ids, mask = pack([Document("t", sentence * 8)], tokenizer, 36)
    assert mask.sum(axis=1).tolist() == [36, 24]  # 6 empty places would be too many: the fifth is cut


def test_documents_are_parted_by_sep(tokenizer: WordPieceTokenizer) -> None:
    ids, mask = pack(documents_of(["a b", "c", "d"]), tokenizer, 12)
    expected = "[CLS] a b [SEP] c [SEP] d [SEP] [PAD] [PAD] [PAD] [PAD]"
    assert tokenizer.decode(ids[0], skip_special=False) == expected
    assert mask[0].sum() == 8


def test_a_long_sentence_is_cut_at_the_end_of_a_word() -> None:
    tokenizer = WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##b", "##c"])
    ids, mask = pack([Document("t", "abc " * 30)], tokenizer, 16)  # room for 4 words and 2 pieces of a fifth
    assert all(row[1] == 5 for row in ids.tolist())
    assert mask.sum(axis=1).tolist() == [14] * 7 + [8]
    ids, mask = pack([Document("t", "a" + "b" * 99)], tokenizer, 16)  # one long word has to be torn
    assert mask.sum() == 100 + 2 * len(ids)


def test_lines_of_a_text_without_full_stops(tokenizer: WordPieceTokenizer) -> None:
    text = "a b c d e f g\n" * 20
    ids, mask = pack([Document("t", text)], tokenizer, 32)
    assert set(mask.sum(axis=1).tolist()) == {30}  # four lines a row


def test_special_tokens_written_in_a_document_are_text(tokenizer: WordPieceTokenizer) -> None:
    ids, _ = pack([Document("t", "a [MASK] b [SEP] c")], tokenizer, 32)
    assert tokenizer.mask_id not in ids
    assert (ids == tokenizer.sep_id).sum() == 1


def test_nothing_to_pack(tokenizer: WordPieceTokenizer) -> None:
    for documents in ([], [Document("t", " \n")]):
        ids, mask = pack(documents, tokenizer, 16)
        assert ids.shape == mask.shape == (0, 16)


@pytest.mark.parametrize("seq_len", [2, 0, -1, 2.5, True, "64"])
def test_bad_seq_len(tokenizer: WordPieceTokenizer, seq_len: object) -> None:
    with pytest.raises(ValueError, match="pack: seq_len: expected an integer of at least 3, got"):
        pack([], tokenizer, seq_len)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("sentence_polarity/rt-polarity.neg", 200_000),
        pytest.param("sentence_polarity/rt-polarity.neg", None, marks=pytest.mark.thorough),
        pytest.param("tinyshakespeare/input.txt", None, marks=pytest.mark.thorough),
        pytest.param("state_union/state_union.txt", None, marks=pytest.mark.thorough),
    ],
)
def test_little_padding(shared_data: Path, name: str, most: int | None) -> None:
    documents = [Document(name, read_corpus([shared_data / name])[0].text[:most])]
    tokenizer = WordPieceTokenizer.train([documents[0].text], 4000)
    for seq_len in (64, 128):
        packed = pack(documents, tokenizer, seq_len)
        assert 1 - packed.mask.mean() < 0.05
        assert content(packed, tokenizer) == tokenizer.encode_plain(documents[0].text, specials=False)
