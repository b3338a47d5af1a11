"""Work shared by several processes, whose results come in order.

Each process is a fresh Python that takes the next piece of work as soon as it is free. They end with the one
that started them, however that ends; an interruption (Ctrl-C) is for that one to answer.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.process import BaseProcess
from typing import TypeVar

Piece = TypeVar("Piece")
Result = TypeVar("Result")


def in_processes(
    work: Callable[[Piece], Result], pieces: Sequence[Piece], order: Sequence[int], processes: int
) -> Iterator[Result]:
    """Yield the result of each of `pieces`, in their order, as soon as it and those before it are there.

    Parameters
    ----------
    work : callable
        A function of a module, or `functools.partial` of one.
    pieces : sequence
    order : sequence of int
        The numbers of the pieces in the order in which they are begun.
    processes : int

    Raises
    ------
    concurrent.futures.process.BrokenProcessPool
        If one of them was killed.

    Examples
    --------
    >>> list(in_processes(abs, [-3, 4, -5], order=[2, 0, 1], processes=2))
    [3, 4, 5]
    """
    others = set(multiprocessing.active_children())
    # "spawn" is what every system has, and inherits no lock that a thread of BLAS holds.
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, spawn, initializer=_depend_on_parent)
    try:
        futures = {number: pool.submit(work, pieces[number]) for number in order}
        for number in range(len(pieces)):
            yield futures[number].result()
    except BaseException:  # Ctrl-C, too: nobody waits for what is half done
        for process in set(multiprocessing.active_children()) - others:
            process.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _depend_on_parent() -> None:
    """Leave Ctrl-C to the process that started this one, and end when it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
