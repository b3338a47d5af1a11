"""Every way to get one line wrong, made mechanically from the line's own expression.

Each term dropped, doubled, its sign flipped; each factor dropped, squared, cubed, inverted, shifted; each
operator exchanged; each transpose forgotten or added, operands swapped; each sum over another axis, averaged,
or not taken; each constant changed; each quantity replaced by another of the same shape (x for x_hat).
"""

from __future__ import annotations

import ast
import copy
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

import numpy as np

from .program import Line, compiled, program

REDUCTIONS = ("sum_over", "mean_over")
OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Pow: "**",
    ast.Mod: "%",
    ast.FloorDiv: "//",
}


@dataclass(frozen=True)
class Switch:
    """A mistake that can be switched on: lines rewritten, or gradients returned otherwise."""

    identifier: str
    rewrites: Mapping[str, CodeType] = field(default_factory=dict)
    returns: Mapping[str, CodeType] = field(default_factory=dict)
    step: str = ""
    wrong: str = ""  # the wrong line
    right: str = ""  # what it should be
    cause: str = ""
    rank: int = 2  # 0 catalogue, 1 whole gradient, 2 mechanical in the backward, 3 in what the forward saved


def from_text(
    op: str,
    identifier: str,
    rewrites: Mapping[str, str],
    returns: Mapping[str, str],
    cause: str = "",
    rank: int = 0,
) -> Switch:
    """Return a switch written down by hand."""
    lines = [program(op).line(target) for target in rewrites]
    wrong = "; ".join(
        [f"{target} = {text}" for target, text in rewrites.items()]
        + [f"d{name} = {text}" for name, text in returns.items()]
    )
    right = "; ".join(
        [line.text for line in lines] + [f"d{name} = {program(op).gradients[name]}" for name in returns]
    )
    steps = [line.step for line in lines if line.backward]
    if not steps and returns:
        steps = [program(op).line(program(op).gradients[name]).step for name in returns]
    return Switch(
        identifier,
        {target: _code(text) for target, text in rewrites.items()},
        {name: _code(text) for name, text in returns.items()},
        steps[0] if steps else "",
        wrong,
        right,
        cause,
        rank,
    )


def _code(text: str) -> CodeType:
    return compile(text, "<mistake>", "eval")


@functools.cache
def mechanical(op: str) -> tuple[Switch, ...]:
    """Every mechanical switch of an op that does not depend on the shapes at hand."""
    found: list[Switch] = []
    for line in program(op).lines:
        if line.target in ("out", "dout"):
            continue
        for expression, identifier in edits(line.expression):
            found.append(_switch(line, expression, identifier))
        if line.backward:  # a quantity that the forward saved, computed wrongly in this one place
            for node in ast.walk(line.expression):
                if not isinstance(node, ast.Name):
                    continue
                source = next((m for m in program(op).lines if m.target == node.id and not m.backward), None)
                if source is None:
                    continue
                for expression, identifier in edits(source.expression):
                    inlined = _replaced(line.expression, node, expression)
                    found.append(_switch(line, inlined, identifier, rank=3))
    return tuple(found)


def neighbours(op: str, values: Mapping[str, Any]) -> tuple[Switch, ...]:
    """Each quantity in each backward line replaced by another of the same shape."""
    return _neighbours(
        op,
        tuple(
            (name, value.shape)
            for name, value in values.items()
            if isinstance(value, np.ndarray) and value.dtype.kind in "fb"
        ),
    )


@functools.lru_cache(maxsize=64)  # who checks one backward often has the same shapes
def _neighbours(op: str, of_values: tuple[tuple[str, tuple[int, ...]], ...]) -> tuple[Switch, ...]:
    shapes = dict(of_values)
    lines = program(op).lines
    found: list[Switch] = []
    for number, line in enumerate(lines):
        if not line.backward or line.target == "dout":
            continue
        known = set(program(op).arguments) | {other.target for other in lines[:number]} - {"out"}
        known.add("out")
        for node in ast.walk(line.expression):
            if not isinstance(node, ast.Name) or node.id not in shapes or node.id == line.target:
                continue
            if node.id == "dout":
                ones = _parsed("ones_like(dout)")
                expression = _replaced(line.expression, node, ones)
                found.append(_switch(line, expression, "upstream-ignored", rank=1))
            for other, shape in shapes.items():
                if other in known and other != node.id and shape == shapes[node.id]:
                    expression = _replaced(line.expression, node, ast.Name(other, ast.Load()))
                    found.append(_switch(line, expression, f"{other}-for-{node.id}"))
    return tuple(found)


