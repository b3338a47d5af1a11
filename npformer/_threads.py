"""Threads: Python's for the lanes of a step and the micro-batches of an inference, one for each BLAS call.

Two Python threads that each call a BLAS of two threads make four on two cores, and nearly halve the speed.
So Python's threads get the cores, and BLAS one thread. The commands say so in the environment before NumPy
loads, which is why nothing here imports it; a program that has NumPy already needs threadpoolctl for it.
SciPy may carry a BLAS of its own, which nothing here calls.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:  # a command's --help does not wait for it
    from concurrent.futures import Executor

Result = TypeVar("Result")

PIECES = 4  # a thread that is late takes one fewer; more pieces are more hand-overs
BLAS_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def available_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold every BLAS at one thread, as far as that is possible; otherwise warn (Python shows it once)."""
    if available_cores() == 1 or all(os.environ.get(name) == "1" for name in BLAS_VARIABLES):
        yield
        return
    try:
        import threadpoolctl
    except ImportError:
        warnings.warn(
            "BLAS may use several threads, which slows down Python's and can change the last bits: set "
            "OPENBLAS_NUM_THREADS=1, or install threadpoolctl (npformer[speed])",
            RuntimeWarning,
            stacklevel=3,
        )
        yield
        return
    with _limit.held(lambda: threadpoolctl.threadpool_limits(1, user_api="blas")):
        yield


class Team:
    """The calling thread and helpers, for many short pieces of work one after the other.

    Queues hand the work over in about 8 us, where an executor takes 20.

    Parameters
    ----------
    threads : int
        The calling one among them.

    Examples
    --------
    >>> with Team(2) as team:
    ...     found = [0, 0]
    ...     team.run(lambda i, n: found.__setitem__(i, 10 * i + n))
    >>> found
    [2, 12]
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._tasks = [queue.SimpleQueue[Any]() for _ in range(1, threads)]
        self._answers = queue.SimpleQueue[BaseException | None]()
        for i, tasks in enumerate(self._tasks, 1):
            threading.Thread(target=self._help, args=(i, tasks), daemon=True, name=f"team-{i}").start()

    def run(self, work: Callable[[int, int], None]) -> None:
        """Call work(i, n) for each of n = `threads` pieces i, the first in the calling thread.

        Raises
        ------
        Exception
            What a piece has raised, when all have ended.
        """
        for tasks in self._tasks:
            tasks.put(work)
        try:
            work(0, self.threads)
        finally:
            errors = [self._answers.get() for _ in self._tasks]
        for error in errors:
            if error is not None:
                raise error

    def _help(self, i: int, tasks: queue.SimpleQueue[Any]) -> None:
        while (work := tasks.get()) is not None:
            error: BaseException | None = None
            try:
                work(i, self.threads)
            except BaseException as raised:  # of whatever kind: it is raised where the work came from
                error = raised
            del work  # which may hold large arrays
            self._answers.put(error)

    def __enter__(self) -> Team:
        return self

    def __exit__(self, *exception: object) -> None:
        for tasks in self._tasks:
            tasks.put(None)


class _Shared:
    """A context of the whole process: entered for the first of those in it at once, left after the last.

    One for each would be gone with the first for all of them, and the last would put back what it had found.
    """

    def __init__(self) -> None:
        self._lock, self._context, self._users = threading.Lock(), contextlib.ExitStack(), 0

    @contextlib.contextmanager
    def held(self, make: Callable[[], contextlib.AbstractContextManager[object]]) -> Iterator[None]:
        with self._lock:
            if not self._users:
                self._context.enter_context(make())
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    self._context.close()


_limit = _Shared()


def in_pieces(
    work: Callable[[int, int], Result], size: int, executor: Executor | None, unit: int
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
