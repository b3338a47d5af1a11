"""From a file to its labelled examples: told by content, read strictly, bad rows named by their line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath

from ..errors import CorpusError
from .columns import check_task, parse_columns, roles_of
from .conll import read_conll
from .example import BadRow, Example, Labelled, Table, counted
from .formats import FORMATS, SUFFIXES, tell_delimiter, tell_format
from .jsonl import read_jsonl
from .labels import check_bio, is_bio
from .lines import read_lines
from .table import csv_rows, read_table, tsv_rows
from .values import example, mostly_numbers


def read_examples(
    path: str | Path,
    task: str,
    *,
    columns: str | None = None,
    like: str | None = None,
    format: str | None = None,
    skip_bad: bool = False,
) -> Labelled:
    """Read the examples of a TSV, CSV, JSONL or CoNLL file.

    Parameters
    ----------
    path : path
        UTF-8, with or without a byte-order mark. "-" is standard input.
    task : {"classify", "pair", "regress", "similarity", "tag", "seq2seq", "clm"}
        A text and its class; two texts and their class; one or two texts and a number; two texts and how
        alike they are (a number, or a class), or two that are, or these and a hard negative; words and their
        tags; source and target (seq2seq, clm).
    columns : str, optional
        Which column has which role; see `parse_columns`. By default told by a header's names, by the names of
        JSON's fields, or by what stands in the columns.
    like : str, optional
        The `columns` of a file that was read before. They hold where `columns` is not given, unless this file
        has other names, which tell its columns.
    format : {"tsv", "csv", "jsonl", "conll"}, optional
        By default told by what is in the file.
    skip_bad : bool
        Leave bad rows out and count them, where otherwise the first is an error.

    Returns
    -------
    Labelled
        White space around texts, words and labels is gone. What was told is in `about`; `like` its `columns`,
        a second file is read in the same way.

    Raises
    ------
    CorpusError
        "file:line: expected ..., got ..." if a row has another number of columns, lacks a field, is broken
        JSON or not UTF-8, has an empty text or label, no finite number where one is wanted, or not as many
        tags as words; if the file cannot be read, or its columns told; if it has no example.
    ValueError
        If there is no such task or format, or `columns` or `like` does not fit the task.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile("w", suffix=".tsv") as file:
    ...     print("ham\\tSee you later\\nspam\\tWin a prize now\\nham\\tOn my way", file=file, flush=True)
    ...     found = read_examples(file.name, "classify")
    >>> found.examples[1].texts, found.examples[1].label, found.columns
    (('Win a prize now',), 'spam', 'text=2,label=1')
    >>> found.about.split(": ", 1)[1]
    'TSV, no header, text in column 2, label in column 1: 3 examples'
    """
    check_task(task)
    if format is not None and format not in FORMATS:
        raise ValueError(f"read_examples: format: expected one of {', '.join(FORMATS)}, got {format!r}")
    wanted, former = (None if said is None else parse_columns(said, task) for said in (columns, like))
    name, lines = read_lines(str(path))
    told = tell_format(lines, name, task) if format is None else format
    return examples_of(lines, name, task, told, wanted, skip_bad, former)


def examples_of(
    lines: Sequence[str],
    name: str,
    task: str,
    told: str,
    wanted: dict[str, int | str] | None,
    skip_bad: bool,
    like: dict[str, int | str] | None = None,
) -> Labelled:
    """Return the examples of the lines of a file, whose format has been told; the rest is as above."""
    if told == "conll" and not task.endswith("tag"):
        raise CorpusError(f"{name}: expected TSV, CSV or JSONL for {task}, got CoNLL, which is for tag")
    about = FORMATS[told]
    if told == "jsonl":
        table = read_jsonl(lines, name, task, wanted, like)
    elif told == "conll":
        table = read_conll(lines, name, roles_of(task)[0], wanted, like)
    elif told == "tsv":
        table = read_table(list(tsv_rows(lines)), name, task, wanted, like)
    else:
        delimiter = tell_delimiter(lines)
        about += " with semicolons" if delimiter == ";" else ""
        table = read_table(list(csv_rows(lines, name, delimiter)), name, task, wanted, like)
    hint = SUFFIXES.get(PurePath(name).suffix.lower(), told)
    if hint != told and {hint, told} != {"tsv", "conll"}:
        about += f" (whatever its name says), {table.about}"
    else:
        about += f", {table.about}"
    numbers = _numbers(task, table)
    examples, skipped = _examples(table, name, task, numbers)
    if skipped and not skip_bad:
        more = f" ({len(skipped) - 1:,} more bad after it)" if len(skipped) > 1 else ""
        raise CorpusError(skipped[0] + more)
    if not examples:
        which = f" ({counted(len(skipped), 'bad row')}, the first {skipped[0]})" if skipped else ""
        raise CorpusError(f"{name}: expected an example, got none{which}")
    about = f"{name}: {about}{_labels(task, numbers, examples)}: {counted(len(examples), 'example')}"
    if skipped:
        about += f", {counted(len(skipped), 'bad row')} skipped"
    return Labelled(examples, told, about, skipped, table.columns)


def _numbers(task: str, table: Table) -> bool:
    """Whether the labels are numbers: for similarity, if most are."""
    if task != "similarity" or "label" not in table.keys:
        return task == "regress"
    return mostly_numbers(row.values[table.keys["label"]] for row in table.rows if not row.problem)


def _examples(table: Table, name: str, task: str, numbers: bool) -> tuple[list[Example], list[str]]:
    """The examples, and what is wrong with the rows that are none, by line."""
    examples, skipped = [], []
    for row in table.rows:
        where = f"{name}:{row.line}"
        try:
            if row.problem:
                raise BadRow(row.problem)
            values = {role: row.values[key] for role, key in table.keys.items()}
            examples.append(example(task, values, where, numbers))
        except BadRow as bad:
            skipped.append(f"{where}: {bad}")
    return examples, skipped


def _labels(task: str, numbers: bool, examples: list[Example]) -> str:
    """What kind of labels they are, where that was told from the file."""
    if task == "similarity" and examples[0].label is not None:
        return ", labels are numbers" if numbers else ", labels are names"
    if task != "tag":
        return ""
    sequences = [item.label for item in examples if isinstance(item.label, tuple)]
    # a table of words takes each for a sentence
    alone = ", one word in each" if len(examples) > 1 and all(len(tags) == 1 for tags in sequences) else ""
    if not is_bio(sequences):
        return ", tags are plain" + alone
    begin = sum(len(check_bio(tags)) for tags in sequences)
    return ", tags are BIO" + (f" ({begin:,} entities begin with I-)" if begin else "") + alone
