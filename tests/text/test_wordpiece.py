"""The tokenizer: BERT's ids, the way back, vocab.txt, pairs and truncation."""

from __future__ import annotations

import gzip
import json
import random
import time
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from npformer.text import CorpusError, WordPieceTokenizer
from npformer.text.normalise import split_words
from npformer.text.train_wordpiece import SPECIAL_TOKENS

ANY_TEXT = st.text(st.characters(exclude_categories=()))
ASCII_TEXT = st.text(st.sampled_from("abcXYZ 019.,;:!?'-_()[]{}\"#%/\\\n"), max_size=60)


def small(*pieces: str, lowercase: bool = True) -> WordPieceTokenizer:
    return WordPieceTokenizer([*SPECIAL_TOKENS, *pieces], lowercase)


# The ids of BERT


@pytest.mark.extra
def test_stored_vectors(bert: WordPieceTokenizer, shared_data: Path) -> None:
    stored = json.loads((shared_data / "refs" / "bert_wordpiece_vectors.json").read_text(encoding="utf-8"))
    assert stored["cases"]
    assert stored["pairs"]
    for case in stored["cases"]:
        ids = bert.encode(case["text"]).ids
        assert ids == case["ids"], case["text"]
        assert [bert.vocab[i] for i in ids] == case["tokens"]
    for case in stored["pairs"]:
        assert bert.encode(case["a"], case["b"]) == (case["ids"], case["type_ids"])


def corpus_lines(folder: Path) -> list[str]:
    files = (
        "tinyshakespeare/input.txt",
        "bible_en_es/pairs.tsv",
        "state_union/state_union.txt",
        "sentence_polarity/rt-polarity.pos",
        "sms_spam/sms.tsv",
        "snips/train.jsonl",
    )
    groups = [(folder / name).read_text(encoding="utf-8").split("\n") for name in files]
    with gzip.open(folder / "jargon" / "jargon.txt.gz", "rt", encoding="utf-8", errors="replace") as file:
        groups.append(file.read().split("\n"))
    rng = random.Random(0)
    return [line for group in groups for line in rng.sample([x for x in group if x.strip()], 1400)]


def nasty_lines(count: int) -> list[str]:
    """Random Unicode out of characters whose category has not changed since Unicode 3.2, mixed with traps."""
    rng = random.Random(1)
    old = unicodedata.ucd_3_2_0
    pool = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000 and not 0x2B820 <= c < 0x2B920]
    pool = [c for c in pool if unicodedata.category(c) == old.category(c) != "Cn"]
    assigned = [c for c in pool if ord(c) < 0x3000]
    traps = [
        "abc",
        "E",
        "I",
        " ",
        "\u0130",
        "\u03a3",
        "\u0301",
        "\t",
        "\n",
        "[MASK]",
        "[SEP",
        "##",
        "中",
        ".",
        "'",
    ]
    parts = (pool, assigned, assigned, traps, traps)
    return ["".join(rng.choice(rng.choice(parts)) for _ in range(rng.randrange(40))) for _ in range(count)]


@pytest.mark.extra
@pytest.mark.parametrize("lowercase", [True, False])
def test_the_ids_of_the_tokenizers_library(bert_vocab: Path, shared_data: Path, lowercase: bool) -> None:
    pytest.importorskip("tokenizers", reason="no package tokenizers (pip install npformer[parity])")
    from tokenizers import BertWordPieceTokenizer

    reference = BertWordPieceTokenizer(str(bert_vocab), lowercase=lowercase)
    ours = WordPieceTokenizer.from_file(bert_vocab, lowercase=lowercase)
    lines = corpus_lines(shared_data) + nasty_lines(3000)
    assert len(lines) > 12_000
    for line, expected in zip(lines, reference.encode_batch(lines), strict=True):
        assert ours.encode(line).ids == expected.ids, ascii(line)


@pytest.mark.extra
def test_truncation_of_the_tokenizers_library(bert_vocab: Path, bert: WordPieceTokenizer) -> None:
    pytest.importorskip("tokenizers", reason="no package tokenizers (pip install npformer[parity])")
    from tokenizers import BertWordPieceTokenizer

    reference = BertWordPieceTokenizer(str(bert_vocab))
    texts = ["", "one", "one two three", "one two three four five six seven eight"]
    for max_length in range(3, 22):
        reference.enable_truncation(max_length)
        for a in texts:
            assert bert.encode(a, max_length=max_length).ids == reference.encode(a).ids
            for b in texts:
                expected = reference.encode(a, b)
                got = bert.encode(a, b, max_length=max_length)
                assert got == (expected.ids, expected.type_ids), (a, b, max_length)


# Cutting words


