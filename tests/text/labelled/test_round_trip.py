"""What is written in a format is read back, whatever stands in it."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from npformer.text.labelled import read_examples
from npformer.text.labelled.columns import ROLES
from npformer.text.labelled.conll import is_comment

ANY = {"blacklist_categories": ("Cs", "Cc")}
TEXTS = st.text(st.characters(**ANY), min_size=1, max_size=12).map(str.strip).filter(bool)
WITH_LINES = st.lists(TEXTS, min_size=1, max_size=3).map("\n".join)
QUOTED = st.sampled_from(['"', '""', ",", ';"', '"a"', "{", "#", "text", "nan"])
WORDS = st.lists(TEXTS.map(lambda text: text.replace(" ", "_")), min_size=1, max_size=5)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
TEXT_ROLES = ("text", "text1", "text2", "text3", "source", "target")
TASKS = [(task, roles) for task, options in ROLES.items() for roles in options]
NAMES = {"words": "tokens", "text": "text", "label": "label", "tags": "tags"}

settings.register_profile("files", suppress_health_check=[HealthCheck.function_scoped_fixture])
FILES = settings(settings.get_profile("files"), max_examples=20, deadline=None)


def values_of(draw, task, roles, texts):
    """A value for each role: texts, a name or a number, or equally many words and tags."""
    values = {role: draw(texts | QUOTED) for role in roles if role in TEXT_ROLES}
    if "label" in roles:
        values["label"] = draw(NUMBERS) if task in ("regress", "similarity") else draw(texts | QUOTED)
    if task == "tag":
        values["words"] = draw(WORDS)
        n = len(values["words"])
        values["tags"] = draw(st.lists(st.sampled_from(["O", "B-x", "I-x"]), min_size=n, max_size=n))
    return values


@st.composite
def tables(draw, texts):
    task, roles = draw(st.sampled_from(TASKS))
    rows = draw(st.lists(st.composite(lambda d: values_of(d, task, roles, texts))(), min_size=1, max_size=5))
    return task, roles, rows


def expected(task, values):
    """texts, label and words of the example."""
    if task == "tag":
        return (), tuple(values["tags"]), tuple(values["words"])
    return tuple(values[role] for role in values if role != "label"), values.get("label"), None


def read_back(path, task, **options):
    return [(item.texts, item.label, item.words) for item in read_examples(path, task, **options).examples]


def cell(value):
    return value if isinstance(value, str) else " ".join(value) if isinstance(value, list) else repr(value)


@FILES
@given(table=tables(TEXTS), header=st.booleans())
def test_tsv(write, table, header):
    task, roles, rows = table
    lines = ["\t".join(cell(row[role]) for role in roles) for row in rows]
    if header:
        lines.insert(0, "\t".join(NAMES.get(role, role) for role in roles))
    else:
        assume(not {"text", "tokens"} & set(lines[0].split("\t")))
    columns = None if header else ",".join(f"{role}={i}" for i, role in enumerate(roles, 1))
    path = write("\n".join(lines) + "\n", "a.tsv")
    assert read_back(path, task, columns=columns, format="tsv") == [expected(task, row) for row in rows]


@FILES
@given(table=tables(WITH_LINES), quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_csv(write, table, quoting):
    task, roles, rows = table
    out = io.StringIO()
    writer = csv.writer(out, quoting=quoting, lineterminator="\r\n")
    writer.writerow([NAMES.get(role, role) for role in roles])
    starts = []
    for row in rows:
        starts.append(out.getvalue().count("\n") + 1)
        writer.writerow([cell(row[role]) for role in roles])
    path = write(out.getvalue(), "a.csv")
    found = read_examples(path, task, format="csv")
    assert [(item.texts, item.label, item.words) for item in found.examples] == [
        expected(task, row) for row in rows
    ]
    assert [item.where for item in found.examples] == [f"{path}:{line}" for line in starts]


@FILES
@given(table=tables(WITH_LINES), ascii=st.booleans(), as_text=st.booleans())
def test_jsonl(write, table, ascii, as_text):
    task, roles, rows = table
    lines = []
    for row in rows:
        values = {NAMES.get(role, role): row[role] for role in roles}
        if as_text and task == "tag":
            values = {name: " ".join(value) for name, value in values.items()}
        lines.append(json.dumps(values, ensure_ascii=ascii))
    path = write("\n".join(lines) + "\n")
    assert read_back(path, task) == [expected(task, row) for row in rows]


@FILES
@given(
    sentences=st.lists(
        st.lists(st.tuples(TEXTS | QUOTED, st.sampled_from(["O", "B-x", "NOUN"])), min_size=1, max_size=4),
        min_size=1,
        max_size=4,
    ),
    space=st.sampled_from(["\t", " "]),
    comment=st.sampled_from(["", "# text = so it is\n", "# newdoc\n", "-DOCSTART- O\n\n"]),
)
def test_conll(write, sentences, space, comment):
    if space == " ":
        sentences = [[(word.replace(" ", "_"), tag) for word, tag in sentence] for sentence in sentences]
    lines = [[f"{word}{space}{tag}" for word, tag in sentence] for sentence in sentences]
    assume(not any(is_comment(line[0], 2, 2) for line in lines))
    # with blanks between columns, a file of nothing but "#..." may be comments
    assume(space == "\t" or not all(line.startswith("#") for sentence in lines for line in sentence))
    path = write("\n\n".join(comment + "\n".join(sentence) for sentence in lines) + "\n")
    assert read_back(path, "tag", format="conll") == [
        ((), tuple(tag for _, tag in sentence), tuple(word for word, _ in sentence)) for sentence in sentences
    ]


@pytest.mark.parametrize("columns", [None, "text=1,label=2"])
def test_what_is_skipped_and_what_is_read_are_all_rows(write, columns):
    rows = ["text\tlabel", *(f"text {i}\t{'ab'[i % 2]}" if i % 5 else f"text {i}" for i in range(1, 101))]
    found = read_examples(write("\n".join(rows)), "classify", columns=columns, skip_bad=True)
    assert len(found.examples) == 80
    lines = [item.where.rpartition(":")[2] for item in found.examples]
    lines += [message.split(": ")[0].rpartition(":")[2] for message in found.skipped]
    assert sorted(map(int, lines)) == list(range(2, 102))
