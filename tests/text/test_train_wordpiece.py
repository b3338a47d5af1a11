"""Training a vocabulary: against a slow loop that recounts everything, and what it promises about size."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npformer.text import CorpusError, Document, WordPieceTokenizer
from npformer.text.train_wordpiece import SPECIAL_TOKENS, count_words, train_vocabulary


def slowly(texts: list[str], vocab_size: int, min_frequency: int) -> list[str]:
    """The same by counting every pair again before each merge."""
    words = [([w[0], *("##" + c for c in w[1:])], n) for w, n in count_words(texts).items() if len(w) <= 100]
    vocab = [*SPECIAL_TOKENS, *sorted({piece for spelling, _ in words for piece in spelling})]
    while len(vocab) < vocab_size:
        pairs: Counter[tuple[str, str]] = Counter()
        for spelling, n in words:
            for pair in zip(spelling, spelling[1:], strict=False):
                pairs[pair] += n
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        if pairs[best] < min_frequency:
            break
        merged = best[0] + best[1][2:]
        if merged not in vocab:
            vocab.append(merged)
        for spelling, _ in words:
            i = 0
            while i + 1 < len(spelling):
                if (spelling[i], spelling[i + 1]) == best:
                    spelling[i : i + 2] = [merged]
                i += 1
    return vocab


@settings(deadline=None)
@given(st.lists(st.text("aab bc\n", max_size=40), max_size=6), st.integers(12, 60), st.integers(1, 4))
def test_against_counting_everything_again(texts: list[str], vocab_size: int, min_frequency: int) -> None:
    texts = [*texts, "a"]
    expected = slowly(texts, vocab_size, min_frequency)
    got = train_vocabulary(texts, vocab_size, min_frequency=min_frequency, limit_alphabet=1000, shrink=True)
    assert got == expected[:vocab_size]


def test_real_text_against_counting_everything_again(english: str) -> None:
    assert train_vocabulary([english], 100) == slowly([english], 100, 2)


def test_ties_go_to_the_smaller_pair() -> None:
    # (b, ##c), (a, ##d) and (a, ##c) occur twice each
    vocab = train_vocabulary(["bc ad bc ac ad ac"], 13, shrink=True)
    assert vocab[5:] == ["##c", "##d", "a", "b", "ac", "ad", "bc"]


def test_order_of_the_texts_does_not_matter(english: str) -> None:
    lines = english.split("\n")
    assert train_vocabulary(lines, 100) == train_vocabulary(lines[::-1], 100)


def test_the_seed_of_hashes_does_not_matter(english: str) -> None:
    code = "import sys; from npformer.text.train_wordpiece import train_vocabulary as t\n"
    code += "print(ascii(t([sys.argv[1]], 100)))"
    root = Path(__file__).resolve().parents[2]
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code, english],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert outputs == {ascii(train_vocabulary([english], 100)) + "\n"}


def test_more_than_the_text_supports(english: str) -> None:
    most = train_vocabulary([english], 10_000, shrink=True)
    assert len(most) < 400
    message = f"the text supports a vocabulary of {len(most):,} pieces at most, 10,000 were asked for"
    with pytest.raises(CorpusError, match=message):
        train_vocabulary([english], 10_000)
    assert train_vocabulary([english], len(most)) == most  # what the message says is to be had
    with pytest.raises(CorpusError, match="pieces at most"):
        train_vocabulary([english], len(most) + 1)


def test_nothing_to_train_on() -> None:
    for texts in ([], ["", " \n"], ["x" * 101]):
        with pytest.raises(CorpusError, match="no word"):
            train_vocabulary(texts, 100, shrink=True)
    with pytest.raises(ValueError, match=r"train_vocabulary: vocab_size: expected more than the 5 .*, got 5"):
        train_vocabulary(["a"], 5)


def test_min_frequency() -> None:
    pieces = train_vocabulary(["abab abab ab xy"], 1000, shrink=True)
    assert "ab" in pieces
    assert "xy" not in pieces
    assert "xy" in train_vocabulary(["abab abab ab xy"], 1000, min_frequency=1, shrink=True)


def test_every_word_of_the_text_is_known(english: str) -> None:
    tokenizer = WordPieceTokenizer.train([english], 100)
    assert tokenizer.vocab[:5] == list(SPECIAL_TOKENS)
    assert tokenizer.unk_id not in tokenizer.encode_plain(english)


def test_cased() -> None:
    assert "T" in train_vocabulary(["The The the"], 100, lowercase=False, shrink=True)
    assert "T" not in train_vocabulary(["The The the"], 100, shrink=True)
    assert not WordPieceTokenizer.train(["The The the"], 100, lowercase=False, shrink=True).lowercase


def test_any_size_up_to_the_most_is_to_be_had(english: str) -> None:
    texts = [english, "words 中文 with other 字 letters: αβγ αβγ αβ γβ привет привет 0123456789"]
    most = len(train_vocabulary(texts, 10_000, shrink=True))
    for vocab_size in range(6, most + 1):
        vocab = train_vocabulary(texts, vocab_size)
        assert len(vocab) == len(set(vocab)) == vocab_size


def chinese() -> str:
    """800 characters, the last far more frequent than the first, and an English word."""
    return "".join(chr(0x4E00 + 799 - i) * (1 + 2000 // (i + 2)) for i in range(800)) + " model" * 50


def test_a_large_alphabet_leaves_room_for_merges() -> None:
    vocab = train_vocabulary([chinese()], 205)
    single = [piece for piece in vocab if len(piece.removeprefix("##")) == 1]
    assert len(vocab) == 205
    assert "model" in vocab
    assert 140 <= len(single) <= 200
    assert chr(0x4E00 + 799) in vocab  # the frequent ones
    assert chr(0x4E00) not in vocab


def test_characters_left_out_come_back_when_merges_run_out() -> None:
    vocab = train_vocabulary([chinese()], 700)
    assert len(vocab) == 700
    assert len(set(vocab)) == 700
    assert sum("\u4e00" <= piece[0] <= "\u9fff" for piece in vocab) > 650
    assert len(train_vocabulary([chinese()], 10_000, shrink=True)) == 5 + 800 + 5 + 4
    rare = "".join(chr(0x4E00 + i) for i in range(30)) * 3 + " zq zq"
    assert "zq" in train_vocabulary([rare], 38)  # z and q come back before the merge they allow


def test_limit_alphabet() -> None:
    vocab = train_vocabulary(["aaa aab abc"] * 3, 8, limit_alphabet=2)
    assert vocab[5:] == ["##a", "##b", "a"]
    vocab = train_vocabulary(["aa ab ac"] * 3, 20, limit_alphabet=2, shrink=True)
    assert vocab[5:] == ["##a", "##b", "a", "aa", "ab"]
    with pytest.raises(CorpusError, match="10 pieces at most"):
        train_vocabulary(["aa ab ac"] * 3, 20, limit_alphabet=2)


def test_the_default_corpus_in_seconds(python_docs: list[Document]) -> None:
    texts = [document.text for document in python_docs]
    start = time.perf_counter()
    vocab = train_vocabulary(texts, 4000)
    assert time.perf_counter() - start < 20  # about one
    assert len(set(vocab)) == 4000
