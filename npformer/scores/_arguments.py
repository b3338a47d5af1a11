"""What every score does before it counts: refuse what cannot be compared, by name, in one line.

Messages read ``score: argument: expected ..., got ...``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Labels = Sequence[str] | Sequence[int] | Array


def bad_value(score: str, argument: str, expected: str, got: object) -> NoReturn:
    """Raise the ValueError of a bad length or value."""
    raise ValueError(f"{score}: {argument}: expected {expected}, got {got}")


def bad_type(score: str, argument: str, expected: str, got: object) -> NoReturn:
    """Raise the TypeError of a bad dtype or kind of object."""
    raise TypeError(f"{score}: {argument}: expected {expected}, got {got}")


def as_list(score: str, argument: str, x: Any, of: str) -> list[Any]:
    """Return the items of a sequence or of an array of one axis. A string is neither; a set has no order."""
    if isinstance(x, (str, bytes)) or not (isinstance(x, Sequence) or hasattr(x, "__array__")):
        bad_type(score, argument, f"a sequence of {of}", type(x).__name__)
    if isinstance(x, Sequence):
        return list(x)
    array = np.asarray(x)
    if array.ndim != 1:
        bad_value(score, argument, f"a sequence of {of}", f"an array of shape {array.shape}")
    return list(array.tolist())


def require_same_length(score: str, argument: str, x: Any, of: str, other: str, like: Any) -> None:
    """Raise unless `x` has as many items as `like`, the argument `other`."""
    if len(x) != len(like):
        bad_value(score, argument, f"{len(like)} {of}, as {other}", len(x))


def as_strings(score: str, argument: str, x: Any, of: str) -> list[str]:
    """Return a sequence of strings as a list."""
    items = as_list(score, argument, x, of)
    for i, item in enumerate(items):
        if not isinstance(item, str):
            bad_type(score, f"{argument}[{i}]", "a string", repr(item))
    return items


def as_labels(score: str, argument: str, x: Any) -> list[Any]:
    """Return a sequence of labels as Python strings or as Python integers."""
    labels = as_list(score, argument, x, "labels")
    for i, label in enumerate(labels):
        if isinstance(label, str):
            labels[i] = str(label)
        elif isinstance(label, (int, np.integer, np.bool_)):
            labels[i] = int(label)
        else:
            bad_type(score, f"{argument}[{i}]", "a string or an integer", repr(label))
        if type(labels[i]) is not type(labels[0]):  # "1" and 1 would be two labels that print alike
            bad_type(score, argument, "strings alone or integers alone", f"{labels[0]!r} and {labels[i]!r}")
    return labels


def label_pair(score: str, truth: Labels, predicted: Labels) -> tuple[list[Any], list[Any]]:
    """Return two lists of labels of one kind and length, which is not 0."""
    truth, predicted = as_labels(score, "truth", truth), as_labels(score, "predicted", predicted)
    if not truth:
        bad_value(score, "truth", "at least one label", "none")
    require_same_length(score, "predicted", predicted, "labels", "truth", truth)
    if type(truth[0]) is not type(predicted[0]):
        kinds = {str: "strings", int: "integers"}
        bad_type(score, "predicted", f"{kinds[type(truth[0])]}, as truth", kinds[type(predicted[0])])
    return truth, predicted


def as_numbers(score: str, argument: str, x: npt.ArrayLike) -> Array:
    """Return `x` as float64, shape (n,); raise unless it has at least two numbers, all finite."""
    try:
        array = np.asarray(x)
    except ValueError:  # a ragged list
        bad_value(score, argument, "numbers, shape (n,)", "a ragged sequence")
    if array.dtype.kind not in "iuf":
        bad_type(score, argument, "real numbers", f"dtype {array.dtype}")
    if array.ndim != 1:
        bad_value(score, argument, "numbers, shape (n,)", f"shape {array.shape}")
    if len(array) < 2:
        bad_value(score, argument, "at least two numbers", len(array))
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        i = int(np.argmin(np.isfinite(array)))
        bad_value(score, f"{argument}[{i}]", "a finite number", array[i])
    return array
