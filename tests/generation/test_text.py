"""Text that grows: no cut characters, no beginnings of stop strings, and in the end all of it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from npformer.generation.text import GrowingText, continuation, cut_at
from npformer.text import WordPieceTokenizer
from npformer.text.train_wordpiece import SPECIAL_TOKENS


class Bytes:
    def decode(self, ids: Any) -> str:
        return bytes(ids).decode("utf-8", "replace")


def pieces_of(tokenizer: Any, prompt: list[int], ids: list[int], stops: list[str]) -> tuple[list[str], str]:
    text = GrowingText(tokenizer, prompt, stops)
    pieces = []
    for token in ids:
        pieces.append(text.add(token))
        if text.stopped:
            break
    pieces.append(text.finish())
    return pieces, text.text


@given(st.text(max_size=4), st.text(max_size=9), st.lists(st.text(min_size=1, max_size=3), max_size=2))
def test_bytes_give_whole_characters_and_all_the_text(prompt: str, text: str, stops: list[str]) -> None:
    pieces, _ = pieces_of(Bytes(), list(prompt.encode()), list(text.encode()), stops)
    assert "".join(pieces) == cut_at(text, stops)[0]
    for piece in pieces:
        assert "\ufffd" not in piece or "\ufffd" in text


def test_bytes_that_never_make_a_character_come_at_the_end() -> None:
    pieces, text = pieces_of(Bytes(), [], [*b"a", 0xE2, 0x82], [])
    assert pieces == ["", "a", "", "\ufffd"]
    assert text == "a\ufffd"


def test_no_token_is_no_text_though_the_prompt_ends_within_a_character() -> None:
    assert continuation(Bytes(), [*b"a", 0xC3], []) == ""
    assert continuation(Bytes(), [*b"a", 0xC3], [0xA9]) == "é"


WORDS = ["do", "n", "'", "t", "##s", ".", ",", "(", ")", "3", "5", "日", "本"]
WORDPIECE = WordPieceTokenizer([*SPECIAL_TOKENS, *WORDS])
SOME_WORDS = st.lists(st.integers(0, len(SPECIAL_TOKENS) + len(WORDS) - 1), max_size=8)


@given(SOME_WORDS, SOME_WORDS)
def test_pieces_of_words_make_up_the_text(prompt: list[int], ids: list[int]) -> None:
    pieces, text = pieces_of(WORDPIECE, prompt, ids, [])
    assert "".join(pieces) == text == continuation(WORDPIECE, prompt, ids)


def test_the_blank_before_a_word_belongs_to_the_continuation() -> None:
    do, n, apostrophe, t, s, point = range(len(SPECIAL_TOKENS), len(SPECIAL_TOKENS) + 6)
    assert continuation(WORDPIECE, [do], [n]) == " n"
    assert continuation(WORDPIECE, [do], [s, point]) == "s."
    assert continuation(WORDPIECE, [], [do]) == "do"
    assert pieces_of(WORDPIECE, [do], [n, apostrophe, t, point], [])[0] == ["", " n", "", "'t", "."]


def test_text_waits_while_a_stop_string_may_have_begun() -> None:
    pieces, text = pieces_of(Bytes(), [], list(b"a\n\nb"), ["\n\nQ"])
    assert pieces == ["", "a", "", "", "\n\nb"]
    pieces, text = pieces_of(Bytes(), [], list(b"a\n\nQuestion"), ["\n\nQ"])
    assert pieces == ["", "a", "", "", ""]
    assert text == "a"


def test_the_first_stop_string_cuts() -> None:
    assert cut_at("abc", []) == ("abc", False)
    assert cut_at("abc", ["c", "b"]) == ("a", True)
    assert cut_at("abc", ["x"]) == ("abc", False)
