"""Examples in tables: tab-separated lines, and CSV with its quotes.

TSV has no quotes: a quote is a character like any other, and a row is a line. CSV has a comma between its
columns, or a semicolon; a field in double quotes may hold either, newlines, and quotes written twice.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from ..errors import CorpusError
from .columns import by_content, how_to_say, written
from .example import Row, Table, counted, listed, shown
from .lines import bad_byte
from .names import by_name, known_names

_NAME = re.compile(r"[^\W\d][\w.-]*")


def tsv_rows(lines: Sequence[str]) -> Iterator[Row]:
    """Yield a row for each line, its fields as a list."""
    for number, line in enumerate(lines, 1):
        yield Row(number, line.split("\t"), bad_byte(line) or _blank(line))


def csv_rows(lines: Sequence[str], name: str, delimiter: str) -> Iterator[Row]:
    """Yield the rows, each with the line on which it begins; one that is not UTF-8, with that line.

    Raises
    ------
    CorpusError
        If a quote is not closed: what follows could be anything.
    """
    reader = csv.reader((f"{line}\n" for line in lines), delimiter=delimiter, strict=True)
    while True:
        start = reader.line_num
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "expected after" not in str(error):  # the end of the file, or of what a field may hold
                within = f" within {csv.field_size_limit():,} characters" if "limit" in str(error) else ""
                up_to = f"got none up to line {reader.line_num}"
                raise CorpusError(f"{name}:{start + 1}: expected a closing quote{within}, {up_to}") from None
            after = f"expected {shown(delimiter)} after a closing quote, got text (line {reader.line_num})"
            yield Row(start + 1, [], after)
            continue
        for number in range(start, reader.line_num):
            if bad := bad_byte(lines[number]):
                yield Row(number + 1, fields, bad)
                break
        else:
            yield Row(start + 1, fields, "" if fields else _blank(""))


def _blank(line: str) -> str:
    return "" if line.strip(" ") else "expected an example, got an empty line"


def columns_of(rows: Sequence[Row]) -> int:
    """The number of columns that most rows have."""
    counts = Counter(len(row.values) for row in rows if not row.problem)
    return counts.most_common(1)[0][0] if counts else 0


def has_header(rows: Sequence[Sequence[str]], task: str) -> bool:
    """Whether the first row names the columns.

    It does if its names tell the columns of the task, with labels. Else none may stand in its column again,
    as a label would, and two are names by which columns are known; or one is, and all are single words.
    """
    known = known_names(rows[0])
    if known == 0 or known == 1 == len(rows):
        return False
    if by_name(task.removeprefix("texts of "), rows[0]) is not None:
        return True
    columns = zip(*([field.strip() for field in row] for row in rows), strict=True)
    return all((known > 1 or _NAME.fullmatch(name)) and name not in values for name, *values in columns)


def read_table(
    rows: list[Row],
    name: str,
    task: str,
    wanted: dict[str, int | str] | None,
    like: dict[str, int | str] | None = None,
) -> Table:
    """Tell the columns of the rows of a table, and mark the rows that have others.

    Parameters
    ----------
    rows : list of Row
    name : str
    task : str
    wanted : dict, optional
        The column of each role, by number or by name.
    like : dict, optional
        That of a file before, for one that does not tell itself; see `_fits`.

    Raises
    ------
    CorpusError
        If a column is not there, or it cannot be told which is which.
    """
    width = columns_of(rows)
    whole = [row for row in rows if not row.problem and len(row.values) == width]
    if not whole:
        return Table(rows, {}, "", "")
    first = next(row for row in rows if not row.problem)
    if wanted is None and like is not None and _fits(like, task, [field.strip() for field in first.values]):
        again = any(field in below for field, *below in zip(*(row.values for row in whole), strict=True))
        by_names = any(isinstance(column, str) for column in like.values())
        wanted = None if by_names and again else like  # no names stand there: it has no header
    named = wanted is not None and any(isinstance(column, str) for column in wanted.values())
    header = named or len(first.values) == width and has_header([row.values for row in whole], task)
    names = [field.strip() for field in first.values] if header else None
    line = f"{name}:{first.line}"
    if header:
        rows = [row for row in rows if row is not first]  # bad ones before it stay, and are told or left out
        if len(first.values) != width:
            wide = counted(width, "column")
            raise CorpusError(f"{line}: expected {wide} in the header, got {len(first.values)}")
    if wanted is not None:
        keys = {role: place_of(column, names, width, line) for role, column in wanted.items()}
        if len(set(keys.values())) < len(keys):
            raise CorpusError(f"{line}: expected two columns, got one twice ({written(wanted)})")
    else:
        found = by_content(task, [row.values for row in whole]) if names is None else by_name(task, names)
        if found is None:
            what = f"{counted(width, 'column')} without a header" if names is None else listed(names)
            raise CorpusError(f"{line}: expected columns for {task}, got {what} {how_to_say(task)}")
        keys = found
    rows = [
        row
        if row.problem or len(row.values) == width
        else row._replace(problem=f"expected {counted(width, 'column')}, got {len(row.values)}")
        for row in rows
    ]
    if names is None:
        columns: dict[str, int | str] = {role: place + 1 for role, place in keys.items()}
        about = "no header, " + ", ".join(f"{role} in column {number}" for role, number in columns.items())
    else:
        about = "a header, " + ", ".join(f"{role} in {shown(names[place])}" for role, place in keys.items())
        columns = {role: _sayable(names[place], place, names) for role, place in keys.items()}
    return Table(rows, keys, about, written(columns))


def _fits(like: dict[str, int | str], task: str, first: Sequence[str]) -> bool:
    """Whether columns of another file hold for one with this first row.

    They do unless it has names that tell its columns, and not those that the other had.
    """
    names = {column for column in like.values() if isinstance(column, str)}
    return bool(names) and names <= set(first) or by_name(task, first) is None


def _sayable(name: str, place: int, names: Sequence[str]) -> int | str:
    """A column's name, if `parse_columns` would take it for one; else its number."""
    return place + 1 if re.search(r"[,=]|^\d*$", name) or names.count(name) > 1 else name


def place_of(column: int | str, names: Sequence[str] | None, width: int, line: str) -> int:
    """At which place a row has the column; raise CorpusError, about `line`, if nowhere."""
    if isinstance(column, int):
        if column > width:
            raise CorpusError(f"{line}: expected a column {column}, got {counted(width, 'column')}")
        return column - 1
    assert names is not None  # a column that is named makes the first row a header
    for alike in (lambda name: name == column, lambda name: name.lower() == column.lower()):
        places = [place for place, name in enumerate(names) if alike(name)]
        if len(places) == 1:
            return places[0]
    raise CorpusError(f"{line}: expected a column named {shown(column)} in the header, got {listed(names)}")
