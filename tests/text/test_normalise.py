"""Normalisation: character by character, against BERT's rules and the `tokenizers` library."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npformer.text.normalise import is_cjk, is_punctuation, normalise, split_words

ANY_TEXT = st.text(st.characters(exclude_categories=()))  # lone surrogates too


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \t\r\n\u00a0\u2003\u3000", []),
        ("a\x00b\x07c\ufffdd\x85e\x0bf", ["abcdef"]),
        ("zero\u200bwidth soft\xadhyphen nbsp\xa0end", ["zerowidth", "softhyphen", "nbsp", "end"]),
        ("\ufeffmark", ["mark"]),
        ("Déjà NAÏVE Zürich Straße", ["deja", "naive", "zurich", "straße"]),
        ("e\u0301 \u00e9", ["e", "e"]),
        ("İstanbul ΣΑΣ", ["istanbul", "σασ"]),
        ("中文and日本", ["中", "文", "and", "日", "本"]),
        ("のテキスト", ["のテキスト"]),
        ("한", [unicodedata.normalize("NFD", "한")]),
        ("a-b_c$d`e^f|g~", ["a", "-", "b", "_", "c", "$", "d", "`", "e", "^", "f", "|", "g", "~"]),
        ("«x» “y” …z—", ["«", "x", "»", "“", "y", "”", "…", "z", "—"]),
        ("½ Ⅳ ™", ["½", "ⅳ", "™"]),
        ("\u037e\u1fef", [";", "`"]),  # punctuation only once decomposed
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert split_words(text) == words


def test_cased_keeps_case_and_accents() -> None:
    assert split_words("Déjà Vu, e\u0301", lowercase=False) == ["Déjà", "Vu", ",", "e\u0301"]


def test_a_character_of_a_later_unicode_is_kept() -> None:
    unassigned = "\U0003fff0"
    assert unicodedata.category(unassigned) == "Cn"
    assert split_words(f"a {unassigned}") == ["a", unassigned]


@settings(deadline=None)
@given(ANY_TEXT, st.booleans())
def test_total_and_idempotent(text: str, lowercase: bool) -> None:
    once = normalise(text, lowercase)
    assert normalise(once, lowercase).split() == once.split()
    assert not any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co") for char in once)
    if lowercase:
        assert not any(unicodedata.category(char) == "Mn" for char in once)


@settings(deadline=None)
@given(ANY_TEXT, st.booleans())
def test_words_lose_blanks_alone(text: str, lowercase: bool) -> None:
    words = split_words(text, lowercase)
    assert "".join(words) == "".join(normalise(text, lowercase).split())
    assert all(len(word) == 1 or not any(is_punctuation(c) for c in word) for word in words)
    assert all(word and not any(c.isspace() for c in word) for word in words)


@settings(deadline=None)
@given(ANY_TEXT, ANY_TEXT)
def test_white_space_parts(a: str, b: str) -> None:
    assert split_words(f"{a}\n{b}") == split_words(a) + split_words(b)


@pytest.mark.extra
def test_every_character_as_the_tokenizers_library() -> None:
    """Wherever Unicode has not changed its mind about the character since its version 3.2."""
    pytest.importorskip("tokenizers", reason="no package tokenizers (pip install npformer[parity])")
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer

    def kept(code: int) -> bool:
        category = unicodedata.category(chr(code))
        if category in ("Cn", "Cs") or category != unicodedata.ucd_3_2_0.category(chr(code)):
            return False
        return not 0x2B820 <= code < 0x2B920  # the library leaves these out of BERT's Chinese blocks

    def cut(text: str) -> list[str]:
        return [word for word, _ in BertPreTokenizer().pre_tokenize_str(text)]

    codes = [code for code in range(0x110000) if kept(code)]
    whole = [code for code in codes if not (is_cjk(chr(code)) or unicodedata.category(chr(code)) == "Co")]
    assert len(codes) > 200_000
    for lowercase in (True, False):
        reference = BertNormalizer(lowercase=lowercase)
        for many in (codes[at : at + 512] for at in range(0, len(codes), 512)):  # a call for each takes long
            text = " ".join(f"a{chr(code)}b" for code in many)
            if normalise(text, lowercase) != reference.normalize_str(text):
                for code in many:  # which it is
                    text = f"a{chr(code)}b"
                    assert normalise(text, lowercase) == reference.normalize_str(text), hex(code)
        for many in (whole[at : at + 512] for at in range(0, len(whole), 512)):
            text = " ".join(f"a{chr(code)}b" for code in many)
            if split_words(text, lowercase) != cut(reference.normalize_str(text)):
                for code in many:
                    text = f"a{chr(code)}b"
                    assert split_words(text, lowercase) == cut(reference.normalize_str(text)), hex(code)
