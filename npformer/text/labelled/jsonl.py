"""Examples in JSON lines: an object in each, its fields by name."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ..errors import CorpusError
from .columns import how_to_say, written
from .example import BadRow, Row, Table, listed, shown
from .lines import bad_byte
from .names import by_name


def parse_object(line: str) -> dict[str, Any]:
    """Return the object of a line; raise BadRow if there is none."""
    if not line.strip(" "):
        raise BadRow("expected a JSON object, got an empty line")
    try:
        value = json.loads(line, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        what = f"broken JSON ({error.msg}, character {error.pos + 1})"
        raise BadRow(f"expected a JSON object, got {what}") from None
    except BadRow:
        raise
    except (ValueError, RecursionError) as error:  # a number of thousands of figures; brackets without end
        raise BadRow(f"expected a JSON object, got what cannot be read ({type(error).__name__})") from None
    if not isinstance(value, dict):
        raise BadRow(f"expected a JSON object, got {shown(value)}")
    return value


def _object(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; of a field that is there twice, one value would be lost."""
    for name, count in Counter(name for name, _ in fields).items():
        if count > 1:
            raise BadRow(f"expected each field once, got {shown(name)} {count} times")
    return dict(fields)


def read_jsonl(
    lines: Sequence[str],
    name: str,
    task: str,
    wanted: dict[str, int | str] | None,
    like: dict[str, int | str] | None = None,
) -> Table:
    """Return the rows, their values by the names of the fields; fields that have no role are passed over.

    Raises
    ------
    CorpusError
        If no object has the fields that are wanted, or it cannot be told which is which.
    """
    rows: list[Row] = []
    for number, line in enumerate(lines, 1):
        problem, values = bad_byte(line), {}
        if not problem:
            try:
                values = parse_object(line)
            except BadRow as bad:
                problem = str(bad)
        rows.append(Row(number, values, problem))
    good = [row for row in rows if not row.problem]
    if not good:
        return Table(rows, {}, "", "")
    counts = Counter(key for row in good for key in row.values)
    fields = [field for field, count in counts.items() if 2 * count > len(good)]
    found = by_name(task, fields)
    if found is None:  # rows that lack a field are bad, however many they are
        found = by_name(task, fields := list(counts))
    if like is not None and (found is None or set(map(str, like.values())) <= counts.keys()):
        wanted = wanted or like
    if wanted is None:
        if found is None:
            what = f"expected fields for {task}, got {listed(fields)} {how_to_say(task)}"
            raise CorpusError(f"{name}:{good[0].line}: {what}")
        keys = {role: fields[place] for role, place in found.items()}
    else:
        keys = {role: str(field) for role, field in wanted.items()}
        for field in keys.values():
            if not any(field in row.values for row in good):
                raise CorpusError(f"{name}:{good[0].line}: {_missing(good[0].values, {'': field})}")
    rows = [row if row.problem else row._replace(problem=_missing(row.values, keys)) for row in rows]
    about = ", ".join(f"{role} in {shown(field)}" for role, field in keys.items())
    return Table(rows, keys, about, written({**keys}))


def _missing(values: dict[str, Any], keys: dict[str, str]) -> str:
    """What to say of the first field that is not there."""
    for field in keys.values():
        if field not in values:
            return f"expected a field {shown(field)}, got {listed(values)}"
    return ""
