"""Columns: as somebody says them, and as the content tells; where it does not tell, nothing is guessed."""

from __future__ import annotations

import pytest

from npformer.text.labelled import parse_columns
from npformer.text.labelled.columns import ROLES, by_content, written


@pytest.mark.parametrize("task", ROLES)
def test_what_is_written_is_parsed(task):
    for roles in ROLES[task]:
        for columns in (
            {role: i for i, role in enumerate(roles, 3)},
            {role: f"the {role}" for role in roles},
        ):
            assert parse_columns(written(columns), task) == columns
            backwards = dict(reversed(columns.items()))
            assert list(parse_columns(f" {written(backwards)} ".replace(",", " , "), task)) == list(roles)


BAD = {
    "": "expected text=1,label=2, got ''",
    "1,2": "expected text=1,label=2, got '1,2'",
    "text": "expected text=1,label=2, got 'text'",
    "text=,label=2": "expected text=1,label=2, got",
    "text=0,label=2": "expected text=1,label=2, got",
    "text=1,label=2,": "expected text=1,label=2, got",
    "text=1,text=2": "expected text=1,label=2, got",
    "text=1": "expected text=1,label=2 for classify, got 'text=1'",
    "text=1,label=2,score=3": "expected text=1,label=2 for classify, got",
    "text=2,label=2": "expected a column for each of text, label, got 'text=2,label=2'",
}


@pytest.mark.parametrize("given", BAD)
def test_what_is_no_list_of_columns(given):
    with pytest.raises(ValueError, match=f"^columns: {BAD[given]}"):
        parse_columns(given, "classify")


def test_a_task_has_its_roles():
    with pytest.raises(ValueError, match="text1=1,text2=2,label=3 or text=1,label=2 for regress, got"):
        parse_columns("text1=1,label=2", "regress")
    with pytest.raises(ValueError, match="task: expected one of classify, pair, .*, got 'ner'"):
        parse_columns("text=1,label=2", "ner")


LONG = ["a long text", "another one", "a third one", "the last one"]
# task, columns, and what the content tells
CONTENT = {
    "label last": ("classify", [LONG, list("abab")], {"text": 0, "label": 1}),
    "label first": ("classify", [list("abab"), LONG], {"text": 1, "label": 0}),
    "as short and as many": ("classify", [list("abcd"), list("efgh")], None),
    "shorter, but more": ("classify", [["ab", "ab", "cd", "cd"], list("efgh")], None),
    "one column too many": ("classify", [LONG, LONG, list("abab")], None),
    "pair": ("pair", [LONG, LONG, list("abab")], {"text1": 0, "text2": 1, "label": 2}),
    "pair, label first": ("pair", [list("0101"), LONG, LONG], {"text1": 1, "text2": 2, "label": 0}),
    "number last": ("regress", [LONG, ["1", "2", "x", "4"]], {"text": 0, "label": 1}),
    "number first": ("regress", [["1", "2.5", "-3", "4"], LONG], {"text": 1, "label": 0}),
    "numbers twice": ("regress", [list("1234"), list("5678")], None),
    "no numbers": ("regress", [LONG, list("abcd")], None),
    "half numbers": ("regress", [LONG, ["1", "2", "x", "y"]], None),
    "a number among texts": ("regress", [["7", "x", "y", "z"], LONG], None),
    "two texts and a number": ("regress", [LONG, LONG, list("1234")], {"text1": 0, "text2": 1, "label": 2}),
    "alike": ("similarity", [LONG, LONG], {"text1": 0, "text2": 1}),
    "how alike": ("similarity", [LONG, LONG, list("1234")], {"text1": 0, "text2": 1, "label": 2}),
    "how alike, first": ("similarity", [list("1234"), LONG, LONG], {"text1": 1, "text2": 2, "label": 0}),
    "alike or not": ("similarity", [LONG, LONG, list("ynyn")], {"text1": 0, "text2": 1, "label": 2}),
    "a hard negative": ("similarity", [LONG, LONG, LONG], {"text1": 0, "text2": 1, "text3": 2}),
    "a short hard negative": (
        "similarity", [LONG, LONG, list("abcd")], {"text1": 0, "text2": 1, "text3": 2}),
    "four columns": ("similarity", [LONG, LONG, LONG, list("1234")], None),
    "tags": ("tag", [LONG, LONG], {"words": 0, "tags": 1}),
    "sides": ("seq2seq", [LONG, LONG], {"source": 0, "target": 1}),
    "three sides": ("seq2seq", [LONG, LONG, LONG], None),
}  # fmt: skip


@pytest.mark.parametrize("what", CONTENT)
def test_what_the_content_tells(what):
    task, columns, expected = CONTENT[what]
    found = by_content(task, list(zip(*columns, strict=True)))
    assert found == expected
    assert found is None or tuple(found) in ROLES[task]
