"""A labelled example, a row of a file that may become one, and what a file was understood as."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple


class Example(NamedTuple):
    """Something to learn from.

    Attributes
    ----------
    texts : tuple of str
        The text or texts; source and target for seq2seq and clm; empty for tag.
    label : str, float, tuple of str or None
        The class's name, a number, or the words' tags; None where there is nothing but texts.
    words : tuple of str or None
        The words that are tagged, for tag alone.
    where : str
        "file:line", the line on which it begins, counted from 1.
    """

    texts: tuple[str, ...]
    label: str | float | tuple[str, ...] | None
    words: tuple[str, ...] | None
    where: str


class Labelled(NamedTuple):
    """The examples of a file, and how it was read.

    Attributes
    ----------
    examples : list of Example
    format : str
        "tsv", "csv", "jsonl" or "conll".
    about : str
        One line: format, header or none, the columns, how many examples.
    skipped : list of str
        The rows that were left out, "file:line: expected ..., got ..." each.
    columns : str
        The columns as `parse_columns` takes them, so that another file can be read in the same way.
    """

    examples: list[Example]
    format: str
    about: str
    skipped: list[str]
    columns: str


class Row(NamedTuple):
    """A row of a file: the line where it begins, its values by column or name, or what is wrong with it."""

    line: int
    values: Any
    problem: str = ""


class Table(NamedTuple):
    """The rows of a file, and at which key of a row's values the value of each role is."""

    rows: list[Row]
    keys: dict[str, Any]
    about: str
    columns: str


class BadRow(ValueError):
    """What is wrong with a row: "expected ..., got ..."; whoever catches it knows the line."""


def shown(value: object, longest: int = 40) -> str:
    """How a value stands in a message: on one line, and short.

    Examples
    --------
    >>> shown("a\\tb"), shown(None), shown(True), shown("x" * 100, 10)
    ("'a\\\\tb'", 'null', 'true', "'xxxxx...'")
    """
    names = {None: "null", True: "true", False: "false"}
    if value is None or isinstance(value, bool):
        return names[value]
    text = repr(value[:200] if isinstance(value, str) else value)
    if len(text) <= longest:
        return text
    end = "..." + text[-1] if isinstance(value, str) else "..."
    return text[: longest - len(end)] + end


def counted(n: int, what: str) -> str:
    """A number and what it counts.

    Examples
    --------
    >>> counted(1, "row"), counted(5749, "row")
    ('1 row', '5,749 rows')
    """
    return f"1 {what}" if n == 1 else f"{n:,} {what}s"


def listed(values: Iterable[object], most: int = 12) -> str:
    """The first of some values, and how many more there are.

    Examples
    --------
    >>> listed(["text", "label"]), listed("abc", 2), listed([])
    ("'text', 'label'", "'a', 'b' and 1 more", 'none')
    """
    items = [shown(value) for value in values]
    more = f" and {len(items) - most:,} more" if len(items) > most else ""
    return (", ".join(items[:most]) or "none") + more
