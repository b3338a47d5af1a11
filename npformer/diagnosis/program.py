"""A textbook function taken apart into its lines, which can be evaluated with some of them changed.

The gradients of a backward with a mistake are those of the right one with one line rewritten, and only what
depends on that line has to be computed again.
"""

from __future__ import annotations

import ast
import functools
import inspect
import re
import textwrap
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .textbook import FORMS, TEXTBOOK, language

Array = npt.NDArray[Any]
LANGUAGE = {name: getattr(language, name) for name in language.__all__}
LANGUAGE |= {"PI": np.pi, "len": len, "np": np, "language": language}
STEP = re.compile(r"#\s*(\d[\d, ]*)$")


@dataclass(frozen=True)
class Line:
    """`target = expression`, with the number of the step it belongs to ("" in the forward)."""

    target: str
    expression: ast.expr
    code: types.CodeType
    reads: frozenset[str]
    step: str
    backward: bool

    @property
    def text(self) -> str:
        """The line as it is written."""
        return f"{self.target} = {ast.unparse(self.expression)}"


@dataclass(frozen=True)
class Program:
    """The lines of one op; `gradients` says which line is the gradient of which input."""

    op: str
    arguments: tuple[str, ...]
    lines: tuple[Line, ...]
    gradients: Mapping[str, str]

    def line(self, target: str) -> Line:
        """The line that computes `target`."""
        return next(line for line in self.lines if line.target == target)

    def downstream(self, targets: frozenset[str]) -> tuple[Line, ...]:
        """What has to be computed again, in order, when these lines change."""
        return _downstream(self.op, targets)


@functools.cache
def program(op: str) -> Program:
    """Return the lines of an op of the textbook.

    Examples
    --------
    >>> [line.text for line in program("dropout").lines if line.backward]
    ['dout = dout', 'kept = dout * keep', 'dx = kept * scale']
    """
    source = textwrap.dedent(inspect.getsource({**TEXTBOOK, **FORMS}[op]))
    function = ast.parse(source).body[0]
    assert isinstance(function, ast.FunctionDef)
    texts = source.splitlines()
    lines: list[Line] = []
    backward = False
    gradients: dict[str, str] = {}
    for statement in function.body:
        if isinstance(statement, ast.Assign):
            target = statement.targets[0]
            assert isinstance(target, ast.Name)
            step = STEP.search(texts[statement.lineno - 1])
            label = step.group(1).strip() if step else ""
            lines.append(_line(target.id, statement.value, label, backward))
            if target.id == "out":
                backward = True
                lines.append(_line("dout", ast.Name("dout", ast.Load()), "0", True))
        elif isinstance(statement, ast.Return):
            assert isinstance(statement.value, ast.Tuple)
            names = [element.id for element in statement.value.elts if isinstance(element, ast.Name)]
            gradients = {name[1:]: name for name in names[1:]}
    return Program(op, tuple(a.arg for a in function.args.args), tuple(lines), gradients)


def _line(target: str, expression: ast.expr, step: str, backward: bool) -> Line:
    reads = frozenset(node.id for node in ast.walk(expression) if isinstance(node, ast.Name))
    return Line(target, expression, compiled(expression), reads, step, backward)


@functools.cache
def _downstream(op: str, targets: frozenset[str]) -> tuple[Line, ...]:
    changed = set(targets)
    found = []
    for line in program(op).lines:
        if line.target in changed or line.reads & changed:
            if line.target == "dout" and "dout" not in targets:
                continue
            changed.add(line.target)
            found.append(line)
    return tuple(found)


def compiled(expression: ast.expr) -> types.CodeType:
    """Return the code of an expression."""
    return compile(ast.fix_missing_locations(ast.Expression(expression)), "<textbook>", "eval")


@functools.cache
def compiled_name(name: str) -> types.CodeType:
    """Return the code that reads one name."""
    return compiled(ast.Name(name, ast.Load()))


def evaluate(op: str, arguments: Mapping[str, Any], until: str = "") -> dict[str, Any]:
    """Compute every line of the op, or those up to the line `until`.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[1.0, 2.0]])
    >>> values = evaluate("tanh", {"x": x, "dout": np.ones_like(x)})
    >>> bool(np.allclose(values["dx"], 1 - np.tanh(x) ** 2))
    True
    """
    values = dict(arguments)
    with np.errstate(all="ignore"):
        for line in program(op).lines:
            values[line.target] = eval(line.code, LANGUAGE, values)
            if line.target == until:
                break
    return values


def reevaluate(
    op: str,
    values: Mapping[str, Any],
    rewrites: Mapping[str, types.CodeType],
    returns: Mapping[str, types.CodeType],
) -> dict[str, Any] | None:
    """Return the gradients by input with some lines rewritten, or None where the shapes do not fit.

    Only gradients that may have changed are in it.
    """
    known = program(op)
    new = dict(values)
    found: dict[str, Any] = {}
    try:
        changed = set()
        for line in known.downstream(frozenset(rewrites)) if rewrites else ():
            new[line.target] = eval(rewrites.get(line.target, line.code), LANGUAGE, new)
            changed.add(line.target)
        for name, target in known.gradients.items():
            if name in returns:
                found[name] = np.asarray(eval(returns[name], LANGUAGE, new))
            elif target in changed:
                found[name] = np.asarray(new[target])
    except (ValueError, TypeError, IndexError, ArithmeticError, AttributeError):
        return None
    return found