def test_the_longest_piece_wins_and_one_gap_makes_the_word_unknown() -> None:
    tokenizer = small("a", "ab", "abc", "##c", "##d", "##cd", "b")
    assert tokenizer.tokenize("abcd") == ["abc", "##d"]
    assert tokenizer.tokenize("abd") == ["ab", "##d"]
    assert tokenizer.tokenize("acd b") == ["a", "##cd", "b"]
    assert tokenizer.tokenize("abx b bb") == ["[UNK]", "b", "[UNK]"]


def test_a_word_of_more_than_100_characters_is_unknown() -> None:
    tokenizer = small("x", "##x")
    assert tokenizer.tokenize("x" * 100) == ["x", *["##x"] * 99]
    assert tokenizer.tokenize("x" * 101) == ["[UNK]"]


def test_special_tokens_in_the_text() -> None:
    tokenizer = small("the", "statement", "[", "]", "mask", "sep")
    encoded = tokenizer.encode("The [MASK] statement")
    assert encoded.ids == [tokenizer.cls_id, 5, tokenizer.mask_id, 6, tokenizer.sep_id]
    assert tokenizer.tokenize("the[MASK]the [SEP]") == ["the", "[MASK]", "the", "[SEP]"]
    assert tokenizer.tokenize("[PAD][UNK] [CLS]the[SEP]") == ["[PAD]", "[UNK]", "[CLS]", "the", "[SEP]"]
    assert tokenizer.tokenize("[mask] [[MASK]]") == ["[", "mask", "]", "[", "[MASK]", "]"]
    assert tokenizer.tokenize("[MASK]", specials=False) == ["[", "mask", "]"]
    assert tokenizer.encode("[SEP]", specials=False).ids == [2, 7, 10, 8, 3]


def test_ids_of_special_tokens_wherever_they_stand() -> None:
    vocab = ["x", "[SEP]", "[UNK]", "y", "[MASK]", "[PAD]", "[CLS]"]
    tokenizer = WordPieceTokenizer(vocab)
    named = (tokenizer.pad_id, tokenizer.unk_id, tokenizer.cls_id, tokenizer.sep_id, tokenizer.mask_id)
    assert named == (5, 2, 6, 1, 4)
    assert sorted(tokenizer.special_ids) == [1, 2, 4, 5, 6]
    assert tokenizer.vocab == vocab
    assert tokenizer.vocab_size == 7
    assert repr(tokenizer) == "WordPieceTokenizer(7 pieces, uncased)"


def test_a_dictionary_of_words_changes_nothing(tokenizer: WordPieceTokenizer, english: str) -> None:
    seen: dict[str, list[int]] = {}
    first = tokenizer.encode_plain(english, seen=seen)
    assert len(seen) > 20
    kept = {word: list(ids) for word, ids in seen.items()}
    first_copy = list(first)
    first[:] = [0] * len(first)  # what was returned is the caller's
    assert tokenizer.encode_plain(english, seen=seen) == first_copy == tokenizer.encode_plain(english)
    assert seen == kept


def test_threads_share_a_tokenizer(tokenizer: WordPieceTokenizer) -> None:
    texts = nasty_lines(400)
    alone = [tokenizer.encode(text) for text in texts]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(tokenizer.encode, texts * 4)) == alone * 4


def test_fast_enough(tokenizer: WordPieceTokenizer, english: str) -> None:
    text = english * 300
    start = time.perf_counter()
    count = len(tokenizer.encode_plain(text))
    assert count / (time.perf_counter() - start) > 50_000  # about two million on a quiet core


# Pairs, lengths


def test_pairs_and_segments() -> None:
    tokenizer = small("a", "b")
    assert tokenizer.encode("a a", "b") == ([2, 5, 5, 3, 6, 3], [0, 0, 0, 0, 1, 1])
    assert tokenizer.encode("a", "") == ([2, 5, 3, 3], [0, 0, 0, 1])
    assert tokenizer.encode("") == ([2, 3], [0, 0])


@settings(deadline=None)
@given(st.integers(0, 12), st.integers(0, 12), st.integers(3, 30))
def test_truncation_takes_from_the_longer(n_a: int, n_b: int, max_length: int) -> None:
    tokenizer = small("a", "b")
    ids, segments = tokenizer.encode("a " * n_a, "b " * n_b, max_length=max_length)
    left_a, left_b = ids.count(5), ids.count(6)
    assert len(ids) == len(segments) == min(max_length, n_a + n_b + 3)
    assert ids == [2, *[5] * left_a, 3, *[6] * left_b, 3]
    if left_a < n_a and left_b < n_b:
        assert abs(left_a - left_b) <= 1
    elif left_a < n_a:
        assert left_a >= left_b - 1
    elif left_b < n_b:
        assert left_b >= left_a - 1


def test_max_length_without_room() -> None:
    tokenizer = small("a")
    assert tokenizer.encode("a a", max_length=2).ids == [2, 3]
    with pytest.raises(ValueError, match=r"encode: max_length: expected at least 2, .* got 1"):
        tokenizer.encode("a", max_length=1)
    with pytest.raises(ValueError, match=r"encode: max_length: expected at least 3, .* got 2"):
        tokenizer.encode("a", "a", max_length=2)


