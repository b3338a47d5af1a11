"""Which column is what: as somebody says it, or by what stands in the columns.

    text=2,label=1            by number, from 1
    text=review,label=stars   by the name in a header, or of a field of JSON
"""

from __future__ import annotations

from collections.abc import Sequence

from .values import is_number

LABELS = ("label", "tags", "target", "text3")  # roles of what a model says, or learns by
# task -> the roles its columns have; several where there is a choice
ROLES: dict[str, tuple[tuple[str, ...], ...]] = {
    "classify": (("text", "label"),),
    "pair": (("text1", "text2", "label"),),
    "regress": (("text1", "text2", "label"), ("text", "label")),
    "similarity": (("text1", "text2", "text3"), ("text1", "text2", "label"), ("text1", "text2")),
    "tag": (("words", "tags"),),
    "seq2seq": (("source", "target"),),
    "clm": (("source", "target"),),
}
# The same where labels are of no matter, if there are any: the task is then "texts of classify".
TEXTS = {
    f"texts of {task}": tuple(dict.fromkeys(tuple(r for r in roles if r not in LABELS) for roles in of_task))
    for task, of_task in ROLES.items()
}


def roles_of(task: str) -> tuple[tuple[str, ...], ...]:
    """Return the roles of a task's columns, several where there is a choice.

    Examples
    --------
    >>> roles_of("texts of regress")
    (('text1', 'text2'), ('text',))
    """
    return ROLES[task] if task in ROLES else TEXTS[task]


def parse_columns(given: str, task: str) -> dict[str, int | str]:
    """Return the column of each role of `task`: a number from 1, or a name.

    Parameters
    ----------
    given : str
        ROLE=COLUMN with commas between, in any order. The roles are: classify text, label; pair text1, text2,
        label; regress as either of them; similarity text1, text2 and perhaps label, or text3 (a hard
        negative); tag words, tags; seq2seq and clm source, target.
    task : str

    Raises
    ------
    ValueError
        If it is no such list, or its roles are not those of the task.

    Examples
    --------
    >>> parse_columns("text=2,label=1", "classify")
    {'text': 2, 'label': 1}
    >>> parse_columns("words=tokens,tags=slots", "tag")
    {'words': 'tokens', 'tags': 'slots'}
    """
    check_task(task)
    found: dict[str, int | str] = {}
    for item in given.split(","):
        role, equals, column = (part.strip() for part in item.partition("="))
        number = column.isascii() and column.isdigit()
        if not (role and equals and column) or role in found or number and int(column) < 1:
            raise ValueError(f"columns: expected {_syntax(task)}, got {given!r}")
        found[role] = int(column) if number else column
    if len(set(found.values())) < len(found):
        raise ValueError(f"columns: expected a column for each of {', '.join(found)}, got {given!r}")
    for roles in roles_of(task):
        if set(roles) == set(found):
            return {role: found[role] for role in roles}
    raise ValueError(f"columns: expected {_syntax(task)} for {task}, got {given!r}")


def check_task(task: str) -> None:
    """Raise ValueError if there is no such task."""
    if task not in ROLES and task not in TEXTS:
        raise ValueError(f"read_examples: task: expected one of {', '.join(ROLES)}, got {task!r}")


def written(columns: dict[str, int | str]) -> str:
    """What `parse_columns` reads."""
    return ",".join(f"{role}={column}" for role, column in columns.items())


def _syntax(task: str) -> str:
    """The lists of columns that a task takes, with numbers by way of example."""
    return " or ".join(written({r: i for i, r in enumerate(roles, 1)}) for roles in roles_of(task))


def how_to_say(task: str) -> str:
    """The end of a message about columns nobody can tell: what to write."""
    return f"(say which: --columns {_syntax(task)}, with your numbers or names)"


def by_content(task: str, rows: Sequence[Sequence[str]]) -> dict[str, int] | None:
    """Return which column of a table without a header has each role, or None if that cannot be told.

    Texts and sides come in their order. The label is first or last: the column of the two with more numbers
    (regress, similarity), or with fewer different values that are no longer (classify, pair). Three columns
    without a number are texts for similarity, unless the last has at most half as many values as rows.

    Parameters
    ----------
    task : str
    rows : sequence of sequences of str
        At least one, all of one width.

    Examples
    --------
    >>> by_content("classify", [["ham", "See you later"], ["ham", "On my way"]])
    {'text': 1, 'label': 0}
    """
    width = len(rows[0])
    fitting = [roles for roles in roles_of(task) if len(roles) == width]
    if not fitting:
        return None
    if "label" not in fitting[-1]:
        return {role: place for place, role in enumerate(fitting[-1])}
    first, last = ([row[place].strip() for row in rows] for place in (0, width - 1))
    if task in ("classify", "pair"):
        label_first = _at_most(_variety(first), _variety(last))
        label_last = _at_most(_variety(last), _variety(first))
    else:
        numbers_first, numbers_last = (sum(map(is_number, values)) for values in (first, last))
        label_first = numbers_first > max(numbers_last, len(rows) / 2)
        label_last = numbers_last > max(numbers_first, len(rows) / 2)
        if task == "similarity" and not label_first and not label_last:
            few = 2 * len(set(last)) <= len(rows) and _at_most(_variety(last), _variety(first))
            roles = fitting[-1] if few else fitting[0]
            return {role: place for place, role in enumerate(roles)}
    if label_first == label_last:
        return None
    texts = [role for role in fitting[-1] if role != "label"]
    order = ["label", *texts] if label_first else [*texts, "label"]
    return {role: order.index(role) for role in fitting[-1]}


def _variety(values: Sequence[str]) -> tuple[int, int]:
    """How many different values there are, and their length in all."""
    return len(set(values)), sum(map(len, values))


def _at_most(a: tuple[int, int], b: tuple[int, int]) -> bool:
    """Whether `a` is at most `b` in both."""
    return a[0] <= b[0] and a[1] <= b[1]
