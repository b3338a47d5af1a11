"""The threads of one generation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from .._threads import Team, available_cores, one_blas_thread


def team_of(threads: int | None, op: str) -> AbstractContextManager[Team | None]:
    """Return a team of `threads`, by default as many as there are cores, with one BLAS thread in each.

    Raises
    ------
    ValueError
        If `threads` is below 1.
    """
    threads = available_cores() if threads is None else threads
    if threads < 1:
        raise ValueError(f"{op}: threads: expected at least 1, got {threads}")
    return nullcontext() if threads == 1 else _several(threads)


@contextmanager
def _several(threads: int) -> Iterator[Team]:
    with one_blas_thread(), Team(threads) as team:
        yield team
