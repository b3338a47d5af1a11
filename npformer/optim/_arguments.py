"""What every optimizer does before it changes anything: refuse bad vectors and numbers by name.

The updates are made in place, so a check that came after the first line would leave parameters half updated.
Messages read ``op: argument: expected ..., got ...``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from .._threads import UNIT

Array = npt.NDArray[Any]

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))

# A step reads and writes four vectors and makes three temporaries. In chunks of this many entries they all
# stay in a processor's last cache: each vector travels from memory once, not once per operation. Of smaller
# ones several threads get nothing, since each operation hands over the interpreter's lock. The pieces of
# threads are whole chunks, so that sums of chunks are the same sums on one thread and on many.
CHUNK = UNIT


def bad_value(op: str, argument: str, expected: str, got: object) -> NoReturn:
    """Raise the ValueError of a bad shape or value."""
    raise ValueError(f"{op}: {argument}: expected {expected}, got {got}")


def bad_type(op: str, argument: str, expected: str, got: object) -> NoReturn:
    """Raise the TypeError of a bad dtype or kind of object."""
    raise TypeError(f"{op}: {argument}: expected {expected}, got {got}")


def require_vector(
    op: str, argument: str, x: Array, like: Array | None = None, *, written: bool = True
) -> None:
    """Raise unless `x` is a contiguous float vector, as `like` is, and writable where it is `written`."""
    if not isinstance(x, np.ndarray):
        bad_type(op, argument, "a NumPy array, since it is used in place", type(x).__name__)
    if x.dtype not in FLOATS:
        bad_type(op, argument, "float32 or float64", f"dtype {x.dtype}")
    if x.ndim != 1:
        bad_value(op, argument, "a vector, shape (n,)", f"shape {x.shape}")
    if not x.flags.c_contiguous:
        bad_value(op, argument, "a contiguous vector", f"strides {x.strides} for items of {x.itemsize} bytes")
    if written and not x.flags.writeable:
        bad_value(op, argument, "a vector that may be written to", "a read-only one")
    if like is not None:
        if x.shape != like.shape:
            bad_value(op, argument, f"shape {like.shape}, as the parameters", f"shape {x.shape}")
        if x.dtype != like.dtype:
            bad_type(op, argument, f"dtype {like.dtype}, as the parameters", f"dtype {x.dtype}")


def require_apart(op: str, vectors: Mapping[str, Array]) -> None:
    """Raise if two of the contiguous `vectors` overlap: an update in place would read what it wrote."""
    names = list(vectors)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            if np.may_share_memory(vectors[first], vectors[second]):  # by bounds: exact where contiguous
                bad_value(op, second, f"a vector of its own, apart from {first}", "one that shares memory")


def require_number(
    op: str,
    argument: str,
    x: float,
    low: float,
    high: float = float("inf"),
    *,
    below: bool = False,
    above: bool = False,
) -> float:
    """Return `x` as a Python float (which never widens float32); raise unless finite and low <= x <= high.

    `above` and `below` exclude the lower and the upper end.
    """
    expected = f"a finite number {'>' if above else '>='} {low:g}"
    if high < float("inf"):
        expected += f" and {'<' if below else '<='} {high:g}"
    if isinstance(x, (str, bytes)):
        bad_type(op, argument, expected, repr(x))
    try:
        value = float(x)
    except (TypeError, ValueError):
        bad_type(op, argument, expected, repr(x))
    inside = (low < value if above else low <= value) and (value < high if below else value <= high)
    if not inside or value == float("inf"):
        bad_value(op, argument, expected, value)
    return value


def require_betas(op: str, betas: tuple[float, float]) -> tuple[float, float]:
    """Return the two decay rates of Adam; raise unless both lie in [0, 1)."""
    try:
        beta1, beta2 = betas
    except (TypeError, ValueError):
        bad_type(op, "betas", "two numbers", repr(betas))
    return (
        require_number(op, "betas[0]", beta1, 0.0, 1.0, below=True),
        require_number(op, "betas[1]", beta2, 0.0, 1.0, below=True),
    )


def require_count(op: str, argument: str, n: int, low: int) -> int:
    """Return `n` as a Python int; raise unless it is an integer >= low."""
    if isinstance(n, (bool, np.bool_)) or not isinstance(n, (int, np.integer)):
        bad_type(op, argument, f"an integer >= {low}", repr(n))
    if n < low:
        bad_value(op, argument, f"an integer >= {low}", n)
    return int(n)


def chunks(start: int, stop: int) -> Iterator[slice]:
    """Cut range(start, stop) into slices of at most `CHUNK` entries."""
    for first in range(start, stop, CHUNK):
        yield slice(first, min(first + CHUNK, stop))


def check_state(op: str, state: Mapping[str, Array], vectors: Mapping[str, Array]) -> int:
    """Return the number of steps in `state`; raise unless its names, sizes and dtypes are those of `vectors`.

    Changes nothing, so that a state that does not fit leaves the optimizer as it was.
    """
    if not isinstance(state, Mapping) and not hasattr(state, "keys"):
        bad_type(op, "state", "a dictionary of arrays", type(state).__name__)
    expected, given = {"step", *vectors}, set(state.keys())
    if given != expected:
        bad_value(op, "state", f"the names {sorted(expected)}", sorted(given))
    for name, vector in vectors.items():
        saved = np.asarray(state[name])
        if saved.shape != vector.shape:
            bad_value(op, f"state[{name!r}]", f"shape {vector.shape}", f"shape {saved.shape}")
        if saved.dtype != vector.dtype:  # a silent cast would make the resumed run another run
            bad_type(op, f"state[{name!r}]", f"dtype {vector.dtype}", f"dtype {saved.dtype}")
    step = np.asarray(state["step"])
    if step.shape != () or step.dtype.kind not in "iu":
        bad_value(op, "state['step']", "one integer", f"shape {step.shape}, dtype {step.dtype}")
    return require_count(op, "state['step']", int(step), 0)
