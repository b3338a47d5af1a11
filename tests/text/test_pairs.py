"""Pairs: every line is one or is named; the held-out part shares nothing; rows hold both sides."""

from __future__ import annotations

import pytest

from npformer.text import CharacterTokenizer, CorpusError, Pair, pair_rows, read_pairs, split_pairs


def write(tmp_path, **files):
    for name, text in files.items():
        (tmp_path / f"{name}.txt").write_bytes(text.encode())
    return [str(tmp_path / f"{name}.txt") for name in files]


def test_one_file_and_two(tmp_path):
    paths = write(
        tmp_path, a="one\tuno\r\ntwo \t dos\n", b="one\ntwo\n", c="uno\ndos", d="1\tone\tuno\n2\ttwo\tdos\n"
    )
    pairs = [Pair("one", "uno"), Pair("two", "dos")]
    assert read_pairs(paths[0]) == read_pairs(paths[1:3]) == read_pairs(paths[3], (2, 3)) == pairs
    assert read_pairs(paths[3], (3, 2))[0] == Pair("uno", "one")


BAD = {
    "no tab": ("a\tb\nc\n", None, "a.txt: line 2: expected a source, a tab and a target, got no tab"),
    "no target": ("a\tb\nc\t \n", None, "a.txt: line 2: a source without a target"),
    "no source": ("\tb\n", None, "a.txt: line 1: a target without a source"),
    "empty line": ("a\tb\n\nc\td\n", None, "a.txt: line 2: .* got an empty line"),
    "three columns": ("a\tb\tc\n", None, r"line 1: .* got 3 columns \(--columns 1,2 says which\)"),
    "no such column": ("a\tb\tc\nd\te\n", (2, 3), "line 2: expected a column 3, got 2"),
    "an empty file": ("", None, "a.txt: the file is empty"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_lines_are_named(tmp_path, name):
    text, columns, message = BAD[name]
    with pytest.raises(CorpusError, match=message):
        read_pairs(write(tmp_path, a=text), columns)


def test_bad_pairs_of_files(tmp_path):
    a, b, c = write(tmp_path, a="1\n2\n", b="1\n2\n3\n", c="1\n\n")
    with pytest.raises(CorpusError, match="b.txt: expected 2 lines as .*a.txt has, got 3: no parallel files"):
        read_pairs([a, b])
    with pytest.raises(CorpusError, match="c.txt: line 2: a source without a target"):
        read_pairs([a, c])
    with pytest.raises(CorpusError, match="c.txt: line 2: expected a source and a target, got neither"):
        read_pairs([c, c])
    with pytest.raises(ValueError, match=r"columns: expected numbers from 1, got \(0, 1\)"):
        read_pairs(a, (0, 1))
    with pytest.raises(CorpusError, match="columns: expected one file"):
        read_pairs([a, a], (1, 2))
    with pytest.raises(CorpusError, match="got 3"):
        read_pairs([a, a, a])


def test_what_is_held_out_shares_no_side():
    pairs = [Pair(f"s{i % 40}", f"t{i % 60}") for i in range(200)]
    train, held = split_pairs([*pairs, *(Pair(f"u{i}", f"v{i}") for i in range(300))])
    assert held
    assert not {pair.source for pair in held} & {pair.source for pair in train}
    assert not {pair.target for pair in held} & {pair.target for pair in train}
    assert split_pairs(pairs[:20], 0.1, tail=True) == (pairs[:18], pairs[18:20])
    with pytest.raises(CorpusError, match="too few pairs"):
        split_pairs([Pair("a", "b")] * 20)
    with pytest.raises(ValueError, match="expected a share between 0 and 1, got 1"):
        split_pairs(pairs, 1.0)


def test_rows_and_what_does_not_fit():
    tokenizer = CharacterTokenizer.train(["abc"])
    pairs = [Pair("a", "bbbb"), Pair("abc", "c"), Pair("a", "bbb")]
    a, b, c = (tokenizer.encode_plain(x)[0] for x in "abc")
    assert list(pair_rows(pairs, tokenizer, 5)) == [
        [2, a, 3, 0, 0, 2, b, b, b, b, 3],
        [2, a, b, c, 3, 2, c, 3, 0, 0, 0],
        [2, a, 3, 0, 0, 2, b, b, b, 3, 0],
    ]
    assert len(list(pair_rows(pairs, tokenizer, 4))) == 1  # a source of 5 tokens, a target of 6
