"""Characters as tokens: nothing of a text is lost, and a vocabulary comes back as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npformer.text import CharacterTokenizer, CorpusError
from npformer.text.train_wordpiece import SPECIAL_TOKENS


@given(st.text(min_size=2).filter(lambda text: len(set(text)) > 1))
def test_decoding_gives_the_text_back(text):
    tokenizer = CharacterTokenizer.train([text])
    assert tokenizer.vocab_size == 5 + len(set(text))
    ids = tokenizer.encode_plain(text, specials=False)
    assert min(ids) >= 5
    assert tokenizer.decode(ids) == text
    assert tokenizer.decode(tokenizer.encode(text, specials=False).ids) == text


@pytest.mark.parametrize("text", ["a\n\t\r\x0b\x85\u2028\\ n", "é日🙂\x00\ufeff", "[]#\u00ad"])
def test_a_vocabulary_is_read_as_it_was_written(tmp_path, text):
    tokenizer = CharacterTokenizer.train([text])
    tokenizer.save(tmp_path / "vocab.txt")
    again = CharacterTokenizer.from_file(tmp_path / "vocab.txt")
    assert again.vocab == tokenizer.vocab
    assert again.decode(again.encode_plain(text, specials=False)) == text


def test_unknown_and_special_tokens():
    tokenizer = CharacterTokenizer.train(["ab [MASK]"])
    assert tokenizer.encode_plain("az") == [tokenizer.encode_plain("a")[0], tokenizer.unk_id]
    assert tokenizer.mask_id in tokenizer.encode_plain("a[MASK]b")
    assert tokenizer.mask_id not in tokenizer.encode_plain("a[MASK]b", specials=False)
    assert tokenizer.decode([tokenizer.mask_id], skip_special=False) == "[MASK]"
    with pytest.raises(ValueError, match=r"decode: ids: expected ids in \[0, "):
        tokenizer.decode([99])


@pytest.mark.parametrize(("text", "got"), [("", "none"), ("aaa", "one, 'a'")])
def test_too_few_characters(text, got):
    with pytest.raises(CorpusError, match=f"at least two different characters, got {got}"):
        CharacterTokenizer.train([text])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["[PAD]", "x"], r"line 2: expected \[UNK\], got 'x'"),
        ([*SPECIAL_TOKENS, "ab"], "line 6: expected a single character, got 'ab'"),
        ([*SPECIAL_TOKENS, "a", "b", "a"], "line 8: the character 'a' for the second time, ids 5 and 7"),
        ([*SPECIAL_TOKENS, "\\q"], "line 6: expected a single character"),
    ],
)
def test_files_that_are_no_vocabulary(tmp_path, lines, message):
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(CorpusError, match=f"vocab.txt: {message}"):
        CharacterTokenizer.from_file(path)
    with pytest.raises(CorpusError, match="No such file"):
        CharacterTokenizer.from_file(tmp_path / "none.txt")
