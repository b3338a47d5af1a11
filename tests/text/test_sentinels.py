"""Sentinels at the end of a vocabulary: read back, told from text, and absent from other vocabularies."""

from __future__ import annotations

import pytest

from npformer.text import CharacterTokenizer, CorpusError, WordPieceTokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PIECES = WordPieceTokenizer([*SPECIAL, "the", "cat", "[", "]", "s", "##0", "sat"])
CHARACTERS = CharacterTokenizer.train(["the cat [sat0]S\n"])


@pytest.mark.parametrize("plain", [PIECES, CHARACTERS], ids=["wordpiece", "char"])
def test_they_come_after_the_pieces_and_survive_a_file(plain, tmp_path):
    tokenizer = plain.with_sentinels(12)
    assert plain.sentinel_ids == ()
    assert tokenizer.sentinel_ids == tuple(range(plain.vocab_size, plain.vocab_size + 12))
    assert tokenizer.vocab[-1] == "[S11]"
    tokenizer.save(tmp_path / "vocab.txt")
    again = type(plain).from_file(tmp_path / "vocab.txt")
    assert (again.vocab, again.sentinel_ids) == (tokenizer.vocab, tokenizer.sentinel_ids)
    plain.save(tmp_path / "old.txt")
    assert type(plain).from_file(tmp_path / "old.txt").sentinel_ids == ()


@pytest.mark.parametrize("plain", [PIECES, CHARACTERS], ids=["wordpiece", "char"])
def test_written_in_a_text_they_are_text_unless_asked_for(plain):
    tokenizer = plain.with_sentinels(2)
    text = "the [S0] sat [S1]"
    ids = tokenizer.encode_plain(text)
    assert [i for i in ids if i in tokenizer.sentinel_ids] == list(tokenizer.sentinel_ids)
    assert tokenizer.decode(ids) == text
    assert not set(tokenizer.sentinel_ids) & set(tokenizer.encode_plain(text, specials=False))
    assert plain.encode_plain(text) == plain.encode_plain(text, specials=False)
    assert not set(tokenizer.sentinel_ids) & set(tokenizer.special_ids)


def test_out_of_order_among_characters_is_refused(tmp_path):
    for vocab in ([*SPECIAL, "a", "[S0]", "b"], [*SPECIAL, "a", "b", "[S1]", "[S0]"]):
        with pytest.raises(ValueError, match="piece [67]: expected the sentinels at the end, in their order"):
            CharacterTokenizer(vocab)
        (tmp_path / "vocab.txt").write_text("\n".join(vocab) + "\n")
        with pytest.raises(CorpusError, match="line [78]: expected the sentinels"):
            CharacterTokenizer.from_file(tmp_path / "vocab.txt")
    with pytest.raises(ValueError, match="expected a single character, got '.S1.'"):
        CharacterTokenizer([*SPECIAL, "a", "[S1]"])
