"""The texts of a file for a model to say the labels of: labels that it may have are not looked at.

    lines of text           a text in each
    JSONL                   an object in each line
    a table with a header   TSV, or a file whose name ends in .csv; a header has names that are known, two of
                            them or, where the file's name says that it is a table, one
    CoNLL                   of words to tag: blank lines between the sentences, and tabs or known tags in most
                            others; or a name that says so
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import PurePath

from .columns import LABELS, check_task, parse_columns
from .example import Labelled, Row
from .formats import FORMATS, SAMPLE, SUFFIXES, is_jsonl, tell_delimiter, tell_format
from .read import examples_of
from .table import columns_of, csv_rows, has_header, tsv_rows


def tell_texts(
    lines: Sequence[str], name: str, task: str, tags: Collection[str] | None = None
) -> str | None:
    """Return the format of a file of texts, or None if it has a text in each line and nothing else.

    `tags` are those that words may have in CoNLL with blanks between its columns: lines of a poem are none.

    Examples
    --------
    >>> tell_texts(["text\\tlabel", "On my way\\tham"], "a.tsv", "classify")
    'tsv'
    >>> tell_texts(["On my way", "Win a prize, now"], "a.txt", "classify") is None
    True
    """
    sample = lines[:SAMPLE]
    if is_jsonl(sample):
        return "jsonl"
    hint = SUFFIXES.get(PurePath(name).suffix.lower())
    alone = 1 if task != "tag" else 2  # (the words of CoNLL stand in one column)
    if _named(list(tsv_rows(sample)), task, alone if hint == "tsv" else 2):
        return "tsv"
    if hint == "csv" and _named(list(csv_rows(lines, name, tell_delimiter(lines)))[:SAMPLE], task, alone):
        return "csv"
    parted = any(not line.strip() for line in sample)
    if task == "tag" and (hint == "conll" or parted and (tags is None or _tagged(sample, tags))):
        return "conll" if tell_format(lines, name, task) == "conll" else None
    return None


def _tagged(lines: Sequence[str], tags: Collection[str]) -> bool:
    """Whether most lines that are not blank have a tab, or one of the tags at their end."""
    filled = [line for line in lines if line.strip()]
    return 2 * sum("\t" in line or line.split()[-1] in tags for line in filled) > len(filled)


def texts_of(
    lines: Sequence[str],
    name: str,
    task: str,
    *,
    columns: str | None = None,
    format: str | None = None,
    skip_bad: bool = False,
    tags: Collection[str] | None = None,
) -> Labelled | None:
    """Return the texts of a file as examples without labels; None if it has a text in each line.

    Parameters
    ----------
    lines, name
        From `lines.read_lines`.
    task, columns, format, skip_bad
        As for `read_examples`. With `columns` or `format` it is a table or JSON; columns of labels may be
        there, and are not looked at. "lines" is a format, too: a text in each.
    tags
        As for `tell_texts`.

    Raises
    ------
    CorpusError, ValueError
        As `read_examples`.
    """
    check_task(task)
    if format is not None and format not in (*FORMATS, "lines"):
        raise ValueError(f"texts_of: format: expected one of {', '.join(FORMATS)}, lines, got {format!r}")
    if format == "lines":
        return None
    told = format or tell_texts(lines, name, task, tags)
    if told is None:
        if columns is None:
            return None
        told = tell_format(lines, name, task)
    wanted = None
    if columns is not None:
        items = [item for item in columns.split(",") if item.partition("=")[0].strip() not in LABELS]
        wanted = parse_columns(",".join(items), f"texts of {task}")
    return examples_of(lines, name, f"texts of {task}", told, wanted, skip_bad)


def _named(rows: list[Row], task: str, least: int) -> bool:
    """Whether the rows are a table with a header, and have so many columns at least."""
    width = columns_of(rows)
    whole = [row.values for row in rows if not row.problem and len(row.values) == width]
    return width >= least and rows[0].values == whole[0] and has_header(whole, task)
