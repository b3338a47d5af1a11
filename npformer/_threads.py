"""Threads: Python's for the lanes of a step and the micro-batches of an inference, one for each BLAS call.

Two Python threads that each call a BLAS of two threads make four on two cores, and nearly halve the speed.
So Python's threads get the cores, and BLAS one thread; but where one token is written after another there is
nothing to share but the products, and BLAS gets the cores. The commands say so in the environment before
NumPy loads, which is why nothing here imports it; a program that has NumPy already needs threadpoolctl for
that, and without it the threads are BLAS's alone.
SciPy may carry a BLAS of its own, which nothing here calls.
"""

from __future__ import annotations

import contextlib
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:  # a command's --help does not wait for it
    from concurrent.futures import Executor

Result = TypeVar("Result")
Limit = Callable[[], contextlib.AbstractContextManager[object]]

PIECES = 4  # a thread that is late takes one fewer; more pieces are more hand-overs
WORTH = 1 << 20  # numbers: less than that is done before another thread has woken
UNIT = 1 << 18  # numbers, of which a piece has a multiple
BLAS_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def available_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def one_blas_thread() -> Iterator[bool]:
    """Hold every BLAS at one thread; yield whether that could be done, with a warning where not.

    It cannot without threadpoolctl, nor while others hold BLAS at more (`blas_threads`). Then Python had
    better use one thread as well: the threads of BLAS are all that there are.
    (Python shows the warning once.)
    """
    if available_cores() == 1 or all(os.environ.get(name) == "1" for name in BLAS_VARIABLES):
        limit: Limit = contextlib.nullcontext  # it has one
    else:
        try:
            import threadpoolctl
        except ImportError:
            warnings.warn(
                "BLAS may use several threads, so npformer uses one, and the last bits may differ: set "
                f"{', '.join(BLAS_VARIABLES[:-1])} and {BLAS_VARIABLES[-1]} to 1 before Python starts, or "
                "install threadpoolctl (npformer[speed])",
                RuntimeWarning,
                stacklevel=3,
            )
            yield False
            return
        limit = partial(threadpoolctl.threadpool_limits, 1, user_api="blas")
    with _limit.held(1, limit) as n:
        if n != 1:
            warnings.warn(
                f"BLAS is held at {n} threads by what has not ended (generate, stream or beam_search with "
                "threads), so npformer uses one, and the last bits may differ",
                RuntimeWarning,
                stacklevel=3,
            )
        yield n == 1


@contextlib.contextmanager
def blas_threads(n: int | None) -> Iterator[None]:
    """Give every BLAS `n` threads if threadpoolctl is installed and nobody holds them; None: as they are."""
    if n is None:
        yield
        return
    try:
        import threadpoolctl
    except ImportError:
        yield
        return
    with _limit.held(n, partial(threadpoolctl.threadpool_limits, n, user_api="blas")):
        yield


class _Shared:
    """A limit of the whole process: set for the first of those in it at once, taken back after the last.

    One for each would be gone with the first for all of them, and the last would put back what it had found.
    """

    def __init__(self) -> None:
        self._lock, self._context, self._users = threading.Lock(), contextlib.ExitStack(), 0
        self._n = 0  # of the first

    @contextlib.contextmanager
    def held(self, n: int, make: Limit) -> Iterator[int]:
        """Set a limit of `n` with `make`, unless there is one; yield the one that there is."""
        with self._lock:
            if not self._users:
                self._context.enter_context(make())
                self._n = n
            self._users += 1
            in_force = self._n
        try:
            yield in_force
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    self._context.close()


_limit = _Shared()


def in_pieces(
    work: Callable[[int, int], Result],
    size: int,
    executor: Executor | None,
    unit: int = UNIT,
    worth: int = WORTH,
) -> list[Result]:
    """Return work(start, stop) of neighbouring pieces of range(size), in order.

    For what is done to a vector of all parameters between the lanes' work, while the other cores would wait.
    Where every entry is worked on by itself, the bits do not depend on where the vector is cut.

    Parameters
    ----------
    work : callable
    size : int
    executor : Executor or None
        None: the calling thread does it in one piece.
    unit : int
        Pieces begin at multiples of it.
    worth : int
        A vector of no more than that is one piece.

    Examples
    --------
    >>> in_pieces(lambda start, stop: (start, stop), 10, None, unit=2, worth=4)
    [(0, 10)]
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor(2) as executor:
    ...     in_pieces(lambda start, stop: (start, stop), 10, executor, unit=2, worth=4)
    [(0, 4), (4, 8), (8, 10)]
    """
    if executor is None or size <= worth:
        return [work(0, size)]
    each = unit * -(-size // (PIECES * unit))
    starts = range(0, size, each)
    futures = [executor.submit(work, start, min(start + each, size)) for start in starts]
    return [future.result() for future in futures]
