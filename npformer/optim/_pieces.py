"""One pass over a flat vector, shared among threads.

What is done to a vector of all parameters is done between the lanes' work, while the other cores would
wait. Every entry is worked on by itself, so the bits do not depend on where the vector is cut, nor on who
takes which piece.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

Result = TypeVar("Result")

PIECES = 4  # a thread that is late takes one fewer; more pieces are more hand-overs


def in_pieces(
    work: Callable[[int, int], Result], size: int, executor: Executor | None, unit: int
) -> list[Result]:
    """Return work(start, stop) of neighbouring pieces of range(size), in order.

    Parameters
    ----------
    work : callable
    size : int
    executor : Executor or None
        None: the calling thread does it in one piece.
    unit : int
        Pieces begin at multiples of it.

    Examples
    --------
    >>> in_pieces(lambda start, stop: (start, stop), 10, None, unit=3)
    [(0, 10)]
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor(2) as executor:
    ...     in_pieces(lambda start, stop: (start, stop), 10, executor, unit=2)
    [(0, 4), (4, 8), (8, 10)]
    """
    if executor is None or size <= unit:
        return [work(0, size)]
    each = unit * max(1, -(-size // (PIECES * unit)))
    starts = range(0, size, each)
    futures = [executor.submit(work, start, min(start + each, size)) for start in starts]
    return [future.result() for future in futures]
