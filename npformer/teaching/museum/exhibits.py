"""An exhibit: a right backward with a line replaced, at a point where it shows."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...diagnosis import sample_inputs
from .index import INDEX
from .lines import LINES
from .ops import activations, attention, losses, normalisation, objectives, projections, tiles

Function = Callable[..., Any]

EQUAL = {  # mistakes that only equal sizes let through to a number
    ("linear", "weight-not-transposed"),
    ("multi_head_attention", "weight-not-transposed"),
    ("multi_head_attention", "input-for-joined-heads"),
    ("scaled_dot_product_attention", "weights-not-transposed"),
    ("scaled_dot_product_attention", "scores-not-transposed"),
    ("scaled_dot_product_attention", "swapped-gradients"),
    ("hard_negatives", "swapped-gradients"),
    ("lora", "weight-not-transposed"),
    ("lora", "swapped-gradients"),
    ("pooler", "slope-after-the-weight"),
}

_ROOMS = (projections, activations, normalisation, losses, attention, tiles, objectives)


@dataclass(frozen=True)
class Exhibit:
    """A catalogued mistake.

    Parameters
    ----------
    number : int
        Its place in the catalogue, from 1.
    op, name : str
    what : str
        What the wrong backward does.
    right, wrong : tuple of str
        The lines (or parts of them) that are exchanged.
    why : str
        Why it looks right.

    Examples
    --------
    >>> from npformer import check
    >>> wrong = exhibit("softmax/sum-term-missing")
    >>> forward, backward = wrong.build()
    >>> sorted(check(forward, backward, wrong.point(0)).names)
    ['sum-term-missing']
    """

    number: int
    op: str
    name: str
    what: str
    right: tuple[str, ...]
    wrong: tuple[str, ...]
    why: str

    def build(self) -> tuple[Function, Function]:
        """Return the right forward and the wrong backward."""
        return student(self.op)[0], _made(self.op, list(zip(self.right, self.wrong, strict=True)))

    def sources(self) -> tuple[str, str]:
        """Return the text of the right backward, and of the wrong one."""
        changes = list(zip(self.right, self.wrong, strict=True))
        return _changed(self.op, []), _changed(self.op, changes)

    def point(self, seed: int) -> dict[str, Any]:
        """Return a generic point at which the mistake shows."""
        return sample_inputs(self.op, seed, (self.op, self.name) in EQUAL)

    def combine(self, other: Exhibit) -> tuple[Function, Function] | None:
        """Return the right forward and a backward with both, or None where they are the same lines."""
        if other.op != self.op:
            return None
        source = inspect.getsource(student(self.op)[1])
        spans = [(source.index(text), source.index(text) + len(text)) for text in (*self.right, *other.right)]
        mine, theirs = spans[: len(self.right)], spans[len(self.right) :]
        if any(a < d and c < b for a, b in mine for c, d in theirs):
            return None
        changes = [*zip(self.right, self.wrong, strict=True), *zip(other.right, other.wrong, strict=True)]
        return student(self.op)[0], _made(self.op, changes)


def student(op: str) -> tuple[Function, Function]:
    """Return the right forward and backward of an op, as they are written in an exercise."""
    for room in _ROOMS:
        if hasattr(room, f"{op}_forward"):
            return getattr(room, f"{op}_forward"), getattr(room, f"{op}_backward")
    raise ValueError(f"student: op: expected one of {', '.join(INDEX)}, got {op!r}")


def _changed(op: str, changes: list[tuple[str, str]]) -> str:
    """The source of an op's backward with some of its text exchanged."""
    source = inspect.getsource(student(op)[1])
    spans = sorted(((source.index(right), right, wrong) for right, wrong in changes), reverse=True)
    for start, right, wrong in spans:
        if source.count(right) != 1:
            raise ValueError(f"{op}: the line {right!r} stands there {source.count(right)} times, not once")
        source = source[:start] + wrong + source[start + len(right) :]
    return source


def _made(op: str, changes: list[tuple[str, str]]) -> Function:
    backward = student(op)[1]
    names = dict(vars(inspect.getmodule(backward)))
    exec(compile(_changed(op, changes), f"<{op}>", "exec"), names)
    made: Function = names[backward.__name__]
    return made


def _parts(text: str, number: int) -> tuple[str, ...]:
    return tuple(text.split("; ")) if number > 1 else (text,)


def _exhibits() -> tuple[Exhibit, ...]:
    found: list[Exhibit] = []
    for op, names in INDEX.items():
        for name, what in names:
            right, wrong, why = LINES[op][name]
            several = len(right.split("; "))
            exhibit = Exhibit(
                len(found) + 1, op, name, what, _parts(right, several), _parts(wrong, several), why
            )
            found.append(exhibit)
    return tuple(found)


EXHIBITS = _exhibits()


def exhibit(which: int | str) -> Exhibit:
    """Return an exhibit by its number or as "op/name".

    Raises
    ------
    ValueError
        If there is none.
    """
    for found in EXHIBITS:
        if which in (found.number, str(found.number), f"{found.op}/{found.name}"):
            return found
    expected = f"a number from 1 to {len(EXHIBITS)}, an op, op/name or an optimizer"
    raise ValueError(f"museum: expected {expected}, got {which!r}")
