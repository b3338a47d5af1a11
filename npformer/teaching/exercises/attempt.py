"""Calling a student's function, and comparing what it gives: whatever goes wrong is told in words."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...gradcheck.derivative import fresh
from ..child import in_our_words, in_the_authors_words, is_our_own

DIGITS, DIGITS_FLOAT32 = 1e-9, 2e-5  # of the scale
INDENT = "\n    "


class Trouble(Exception):
    """Why there is no value: words, or not started."""

    def __init__(self, words: str, started: bool = True) -> None:
        super().__init__(words)
        self.words, self.started = words, started


def attempt(function: Callable[..., Any], *args: Any, **named: Any) -> Any:
    """Call a student's function.

    Raises
    ------
    Trouble
        Where it raises, in the words of its author.
    """
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*args, **named)
    except Trouble:
        raise
    except NotImplementedError:
        raise Trouble("not started", started=False) from None
    except (Exception, SystemExit) as error:  # whatever their code does
        if is_our_own(error):
            raise Trouble(in_our_words(error)) from None
        raise Trouble("it raised an exception" + INDENT + indented(in_the_authors_words(error))) from None


def by_name(function: Callable[..., Any], inputs: Mapping[str, Any]) -> Any:
    """Call with fresh copies of the inputs, by keyword where the parameters have these names."""
    copies = fresh(inputs)
    try:
        inspect.signature(function).bind(**copies)
    except (TypeError, ValueError):
        return function(*copies.values())
    return function(**copies)


def named(module: Any, function: str) -> Callable[..., Any]:
    """A function of a module.

    Raises
    ------
    Trouble
        Where there is none.
    """
    found = getattr(module, function, None)
    if not callable(found):
        raise Trouble(f"there is no function {function} in the file")
    return found


def difference(given: Any, expected: Any, dtype: Any = None, shown: bool = True) -> str:
    """Say how a value differs from the expected one, "" where it does not.

    Parameters
    ----------
    given, expected : anything, ndarray
    dtype : dtype, optional
        What the inputs were: float32 has fewer digits, and should come out again.
    shown : bool
        May numbers be told?

    Examples
    --------
    >>> difference(np.array([1.0, 2.5]), np.array([1.0, 2.0]))
    '1 of 2 entries differ; worst at (1,): given 2.5, expected 2'
    >>> difference(np.array([1.0, 2.5]), np.array([1.0, 2.0]), shown=False)
    'the values differ'
    """
    if given is None:
        return "it is missing (None)"
    try:
        given = np.asarray(given)
    except ValueError:
        return "expected an array, got a ragged list"
    except Exception as raised:  # by an __array__ of theirs
        return f"expected an array, got {type(given).__name__}, which raises {type(raised).__name__}"
    expected = np.asarray(expected)
    if given.dtype.kind not in "fiub":
        return f"expected an array of numbers, got {type(given).__name__} of dtype {given.dtype}"
    if given.shape != expected.shape:
        return f"expected shape {expected.shape}, got {given.shape}" if shown else "the shape is wrong"
    if dtype == np.float32 and given.dtype != np.float32 and given.ndim:
        return f"the inputs are float32, the result is {given.dtype}"
    if dtype == np.float64 and given.dtype == np.float32:
        return "the inputs are float64, the result is float32"
    if not np.isfinite(given[np.isfinite(expected)]).all():
        return f"{int((~np.isfinite(given)).sum())} of {given.size} entries are NaN or infinite"
    allowed = DIGITS_FLOAT32 if dtype == np.float32 else DIGITS
    error = np.abs(given.astype(float) - expected.astype(float))
    wrong = error > allowed * max(float(np.max(np.abs(expected), initial=0.0)), 1e-3)
    if not wrong.any():
        return ""
    if not shown:
        return "the values differ"
    where = np.unravel_index(int(error.argmax()), error.shape)
    at = f" at {tuple(int(i) for i in where)}" if error.ndim else ""
    numbers = f"given {given[where]:.6g}, expected {expected[where]:.6g}"
    return f"{int(wrong.sum())} of {wrong.size} entries differ; worst{at}: {numbers}"


def changed(inputs: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    """The arrays that are no longer what they were."""
    return [
        name
        for name, old in before.items()
        if isinstance(old, np.ndarray) and not np.array_equal(inputs[name], old, equal_nan=_is_float(old))
    ]


def dtype_of(inputs: Mapping[str, Any]) -> Any:
    """float32 where all floating-point inputs are, else float64."""
    floats = {x.dtype for x in inputs.values() if isinstance(x, np.ndarray) and x.dtype.kind == "f"}
    return np.dtype(np.float32) if floats == {np.dtype(np.float32)} else np.dtype(np.float64)


def _is_float(x: Any) -> bool:
    return bool(x.dtype.kind == "f")


def indented(text: str) -> str:
    """Every line but the first a little to the right."""
    return text.strip().replace("\n", INDENT)
