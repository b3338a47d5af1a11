"""Tables: headers are found and not mistaken, columns are taken by number and by name."""

from __future__ import annotations

import pytest

from npformer.text.labelled import read_examples
from npformer.text.labelled.table import csv_rows, has_header

HEADERS = {
    "two known names": ([["Text", "LABEL"]], True),
    "two known of three": ([["id", "text", "label"], ["1", "a", "x"]], True),
    "one, and nothing again": ([["text", "is_spam"], ["a", "1"], ["b", "1"]], True),
    "one, but a label that comes again": ([["spam", "message"], ["spam", "hi"], ["ham", "so"]], False),
    "one, but a text of several words": ([["question", "How are you"], ["order", "Tea"]], False),
    "two known that do not tell": ([["text", "date", "comment"], ["a", "1", "b"]], True),
    "two known, one a label that comes again": (
        [["review", "negative"], ["film", "positive"], ["plot", "negative"]], False),
    "two known that tell, whatever comes again": ([["text", "label"], ["a", "label"]], True),
    "one alone": ([["text", "spam"]], False),
    "none": ([["ham", "hi"], ["spam", "so"]], False),
}  # fmt: skip


@pytest.mark.parametrize("what", HEADERS)
def test_headers(what):
    rows, expected = HEADERS[what]
    assert has_header(rows, "classify") == has_header(rows, "texts of classify") == expected


@pytest.mark.parametrize("name", ["h.csv", "h.tsv"])
def test_an_example_of_known_names_is_not_lost(write, name):
    rows = [("review", "negative"), ("film", "positive"), ("plot", "negative"), ("so so", "positive")]
    between = "," if name.endswith("csv") else "\t"
    path = write("".join(f"{text}{between}{label}\n" for text, label in rows), name)
    found = read_examples(path, "classify", columns="text=1,label=2")
    assert [(example.texts[0], example.label) for example in found.examples] == rows
    assert ", no header, " in found.about


def test_columns_by_number_and_name(write):
    path = write("id\tintent\tutterance\n1\tbuy\tTea, please\n2\task\tWhen?\n")
    by_default = read_examples(path, "classify")
    assert [(item.texts, item.label) for item in by_default.examples] == [
        (("Tea, please",), "buy"),
        (("When?",), "ask"),
    ]
    for columns in ("text=utterance,label=intent", "label=2,text=3", "text=Utterance,label=2"):
        found = read_examples(path, "classify", columns=columns)
        assert found == by_default
        assert found.columns == "text=utterance,label=intent"
    swapped = read_examples(path, "classify", columns="text=intent,label=id")
    assert [item.label for item in swapped.examples] == ["1", "2"]


def test_a_header_of_unknown_names_is_one_if_it_is_named(write):
    path = write("wort;art\nTee;n\nklein;a\n")
    found = read_examples(path, "classify", columns="text=wort,label=art")
    assert [item.where for item in found.examples] == [f"{path}:2", f"{path}:3"]


def test_names_that_cannot_be_said_become_numbers(write):
    path = write('"text, as it is",id,label,label,text\nhi,1,x,y,so\n')
    for columns in ("text=1,label=3", "text=1,label=2", "text=5,label=4"):
        found = read_examples(path, "classify", columns=columns)
        assert "a header" in found.about
        assert found.columns == columns.replace("2", "id").replace("5", "text")
    path = write("text\t2\nhi\tx\n")
    assert read_examples(path, "classify", columns="text=text,label=2").columns == "text=text,label=2"


def test_quotes_are_characters_in_tsv(write):
    path = write('text\tlabel\n"so\tx\nhe said "no"\ty\n')
    assert [item.texts[0] for item in read_examples(path, "classify").examples] == ['"so', 'he said "no"']


def test_quotes_in_csv(write):
    path = write('text,label\n"he said ""no"", twice",x\n5" wide,"y"\n"\n\n a\n",z\n')
    found = read_examples(path, "classify").examples
    assert [(item.texts[0], item.label, item.where[-1]) for item in found] == [
        ('he said "no", twice', "x", "2"),
        ('5" wide', "y", "3"),
        ("a", "z", "4"),
    ]
    assert [row.line for row in csv_rows(['a,"', '"', 'b,"c', 'd"', "e,f"], "a.csv", ",")] == [1, 3, 5]


REFUSED = {
    "no such number": (
        "a\tb\n", {"columns": "text=1,label=3"}, "a.txt:1: expected a column 3, got 2 columns"),
    "no such name": (
        "text\tlabel\na\tb\n", {"columns": "text=text,label=intent"},
        "a.txt:1: expected a column named 'intent' in the header, got 'text', 'label'"),
    "a name twice": (
        "text,label,label\na,b,c\n", {"columns": "text=text,label=label"},
        "a.txt:1: expected a column named 'label' in the header, got 'text', 'label', 'label'"),
    "one column twice": (
        "text,label\na,b\n", {"columns": "text=text,label=1"},
        "a.txt:1: expected two columns, got one twice (text=text,label=1)"),
    "three columns": (
        "a\tb\tc\n", {},
        "a.txt:1: expected columns for classify, got 3 columns without a header "
        "(say which: --columns text=1,label=2, with your numbers or names)"),
    "a header without a label": (
        "text\tid\ttitle\na\tb\tc\n", {},
        "a.txt:1: expected columns for classify, got 'text', 'id', 'title' "
        "(say which: --columns text=1,label=2, with your numbers or names)"),
    "a header of another width": (
        "text,label,id\na,b\nc,d\n", {"columns": "text=text,label=label"},
        "a.txt:1: expected 2 columns in the header, got 3"),
    "a blank line before the header": (
        "\ntext,label\na,b\n", {}, "a.txt:1: expected an example, got an empty line"),
}  # fmt: skip


def test_a_bad_row_before_the_header_is_left_out(write):
    found = read_examples(write("\ntext,label\na,b\n"), "classify", skip_bad=True)
    assert [(item.texts, item.label) for item in found.examples] == [(("a",), "b")]
    assert [line.split(":", 1)[1] for line in found.skipped] == ["1: expected an example, got an empty line"]


@pytest.mark.parametrize("what", REFUSED)
def test_columns_that_are_not_there(refused, what):
    content, options, message = REFUSED[what]
    assert refused(content, "classify", **options) == message


@pytest.mark.parametrize(
    ("task", "columns"),
    [("pair", "text1=2,text2=3,label=1"), ("regress", "text1=2,text2=3,label=1"), ("similarity", None)],
)
def test_two_texts(write, task, columns):
    path = write("0\tone\tuno\n1\ttwo\tdos\n")
    found = read_examples(path, task, columns=columns).examples
    assert [item.texts for item in found] == [("one", "uno"), ("two", "dos")]
    assert [item.label for item in found] == (["0", "1"] if task == "pair" else [0.0, 1.0])


def test_hard_negatives_and_sides(write):
    path = write("one\tuno\tdos\ntwo\tdos\ttres\n")
    for task, columns, texts in (
        ("similarity", None, ("one", "uno", "dos")),
        ("similarity", "text1=2,text2=1", ("uno", "one")),
        ("seq2seq", "source=1,target=3", ("one", "dos")),
    ):
        first = read_examples(path, task, columns=columns).examples[0]
        assert (first.texts, first.label, first.words) == (texts, None, None)