# Back


@pytest.mark.extra
def test_decode_reads_well(bert: WordPieceTokenizer) -> None:
    text = "well, it isn't (really) hard: unaffable people - 3.14 of them - said so! 中文，字。"
    bert_text = text.replace("字", "人")
    assert bert.decode(bert.encode(bert_text).ids) == bert_text
    ids = bert.encode("the [MASK] cat").ids
    assert bert.decode(ids) == "the cat"
    assert bert.decode(ids, skip_special=False) == "[CLS] the [MASK] cat [SEP]"
    assert bert.decode(np.array(ids, dtype=np.int32)) == "the cat"
    assert bert.decode([]) == ""
    assert bert.decode(bert.encode_plain("# ## #x")) == "# # # # x"


def test_decode_refuses_an_id_that_is_none() -> None:
    for wrong in (-1, 6):
        with pytest.raises(ValueError, match=rf"decode: ids: expected ids in \[0, 6\), got {wrong}"):
            small("a").decode([5, wrong])


@settings(deadline=None)
@given(ANY_TEXT)
def test_total(tokenizer: WordPieceTokenizer, text: str) -> None:
    ids, segments = tokenizer.encode(text, text)
    assert len(ids) == len(segments)
    assert all(0 <= i < tokenizer.vocab_size for i in ids)
    assert tokenizer.tokenize(text) == [tokenizer.vocab[i] for i in tokenizer.encode_plain(text)]
    tokenizer.decode(ids)


@settings(deadline=None)
@given(ASCII_TEXT)
@example("a . 5 3.5 3 . 5 isn't it ' s ( x ) [ y ] 50 %")
def test_decode_keeps_every_character_of_a_known_alphabet(tokenizer: WordPieceTokenizer, text: str) -> None:
    ids = tokenizer.encode_plain(text, specials=False)
    assert tokenizer.unk_id not in ids
    back = tokenizer.decode(ids)
    assert "".join(back.split()) == "".join(split_words(text))
    assert tokenizer.encode_plain(back, specials=False) == ids  # no blank that parts words is lost


# Files


def test_save_and_read_back(tokenizer: WordPieceTokenizer, english: str, tmp_path: Path) -> None:
    path = tmp_path / "vocab.txt"
    tokenizer.save(path)
    back = WordPieceTokenizer.from_file(path)
    assert back.vocab == tokenizer.vocab
    assert back.encode(english) == tokenizer.encode(english)
    assert path.read_bytes().endswith(b"\n")
    assert b"\r" not in path.read_bytes()
    assert [p.name for p in tmp_path.iterdir()] == ["vocab.txt"]  # nothing temporary is left


def test_a_write_that_fails_leaves_the_old_file(
    tokenizer: WordPieceTokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "vocab.txt"
    path.write_text("old", encoding="utf-8")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        tokenizer.save(path)
    assert path.read_text(encoding="utf-8") == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["vocab.txt"]


def test_vocab_with_windows_line_ends_and_mark(tmp_path: Path) -> None:
    path = tmp_path / "vocab.txt"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join([*SPECIAL_TOKENS, "é"]).encode())
    assert WordPieceTokenizer.from_file(path, lowercase=False).vocab == [*SPECIAL_TOKENS, "é"]


HEAD = "".join(token + "\n" for token in SPECIAL_TOKENS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (HEAD.encode() + b"a\nb\na\n", r"line 8: the piece 'a' for the second time"),
        (HEAD.encode() + b"a\n\nb\n", r"line 7: expected a piece, got nothing"),
        (b"[PAD]\n[UNK]\n[CLS]\na\n", r"no special token \[SEP\], \[MASK\] among its 4 pieces"),
        (b"", r"line 1: expected a piece, got nothing"),
        (HEAD.encode() + b"caf\xe9\n", r"not UTF-8 at byte 34"),
    ],
)
def test_malformed_vocab(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "vocab.txt"
    path.write_bytes(content)
    with pytest.raises(CorpusError, match=rf"vocab\.txt: {message}") as caught:
        WordPieceTokenizer.from_file(path)
    assert "\n" not in str(caught.value)


def test_vocab_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"missing\.txt: No such file"):
        WordPieceTokenizer.from_file(tmp_path / "missing.txt")


@pytest.mark.parametrize(
    ("vocab", "message"),
    [
        ([*SPECIAL_TOKENS, "a", "a"], "for the second time, ids 5 and 6"),
        (["a"], "no special token"),
        ([*SPECIAL_TOKENS, "a\nb"], "a line break in"),
        ([*SPECIAL_TOKENS, 7], "expected strings, got 7"),
    ],
)
def test_bad_vocabulary(vocab: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=f"WordPieceTokenizer: vocab: .*{message}"):
        WordPieceTokenizer(vocab)
