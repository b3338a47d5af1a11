"""The checks of a configuration's fields: each raises naming the field, what was expected and what came."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, NoReturn


class Fields:
    """The fields of a configuration, to be checked one after the other.

    Parameters
    ----------
    config : dataclass
    """

    def __init__(self, config: Any) -> None:
        self.config, self.owner = config, type(config).__name__

    def bad(self, name: str, expected: str, got: Any) -> NoReturn:
        """Raise for a field."""
        raise ValueError(f"{self.owner}: {name}: expected {expected}, got {got}")

    def integers(self, *names: str, least: int = 1) -> None:
        """Check whole numbers of at least `least`."""
        for name in names:
            value = getattr(self.config, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{self.owner}: {name}: expected an integer, got {value!r}")
            if value < least:
                self.bad(name, f"at least {least}", value)

    def optional_integers(self, *names: str) -> None:
        """Check whole numbers of at least 1, or None."""
        self.integers(*(name for name in names if getattr(self.config, name) is not None))

    def choice(self, name: str, allowed: tuple[str, ...]) -> None:
        """Check one of a few names."""
        value = getattr(self.config, name)
        if value not in allowed:
            self.bad(name, f"one of {', '.join(allowed)}", repr(value))

    def strings(self, *names: str) -> None:
        """Check lists or tuples of strings, and make tuples of them."""
        for name in names:
            value = getattr(self.config, name)
            if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
                raise TypeError(f"{self.owner}: {name}: expected a list of names, got {value!r}")
            object.__setattr__(self.config, name, tuple(value))  # lists come out of JSON

    def divides(self, name: str, whole: str) -> None:
        """Check that a field divides another."""
        value, of = getattr(self.config, name), getattr(self.config, whole)
        if of % value:
            self.bad(name, f"a divisor of {whole} = {of}", value)

    def task(self, tasks: tuple[str, ...], poolings: tuple[str, ...]) -> None:
        """Check the fields of a head for fine-tuning: task, n_labels, task_pooling, task_dropout."""
        task, n_labels = self.config.task, self.config.n_labels
        self.integers("n_labels", least=0)
        self.choice("task_pooling", poolings)
        self.number("task_dropout", high=1.0)
        if task is None:
            if n_labels:
                self.bad("n_labels", "0 without a task", n_labels)
            return
        self.choice("task", tasks)
        if task == "regress" and n_labels != 1:
            self.bad("n_labels", "1 for task 'regress'", n_labels)
        if task != "regress" and n_labels < 2:
            self.bad("n_labels", f"at least 2 for task {task!r}", n_labels)

    def number(self, name: str, low: float = 0.0, high: float = math.inf) -> None:
        """Check a number in [low, high); NaN is in none."""
        value = getattr(self.config, name)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(f"{self.owner}: {name}: expected a number, got {value!r}")
        if not low <= value < high:
            self.bad(name, f"a number in [{low:g}, {high:g})", value)


def known(config: type, values: Mapping[str, Any], **inner: type) -> dict[str, Any]:
    """Return `values`, refusing by name what is no field of `config`, and a field that is missing.

    `inner` are the fields that are None or configurations themselves, with their types.
    """
    names = {f.name for f in fields(config)}
    unknown = sorted(set(values) - names)
    if unknown:
        expected = ", ".join(sorted(names))
        raise ValueError(f"{config.__name__}: unknown field {unknown[0]!r}, expected {expected}")
    for f in fields(config):
        if f.default is MISSING and f.name not in values:
            raise TypeError(f"{config.__name__}: {f.name}: expected a value (it has no default), got none")
    made = dict(values)
    for name, kind in inner.items():
        if made.get(name) is not None:
            made[name] = kind(**known(kind, made[name]))
    return made
