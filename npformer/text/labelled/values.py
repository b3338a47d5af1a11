"""From the values of a row to an example: what each must be, and what is said where it is not."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable
from typing import Any

from .example import BadRow, Example, counted, shown

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


def is_number(value: Any) -> bool:
    """Whether `value` is a finite number, or a text that is one written in figures.

    Examples
    --------
    >>> [is_number(value) for value in ("4.75", "-1e3", 2, "nan", "1e999", "1_000", "4,5", "", True)]
    [True, True, True, False, False, False, False, False, False]
    """
    if isinstance(value, str):
        return bool(_NUMBER.fullmatch(value.strip())) and math.isfinite(float(value))
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) <= sys.float_info.max  # a whole number of JSON may be too large for a float


def mostly_numbers(values: Iterable[Any]) -> bool:
    """Whether more than half of the values are numbers."""
    told = [is_number(value) for value in values]
    return 2 * sum(told) > len(told)


def example(task: str, values: dict[str, Any], where: str, numbers: bool) -> Example:
    """Return the example whose value in each role is given.

    Parameters
    ----------
    task : str
    values : dict
        Strings, or what JSON can hold.
    where : str
    numbers : bool
        Whether the label is a number.

    Raises
    ------
    BadRow
        If a text or a label is missing or empty, is not a number where one is wanted, or there are not as
        many tags as words.

    Examples
    --------
    >>> example("tag", {"words": "see Rome", "tags": ["O", "B-city"]}, "trips.jsonl:1", False)
    Example(texts=(), label=('O', 'B-city'), words=('see', 'Rome'), where='trips.jsonl:1')
    """
    if task == "texts of tag":
        return Example((), None, _sequence("words", values["words"]), where)
    if task == "tag":
        words, tags = (_sequence(role, values[role]) for role in ("words", "tags"))
        if len(tags) != len(words):
            raise BadRow(f"expected {counted(len(words), 'tag')}, one for each word, got {len(tags)}")
        return Example((), tags, words, where)
    texts = tuple(_text(role, value) for role, value in values.items() if role != "label")
    if "label" not in values:
        return Example(texts, None, None, where)
    return Example(texts, (_number if numbers else _label)(values["label"]), None, where)


def _text(role: str, value: Any) -> str:
    """A text; the words of a list with blanks between."""
    if isinstance(value, list):
        return " ".join(_sequence(role, value))
    what = "a text" if role == "text" else f"a text as {role}"
    if not isinstance(value, str):
        raise BadRow(f"expected {what}, got {shown(value)}")
    if not value.strip():
        raise BadRow(f"expected {what}, got an empty one")
    return _encodable(what, value).strip()


def _label(value: Any) -> str:
    """A class's name; whole numbers and true and false are names too."""
    if isinstance(value, (bool, int)):
        return str(value).lower()
    if not isinstance(value, str):
        raise BadRow(f"expected a label, got {shown(value)}")
    if not value.strip():
        raise BadRow("expected a label, got an empty one")
    return _encodable("a label", value).strip()


def _number(value: Any) -> float:
    if isinstance(value, str) and not value.strip():
        raise BadRow("expected a number as label, got an empty one")
    if not is_number(value):
        raise BadRow(f"expected a number as label, got {shown(value)}")
    return float(value)


def _sequence(role: str, value: Any) -> tuple[str, ...]:
    """Words or tags: a list, or a text with blanks between them."""
    if isinstance(value, str):
        value = [item for item in value.split(" ") if item]
    if not isinstance(value, list):
        raise BadRow(f"expected a list or a text as {role}, got {shown(value)}")
    if not value:
        raise BadRow(f"expected {role}, got none")
    return tuple(_item(role, number, item) for number, item in enumerate(value, 1))


def _item(role: str, number: int, item: Any) -> str:
    """A word or a tag, which may be a whole number."""
    what = f"a {role.removesuffix('s')}"
    if isinstance(item, int) and not isinstance(item, bool):
        item = str(item)
    if not isinstance(item, str):
        raise BadRow(f"expected {what}, got {shown(item)} (number {number})")
    if not item.strip():
        raise BadRow(f"expected {what}, got an empty one (number {number})")
    return _encodable(what, item).strip()


def _encodable(what: str, text: str) -> str:
    """`text`; JSON can write half a character, which no file could hold afterwards."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = ascii(text[error.start])
        raise BadRow(f"expected {what}, got half of a surrogate pair ({half})") from None
    return text
