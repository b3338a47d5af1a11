"""Whole files: every bad row is named by its line, skipped ones are counted, what was told is said."""

from __future__ import annotations

import io
import sys

import pytest

from npformer.text import CorpusError
from npformer.text.labelled import Example, read_examples

CLASSIFY = [("ham", "See you later"), ("spam", "Win a prize"), ("ham", "On my way"), ("ham", "Call me")]
TSV = "".join(f"{label}\t{text}\n" for label, text in CLASSIFY)
CSV = "text,label\n" + "".join(f'"{text}",{label}\n' for label, text in CLASSIFY)
TAGGED = '{"tokens": ["a"], "tags": ["O"]}\n'
SCORED = '{"text": "a", "score": -1.5}\n'
JSONL = "".join(f'{{"text": "{text}", "label": "{label}"}}\n' for label, text in CLASSIFY)

# what is wrong -> content, task, message; each with good rows around the bad one
BAD = {
    "TSV: a missing column": (
        TSV + "ham\n" + TSV, "classify", "a.txt:5: expected 2 columns, got 1"),
    "TSV: a column too many": (
        TSV + "ham\thi\tthere\n", "classify", "a.txt:5: expected 2 columns, got 3"),
    "TSV: an empty text": (
        TSV + "ham\t \n", "classify", "a.txt:5: expected a text, got an empty one"),
    "TSV: an empty label": (TSV + "\thi\n", "classify", "a.txt:5: expected a label, got an empty one"),
    "TSV: an empty line": (TSV + "\n" + TSV, "classify", "a.txt:5: expected an example, got an empty line"),
    "TSV: no number": (
        "a\t1\nb\t2.5\nc\tx\n", "regress", "a.txt:3: expected a number as label, got 'x'"),
    "TSV: no number at all": (
        "a\t1\nb\t2.5\nc\t\n", "regress", "a.txt:3: expected a number as label, got an empty one"),
    "TSV: not a number": (
        "a\t1\nb\tnan\nc\t2\n", "regress", "a.txt:2: expected a number as label, got 'nan'"),
    "TSV: infinity": (
        "text\tscore\na\t1\nb\t-inf\n", "regress", "a.txt:3: expected a number as label, got '-inf'"),
    "TSV: an overflow": (
        "text\tscore\na\t1\nb\t1e999\n", "regress", "a.txt:3: expected a number as label, got '1e999'"),
    "TSV: too few tags": (
        "tokens\ttags\na\tD\nthe dog runs\tD N\n", "tag",
        "a.txt:3: expected 3 tags, one for each word, got 2"),
    "TSV: too many tags": (
        "tokens\ttags\na\tD\ndogs\tN V\n", "tag", "a.txt:3: expected 1 tag, one for each word, got 2"),
    "TSV: no target": (
        "one\tuno\ntwo\t\n", "seq2seq", "a.txt:2: expected a text as target, got an empty one"),
    "CSV: a missing column": (
        CSV + "hi\n", "classify", "a.txt:6: expected 2 columns, got 1"),
    "CSV: after a row of three lines": (
        CSV + '"one\ntwo\nthree",ham\nhi\n', "classify", "a.txt:9: expected 2 columns, got 1"),
    "CSV: an empty text of three lines": (
        CSV + '" \n\n",ham\n' + CSV, "classify",
        "a.txt:6: expected a text, got an empty one"),
    "CSV: text after a quote": (
        CSV + '"hi" there,ham\n', "classify",
        "a.txt:6: expected ',' after a closing quote, got text (line 6)"),
    "CSV: text after a quote, two lines on": (
        CSV + '"hi\nyou\nthere" x,ham\n', "classify",
        "a.txt:6: expected ',' after a closing quote, got text (line 8)"),
    "CSV: no closing quote": (
        CSV + '"hi,ham\nyes,ham\n', "classify",
        "a.txt:6: expected a closing quote, got none up to line 7"),
    "CSV: a field without end": (
        CSV + '"hi,ham\n' + "x" * 200_000 + "\n", "classify",
        "a.txt:6: expected a closing quote within 131,072 characters, got none up to line 7"),
    "CSV: an empty line": (
        CSV + "\nhi,ham\n", "classify", "a.txt:6: expected an example, got an empty line"),
    "JSONL: a missing field": (
        JSONL + '{"text": "hi", "lable": "ham"}\n', "classify",
        "a.txt:5: expected a field 'label', got 'text', 'lable'"),
    "JSONL: broken": (
        JSONL + '{"text": "hi", "label": }\n', "classify",
        "a.txt:5: expected a JSON object, got broken JSON (Expecting value, character 25)"),
    "JSONL: cut off": (
        JSONL + '{"text": "hi', "classify",
        "a.txt:5: expected a JSON object, got broken JSON (Unterminated string starting at, character 10)"),
    "JSONL: no object": (JSONL + "[1]\n", "classify", "a.txt:5: expected a JSON object, got [1]"),
    "JSONL: brackets without end": (
        JSONL + '{"text": ' + "[" * 100_000 + "\n", "classify",
        "a.txt:5: expected a JSON object, got what cannot be read (RecursionError)"),
    "JSONL: an empty line": (
        JSONL + "\n" + JSONL, "classify", "a.txt:5: expected a JSON object, got an empty line"),
    "JSONL: a label in half of the rows": (
        '{"text": "a", "label": "x"}\n{"text": "b"}\n', "classify",
        "a.txt:2: expected a field 'label', got 'text'"),
    "JSONL: a field twice": (
        JSONL + '{"text": "a", "label": "x", "text": "b"}\n', "classify",
        "a.txt:5: expected each field once, got 'text' 2 times"),
    "JSONL: no label": (
        JSONL + '{"text": "hi", "label": null}\n', "classify", "a.txt:5: expected a label, got null"),
    "JSONL: an empty label": (
        JSONL + '{"text": "hi", "label": ""}\n', "classify", "a.txt:5: expected a label, got an empty one"),
    "JSONL: a text that is none": (
        JSONL + '{"text": 3, "label": "ham"}\n', "classify", "a.txt:5: expected a text, got 3"),
    "JSONL: half a character": (
        JSONL + '{"text": "hi \\ud83d", "label": "ham"}\n', "classify",
        "a.txt:5: expected a text, got half of a surrogate pair ('\\ud83d')"),
    "JSONL: not a number": (
        SCORED + '{"text": "a", "score": NaN}\n', "regress", "a.txt:2: expected a number as label, got nan"),
    "JSONL: true is no number": (
        SCORED + '{"text": "a", "score": true}\n', "regress",
        "a.txt:2: expected a number as label, got true"),
    "JSONL: too few tags": (
        TAGGED + '{"tokens": ["a", "b"], "tags": ["O"]}\n', "tag",
        "a.txt:2: expected 2 tags, one for each word, got 1"),
    "JSONL: an empty word": (
        TAGGED + '{"tokens": ["a", " "], "tags": ["O", "O"]}\n', "tag",
        "a.txt:2: expected a word, got an empty one (number 2)"),
    "JSONL: a tag that is none": (
        TAGGED + '{"tokens": ["a", "b"], "tags": ["O", null]}\n', "tag",
        "a.txt:2: expected a tag, got null (number 2)"),
    "JSONL: no words": (
        TAGGED + '{"tokens": [], "tags": []}\n', "tag", "a.txt:2: expected words, got none"),
    "JSONL: words that are none": (
        TAGGED + '{"tokens": {"a": 1}, "tags": []}\n', "tag",
        "a.txt:2: expected a list or a text as words, got {'a': 1}"),
    "CoNLL: no tag": (
        "EU B-org\nvotes O\n\nin O\nRome\nnow O\n", "tag", "a.txt:5: expected 2 columns, got 1"),
    "CoNLL: an empty tag": (
        "EU\tB-org\nvotes\t\n\nRome\tB-place\n", "tag", "a.txt:2: expected a tag in column 2, got ''"),
    "CoNLL: an empty word": (
        "EU\tB-org\nvotes\tO\n\n \tB-place\n", "tag", "a.txt:4: expected a word in column 1, got ' '"),
    "CoNLL: two bad lines in a sentence": (
        "EU B-org\nvotes\nfor O\nRome\n\nso O\n\nand O\n", "tag", "a.txt:2: expected 2 columns, got 1"),
    "CoNLL: a comment within a sentence": (
        "EU\tB-org\n# so\nvotes\tO\n\nin\tO\n", "tag", "a.txt:2: expected 2 columns, got 1"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_a_bad_row_is_refused_by_its_line(refused, what):
    content, task, message = BAD[what]
    assert refused(content, task) == message


# after a quote that is not closed, what is a row and what is not cannot be told
NOT_SKIPPED = {"CSV: no closing quote", "CSV: a field without end"}


@pytest.mark.parametrize("what", sorted(NOT_SKIPPED))
def test_an_open_quote_is_not_skipped(refused, what):
    content, task, message = BAD[what]
    assert refused(content, task, skip_bad=True) == message


@pytest.mark.parametrize("what", sorted(BAD.keys() - NOT_SKIPPED))
def test_a_bad_row_is_skipped_and_counted(write, what):
    content, task, message = BAD[what]
    path = write(content)
    found = read_examples(path, task, skip_bad=True)
    assert [line.replace(path, "a.txt") for line in found.skipped] == [message]
    assert found.about.endswith(", 1 bad row skipped")
    assert f": {len(found.examples)} example" in found.about


# bytes that are not UTF-8, as they are in a file of which the other lines are
LATIN = {
    "TSV": (
        "ham\tcafé\n" + TSV, b"spam\tcaf\xe9\n",
        "a.txt:6: expected UTF-8, got byte 0xe9 (byte 9 of the line)"),
    "CSV": (
        CSV, b'"one\ntwo\nth\xffree",ham\n', "a.txt:8: expected UTF-8, got byte 0xff (byte 3 of the line)"),
    "JSONL": (
        JSONL, b'{"text": "\xc3\xa9\xe9", "label": "ham"}\n',
        "a.txt:5: expected UTF-8, got byte 0xe9 (byte 13 of the line)"),
    "CoNLL": (
        "EU\tB-org\nvotes\tO\n\n", b"in\tO\nS\xe3o\tB-place\n",
        "a.txt:5: expected UTF-8, got byte 0xe3 (byte 2 of the line)"),
}  # fmt: skip


@pytest.mark.parametrize("format", LATIN)
def test_mixed_encodings(refused, write, format):
    good, bad, message = LATIN[format]
    task = "tag" if format == "CoNLL" else "classify"
    content = good.encode() + bad + (b"\n" if task == "tag" else b"")
    more = good.removeprefix("text,label\n").encode()
    assert refused(content + more, task) == message
    found = read_examples(write(content + more), task, skip_bad=True)
    assert [line.rpartition("/")[2] for line in found.skipped] == [message]
    assert found.examples[: len(found.examples) // 2] == read_examples(write(good), task).examples


def test_bytes_that_are_no_text(refused):
    assert refused(b"\xff\xfea\0", "classify") == "a.txt: UTF-16 or UTF-32 text, expected UTF-8"
    assert "a binary file (byte 0x00 at offset 2 (line 1))" in refused(b"a\t\0", "classify")
    assert refused("", "classify") == "a.txt: the file is empty"
    assert refused(" \n\n", "classify") == "a.txt: the file has nothing but white space"
    header = b"t\xe9xt\tlabel\nhi\tham\n"
    assert "a.txt:1: expected UTF-8, got byte 0xe9" in refused(header, "classify", columns="text=1,label=2")


def test_a_header_alone_is_no_example(refused):
    assert refused("text\tlabel\n", "classify") == "a.txt: expected an example, got none"
    assert refused("# a comment\n", "tag", format="conll").startswith("a.txt: expected a word and its tag")
    assert refused("-DOCSTART- O\n\nword\ttag\n", "tag") == "a.txt: expected an example, got none"


def test_the_number_of_bad_rows_is_said(refused, write):
    bad = TSV + "ham\nham\t\n\thi\n"
    assert refused(bad, "classify") == "a.txt:5: expected 2 columns, got 1 (2 more bad after it)"
    found = read_examples(write(bad), "classify", skip_bad=True)
    assert [line.split(":")[1] for line in found.skipped] == ["5", "6", "7"]
    assert found.about.endswith("4 examples, 3 bad rows skipped")


def test_no_row_is_left(refused):
    nothing = "a.txt: expected an example, got none (2 bad rows, the first a.txt:1: expected "
    assert refused("a\tx\nb\ty\n", "regress", columns="text=1,label=2", skip_bad=True) == (
        nothing + "a number as label, got 'x')"
    )
    assert refused("{\n[\n", "tag", format="jsonl", skip_bad=True).startswith(nothing + "a JSON object")


def test_where_an_example_is(write):
    path = write('text,label\n"one\ntwo",a\nthree,b\n')
    assert read_examples(path, "classify").examples == [
        Example(("one\ntwo",), "a", None, f"{path}:2"),
        Example(("three",), "b", None, f"{path}:4"),
    ]
    path = write("# a comment here\nEU B-org\nvotes O\n\n\n-DOCSTART- O\n\nRome B-place\n")
    assert [item.where for item in read_examples(path, "tag").examples] == [f"{path}:2", f"{path}:8"]


def test_what_is_told_is_said(write):
    def about(content, task, name="a.txt", **options):
        path = write(content, name)
        return read_examples(path, task, **options).about.removeprefix(f"{path}: ")

    assert about(TSV, "classify") == "TSV, no header, text in column 2, label in column 1: 4 examples"
    assert about(CSV, "classify", "a.tsv") == (
        "CSV (whatever its name says), a header, text in 'text', label in 'label': 4 examples"
    )
    assert about("a;1\nb;2\n", "regress") == (
        "CSV with semicolons, no header, text in column 1, label in column 2: 2 examples"
    )
    assert about(JSONL, "classify") == "JSONL, text in 'text', label in 'label': 4 examples"
    scored = about("a\tb\t1\nc\td\t.5\n", "similarity")
    assert scored.endswith("label in column 3, labels are numbers: 2 examples")
    assert about("# newpar\na I-x\nb O\n\nc I-x\n", "tag") == (
        "CoNLL, words in column 1, tags in column 2, 1 comment, tags are BIO (2 entities begin with I-): "
        "2 examples"
    )
    plain = "CoNLL, words in column 1, tags in column 2, tags are plain: 1 example"
    assert about("a\tN\n", "tag", "a.tsv") == plain
    assert about("word,tag\na,N\nb,V\n", "tag").endswith("tags are plain, one word in each: 2 examples")


@pytest.mark.parametrize(("content", "task"), [(TSV, "classify"), (CSV, "classify"), (JSONL, "classify")])
def test_line_ends_and_a_byte_order_mark(write, content, task):
    path = write(content)
    plain = read_examples(path, task)
    for end in ("\r\n", "\r"):
        write("\ufeff" + content.replace("\n", end))
        assert read_examples(path, task) == plain


def test_a_second_file_is_read_as_the_first(write):
    train = read_examples(write(TSV), "classify")
    dev = write("spam\tHi\n", "dev.txt")
    assert read_examples(dev, "classify").examples[0].label == "Hi"  # it does not tell by itself
    found = read_examples(dev, "classify", columns=train.columns, format=train.format)
    assert found.examples == [Example(("Hi",), "spam", None, f"{dev}:1")]


def test_a_second_file_that_tells_its_columns_is_read_by_them(write):
    train = read_examples(write(TSV), "classify")
    assert train.columns == "text=2,label=1"
    dev = write("text\tlabel\nHi\tspam\n", "dev.txt")
    found = read_examples(dev, "classify", like=train.columns, format=train.format)
    assert found.examples == [Example(("Hi",), "spam", None, f"{dev}:2")]
    for header in ("", "klasse\ttext\n"):  # no header, or one that does not tell them
        dev = write(header + "spam\tHi\n", "dev.txt")
        found = read_examples(dev, "classify", like=train.columns, format=train.format)
        assert found.examples[-1][:2] == (("Hi",), "spam")
        assert len(found.examples) == 1
    said = read_examples(dev, "classify", columns="text=1,label=2", like=train.columns)
    assert said.examples[0].label == "Hi"


@pytest.mark.parametrize("format", ["tsv", "jsonl"])
def test_names_of_the_first_file_are_those_of_a_second_that_has_them(write, format):
    def file(names, values, name):
        rows = [names, values]
        if format == "jsonl":
            fields = ", ".join(f'"{a}": "{b}"' for a, b in zip(*rows, strict=True))
            return write(f"{{{fields}}}\n", name)
        return write("".join("\t".join(row) + "\n" for row in rows), name)

    train = read_examples(file(["review", "topic"], ["so", "x"], "a.txt"), "classify")
    for third, label in (("review", "y"), ("comment", "b")):  # the names of the first, or its own
        dev = file(["topic", "label", third], ["y", "b", "c"], "b.txt")
        found = read_examples(dev, "classify", like=train.columns, format=format).examples[0]
        assert (found.label, found.texts) == (label, ("c",))
    other = file(["a title", "kind"], ["so", "y"], "b.txt")
    with pytest.raises(CorpusError, match="expected a (column named|field) 'review'"):
        read_examples(other, "classify", like=train.columns, format=format)


def test_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TSV.encode() + b"ham\n")))
    with pytest.raises(CorpusError, match=r"^<stdin>:5: expected 2 columns, got 1$"):
        read_examples("-", "classify")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TSV.encode())))
    found = read_examples("-", "classify")
    assert found.examples[3] == Example(("Call me",), "ham", None, "<stdin>:4")
    assert found.about.startswith("<stdin>: TSV")
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(CorpusError, match="standard input is closed"):
        read_examples("-", "classify")


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(CorpusError, match="none.tsv: No such file"):
        read_examples(tmp_path / "none.tsv", "classify")
    with pytest.raises(CorpusError, match="not a regular file"):
        read_examples(tmp_path, "classify")


def test_tasks_and_formats_that_do_not_exist(write):
    path = write(TSV)
    with pytest.raises(ValueError, match="task: expected one of classify, .*, got 'translate'"):
        read_examples(path, "translate")
    with pytest.raises(ValueError, match="format: expected one of tsv, csv, jsonl, conll, got 'xml'"):
        read_examples(path, "classify", format="xml")
    with pytest.raises(CorpusError, match="expected TSV, CSV or JSONL for classify, got CoNLL"):
        read_examples(path, "classify", format="conll")
