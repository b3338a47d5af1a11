"""How a framework's function is called, and what its arguments are called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any


def call(function: Callable[..., Any], arguments: Sequence[Any], names: tuple[str, ...]) -> Any:
    """Call `function` with the last of the arguments by name, the others by position."""
    by_position = arguments[: len(arguments) - len(names)]
    return function(*by_position, **dict(zip(names, arguments[len(by_position) :], strict=True)))


def named_as(forward: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """Give `forward` the signature of `function`, so that a report can say its arguments' names.

    A module's is that of its forward, `MyFunction.apply`'s that of MyFunction.forward without its context.
    """
    owner = getattr(function, "__self__", function)
    try:
        if getattr(function, "__name__", "") != "apply":
            owner = function
        signature = inspect.signature(getattr(owner, "forward", function))
    except (TypeError, ValueError):
        return forward
    kept = [p for p in signature.parameters.values() if p.name != "ctx"]
    forward.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
    return forward