def _switch(line: Line, expression: ast.expr, identifier: str, rank: int = 2) -> Switch:
    wrong = f"{line.target} = {ast.unparse(expression)}"
    code = {line.target: compiled(expression)}
    return Switch(identifier, code, {}, line.step, wrong, line.text, rank=rank if line.backward else 3)


def _replaced(expression: ast.expr, old: ast.expr, new: ast.expr) -> ast.expr:
    """The expression with one node (by identity) replaced."""

    class Replace(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> Any:
            return copy.deepcopy(new) if node is old else super().generic_visit(_shallow(node))

    def _shallow(node: ast.AST) -> ast.AST:
        fields = {
            name: list(value) if isinstance(value, list) else value for name, value in ast.iter_fields(node)
        }
        return type(node)(**fields)

    result = Replace().visit(expression)
    assert isinstance(result, ast.expr)
    return result


def edits(expression: ast.expr) -> Iterator[tuple[ast.expr, str]]:
    """Each wrong version of an expression, with the name of what was done to it."""
    for node in ast.walk(expression):
        if isinstance(node, ast.expr):
            for new, identifier in _of_node(node):
                yield _replaced(expression, node, new), identifier


def _of_node(node: ast.expr) -> Iterator[tuple[ast.expr, str]]:
    if isinstance(node, ast.BinOp):
        yield from _of_operation(node)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield node.operand, "sign-flipped"
    elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        number = node.value
        for value in (number + 1, number - 1, number * 2, number / 2, -number, 0):
            if value != number:
                yield ast.Constant(value), "constant-changed"
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        yield from _of_call(node, node.func.id)


def _of_operation(node: ast.BinOp) -> Iterator[tuple[ast.expr, str]]:
    a, b, kind = node.left, node.right, type(node.op)

    def made(left: ast.expr, op: ast.operator, right: ast.expr) -> ast.expr:
        return ast.BinOp(left, op, right)

    if kind in (ast.Add, ast.Sub):
        minus_b = ast.UnaryOp(ast.USub(), b) if kind is ast.Sub else b
        yield a, "term-dropped"
        yield minus_b, "term-dropped"
        yield made(a, ast.Sub() if kind is ast.Add else ast.Add(), b), "term-sign-flipped"
        yield made(b, ast.Sub(), a), "term-sign-flipped"
        yield made(a, node.op, made(ast.Constant(2), ast.Mult(), b)), "term-doubled"
        yield made(made(ast.Constant(2), ast.Mult(), a), node.op, b), "term-doubled"
    elif kind is ast.Mult:
        yield a, "factor-dropped"
        yield b, "factor-dropped"
        yield made(made(a, ast.Mult(), a), ast.Mult(), b), "factor-squared"
        yield made(a, ast.Mult(), made(b, ast.Mult(), b)), "factor-squared"
        yield made(made(a, ast.Pow(), ast.Constant(3)), ast.Mult(), b), "factor-cubed"
        yield made(a, ast.Mult(), made(b, ast.Pow(), ast.Constant(3))), "factor-cubed"
        yield made(b, ast.Div(), a), "factor-inverted"
        yield made(a, ast.Div(), b), "factor-inverted"
    elif kind is ast.Div:
        yield a, "divisor-dropped"
        yield b, "factor-inverted"
        yield made(ast.Constant(1), ast.Div(), b), "factor-dropped"
        yield made(a, ast.Mult(), b), "multiplied-not-divided"
        yield made(b, ast.Div(), a), "fraction-inverted"
        yield made(made(a, ast.Div(), b), ast.Div(), b), "divisor-squared"
    elif kind is ast.MatMult:
        yield made(b, ast.MatMult(), a), "operands-swapped"
        yield _call("T", node), "transposed"
        for left, right in ((_transposed(a), b), (a, _transposed(b)), (_transposed(a), _transposed(b))):
            yield made(left, ast.MatMult(), right), "transpose-exchanged"
        yield _call("T", made(b, ast.MatMult(), a)), "operands-swapped"
        yield made(a, ast.Mult(), b), "product-by-element"
    for other in OPERATORS:
        if other is not kind and kind in OPERATORS:
            yield made(a, other(), b), "operator-exchanged"
    if kind in (ast.Mult, ast.MatMult):
        for shift in ("np.roll({}, 1, 0)", "np.roll({}, 1, -1)", "np.roll({}, -1, 0)", "{}[::-1]"):
            for side in (0, 1):
                operand = (a, b)[side]
                if isinstance(operand, ast.Constant):
                    continue
                shifted = _parsed(shift.format(f"({ast.unparse(operand)})"))
                yield made(shifted, node.op, b) if side == 0 else made(a, node.op, shifted), "shifted"


def _of_call(node: ast.Call, name: str) -> Iterator[tuple[ast.expr, str]]:
    x = node.args[0] if node.args else node
    if name == "T":
        yield x, "transpose-missing"
    elif name in REDUCTIONS:
        other = REDUCTIONS[1 - REDUCTIONS.index(name)]
        yield _call(other, *node.args), "averaged-not-summed" if name == "sum_over" else "summed-not-averaged"
        for axis in ("0", "1", "2", "-1", "-2", "-3", "None"):
            wrong = _parsed(axis)
            yield _call(name, x, wrong, *node.args[2:]), "axis-exchanged"
            yield _call(other, x, wrong, *node.args[2:]), "axis-exchanged"
        yield x, "not-summed"
        yield _call(name, *node.args[:2], ast.Constant(False)), "keepdims-missing"
    elif name == "sum_rows":
        text = ast.unparse(x)
        yield x, "not-summed"
        for wrong_text, identifier in (
            (f"sum_rows({text}) / (({text}).size // ({text}).shape[-1])", "averaged-not-summed"),
            (f"sum_everything({text})", "summed-over-everything"),
            (f"({text}).sum(0)", "summed-over-too-few-axes"),
            (f"({text}).sum(1)", "summed-over-too-few-axes"),
            (f"({text}).sum(-1)", "axis-exchanged"),
            (f"({text}).mean(0)", "averaged-not-summed"),
            (f"sum_rows({text})[None]", "keepdims-left-in"),
            (f"sum_rows({text})[:, None]", "keepdims-left-in"),
            (f"sum_rows({text}).reshape((1,) * (({text}).ndim - 1) + (-1,))", "keepdims-left-in"),
        ):
            yield _parsed(wrong_text), identifier
    elif name == "where":
        yield node.args[1], "mask-missing"
    elif name == "merge":
        inner = ast.unparse(x)
        reshaped = f"({inner}).reshape(*({inner}).shape[:-3], ({inner}).shape[-2], -1)"
        yield _parsed(reshaped), "heads-merged-without-transpose"
    elif name == "heads":
        inner, h = ast.unparse(x), ast.unparse(node.args[1])
        reshaped = f"({inner}).reshape(*({inner}).shape[:-2], {h}, ({inner}).shape[-2], -1)"
        yield _parsed(reshaped), "heads-merged-without-transpose"
    elif name in ("scatter", "partner"):
        if name == "scatter":
            yield _call("overwrite", *node.args), "overwritten-not-accumulated"
        else:
            yield x, "halves-not-exchanged"


def _parsed(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def _call(name: str, *args: ast.expr) -> ast.expr:
    return ast.Call(ast.Name(name, ast.Load()), list(args), [])


def _transposed(x: ast.expr) -> ast.expr:
    if isinstance(x, ast.Call) and isinstance(x.func, ast.Name) and x.func.id == "T":
        return x.args[0]
    return _call("T", x)
