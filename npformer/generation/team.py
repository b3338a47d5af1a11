"""The threads of one generation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .._threads import Team, available_cores, one_blas_thread


@contextmanager
def team_of(threads: int | None, op: str) -> Iterator[Team | None]:
    """Give a team of `threads`, by default as many as there are cores, while BLAS has one thread in each.

    Raises
    ------
    ValueError
        If `threads` is below 1.
    """
    threads = available_cores() if threads is None else threads
    if threads < 1:
        raise ValueError(f"{op}: threads: expected at least 1, got {threads}")
    if threads == 1:
        yield None
        return
    with one_blas_thread(), Team(threads) as team:
        yield team
