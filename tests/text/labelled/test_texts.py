"""Texts of labelled files, and lines of text that only look like them."""

from __future__ import annotations

import pytest

from npformer.text import CorpusError
from npformer.text.labelled.texts import tell_texts, texts_of


@pytest.mark.parametrize(
    ("lines", "name", "task", "told"),
    [
        (['{"text": "a"}'], "a.txt", "classify", "jsonl"),
        (["sentence1\tsentence2\tscore", "a\tb\t3"], "a.txt", "similarity", "tsv"),
        (["id\ttext", "1\ta"], "a.tsv", "classify", "tsv"),
        (["text;label", "a;b"], "a.csv", "classify", "csv"),
        (["text", '"a, ""b""', 'c"'], "a.csv", "classify", "csv"),
        (["prompt", "a"], "a.csv", "clm", "csv"),
        (["text", "a"], "a.tsv", "classify", "tsv"),
        (["EU B-x", "a O", "", "b O"], "a.txt", "tag", "conll"),
        (["EU B-x", "a O"], "a.conll", "tag", "conll"),
        # lines of text
        (["text, label", "a, b"], "a.txt", "classify", None),
        (["a, b", "c, d"], "a.csv", "classify", None),
        (["one\ttwo", "three\tfour"], "a.tsv", "pair", None),
        (["{a}", "{b}"], "a.jsonl", "classify", None),
        (["EU votes", "a word"], "a.txt", "tag", None),
        (["text", "a"], "a.txt", "classify", None),
        (["great", "text"], "a.csv", "classify", None),
        (["word", "a", "", "b"], "a.tsv", "tag", None),
    ],
)
def test_what_a_file_of_texts_is(lines, name, task, told):
    assert tell_texts(lines, name, task) == told
    assert (texts_of(lines, name, task) is None) == (told is None)


@pytest.mark.parametrize("name", ["source", "document", "dialogue", "prompt", "text"])
def test_a_source_is_known_without_its_target(name):
    for task in ("seq2seq", "clm"):
        assert texts_of([f'{{"{name}": "a"}}'], "a.jsonl", task).examples[0].texts == ("a",)
        lines = [f"id,{name}", '1,"a']
        assert texts_of([*lines, 'b"'], "a.csv", task).examples[0].texts == ("a\nb",)


def test_labels_are_not_looked_at():
    lines = ["label\tsentence2\tsentence1", "x\tb\ta", "\td\tc"]
    for task in ("pair", "regress", "similarity"):
        found = texts_of(lines, "a.tsv", task)
        assert [example.texts for example in found.examples] == [("a", "b"), ("c", "d")]
        assert {example.label for example in found.examples} == {None}
    tagged = texts_of(['{"tokens": ["a", "b"], "tags": ["X"]}'], "a.jsonl", "tag")
    assert tagged.examples[0].words == ("a", "b")
    numbers = ["3\ta text"]
    found = texts_of(numbers, "a.tsv", "regress", columns="label=1,text=2")
    assert found.examples[0].texts == ("a text",)
    words = texts_of(["1\tRome\tB-x", "2\twas\tO"], "a.txt", "tag", columns="words=2", format="conll")
    assert words.examples[0].words == ("Rome", "was")


def test_tags_that_are_empty_are_not_looked_at_either():
    found = texts_of(["Rome\t", "was\tO", "", "so\t "], "a.conll", "tag")
    assert [example.words for example in found.examples] == [("Rome", "was"), ("so",)]
    with pytest.raises(CorpusError, match="a.conll:2: expected a word in column 1, got ' '"):
        texts_of(["Rome\tO", " \tO"], "a.conll", "tag")


def test_a_poem_is_no_conll():
    poem = ["roses are red", "violets are blue", "", "sugar is sweet"]
    assert tell_texts(poem, "a.txt", "tag", {"O", "B-x"}) is None
    assert texts_of(poem, "a.txt", "tag", tags={"O", "B-x"}) is None
    assert tell_texts(["EU B-x", "a O", "", "b O"], "a.txt", "tag", {"O", "B-x"}) == "conll"
    assert tell_texts(["EU\tN", "a\tV", "", "b\tV"], "a.txt", "tag", {"O", "B-x"}) == "conll"
    assert texts_of(["EU B-x", "", "b O"], "a.conll", "tag", format="lines") is None


def test_what_cannot_be_read_is_told():
    with pytest.raises(CorpusError, match="a.jsonl:1: expected fields for texts of classify, got 'body_t'"):
        texts_of(['{"body_t": "a"}'], "a.jsonl", "classify")
    with pytest.raises(CorpusError, match="a.jsonl:2: expected a field 'text', got none"):
        texts_of(['{"text": "a"}', "{}", '{"text": "b"}'], "a.jsonl", "classify")
    with pytest.raises(ValueError, match="columns: expected text=1 for texts of classify, got 'source=1'"):
        texts_of(["a\tb"], "a.tsv", "classify", columns="source=1")
    with pytest.raises(ValueError, match="format: expected one of tsv, csv, jsonl, conll, lines, got 'xml'"):
        texts_of(["a"], "a.xml", "classify", format="xml")
