"""Formats are told by content: wrong names do not mislead, and lines without columns are no table."""

from __future__ import annotations

import pytest

from npformer.text.labelled.formats import tell_delimiter, tell_format

# lines, task and the format they have, whatever the file is called
CONTENT = {
    "tabs": ("ham\tSee you, later\nspam\tWin, win, win", "classify", "tsv"),
    "tabs, one comma each": ("ham\tHi, you\nham\tYes, me", "classify", "tsv"),
    "a comma in every text": ("a, b\tx\nc, d\ty\ne, f\nf, g\tz", "classify", "tsv"),
    "most have tabs": ("ham\tHi\nspam\nham\tYes", "classify", "tsv"),
    "braces in a text": ("{a}\tx\n{b}\ty", "classify", "tsv"),
    "commas": ('text,label\n"a, b",x\nc,y', "classify", "csv"),
    "commas, a newline": ('text,label\n"a\n\nb",x\nc,y', "classify", "csv"),
    "semicolons": ("text;label\na, b, c;x\nc;y", "classify", "csv"),
    "tabs in a text of commas": ('"a\tb",x\n"c",y\n"d",z', "classify", "csv"),
    "objects": ('{"text": "a\\tb, c", "label": "x"}\n{"text": 1}\n{broken', "classify", "jsonl"),
    "two broken ones": ('{"text": "a"}\n{"text": "b"}\n{"text": "c"}\n{"text: "b"}\n{}', "classify", "jsonl"),
    "objects of Python": ("{'text': 'a', 'label': 'x'}\n{'text': 'b', 'label': 'y'}", "classify", "jsonl"),
    "words and blanks": ("EU B-org\nvotes O\n\n, O", "tag", "conll"),
    "words and tabs": ("EU\tNNP\tB-org\nvotes\tVBZ\tO", "tag", "conll"),
    "tags with commas": ("EU a,b\nvotes c,d\n\nso e,f", "tag", "conll"),
    "words with a blank": ("10 000\tNUM\nmen\tNOUN\nvoted\tVERB", "tag", "conll"),
    "a header of words": ("word\tpos\nEU\tNNP", "tag", "conll"),
    "a header of a sentence's": ("tokens\ttags\nEU\tNNP", "tag", "tsv"),
    "sentences in a table": ("EU votes\tB-org O\nso\tO\nthey say\tO O", "tag", "tsv"),
    "sentences in CSV": ("tokens,tags\nEU votes,B-org O\nthey say,O O", "tag", "csv"),
    "comments": ("# text = so it is\n# id = 1\nso\tADV\n\n# id = 2\nyes\tINTJ", "tag", "conll"),
    "documents": ("-DOCSTART- -X- O\n\nEU NNP B-org", "tag", "conll"),
    "sentences of objects": ('{"tokens": ["a"], "tags": ["O"]}', "tag", "jsonl"),
}


@pytest.mark.parametrize("what", CONTENT)
def test_content_tells(what):
    content, task, expected = CONTENT[what]
    names = ["a.txt", "a.tsv", "a.csv", "a.jsonl", "<stdin>"]
    if task != "tag":  # a word a line is a matter of names where a file has one line
        names.append("a.conll")
    assert {tell_format(content.split("\n"), name, task) for name in names} == {expected}


def test_the_name_decides_where_content_does_not():
    lines = ["ham\tHi", "spam", "yes"]
    assert tell_format(lines, "a.tsv", "classify") == "tsv"
    assert tell_format(lines, "a.CSV", "classify") == "csv"
    assert tell_format(["{", "{x", "{"][1:], "a.txt", "classify") == "jsonl"
    assert tell_format(["tokens\ttags", "so\tO"], "a.bio", "tag") == "conll"


def test_delimiters():
    assert tell_delimiter(["a,1", "b,2"]) == ","
    assert tell_delimiter(["a, b, c;1", "b;2"]) == ";"


def test_what_is_none_of_them(refused):
    prose = "one sentence , and more\nanother one\nand , so , on\nto the end\n"
    assert refused(prose, "classify") == "a.txt: expected TSV, CSV, JSONL or CoNLL, got lines without columns"
    for document in ('[{"text": "a"}]', '[\n  {"text": "a"}\n]', '\n{\n"text": "a"\n}'):
        line = 1 + document.startswith("\n")
        assert refused(document, "classify", name="a.json") == (
            f"a.json:{line}: expected JSONL, an object on each line, got one JSON document"
        )
