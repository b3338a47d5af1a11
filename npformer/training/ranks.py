"""Ranks: the processes that share a run. Here the one process that is alone; over MPI they are in mpi.py.

    batch      cut into a share for each rank, and that into lanes (step.py)
    gradient   rank 0 + rank 1 + ..., summed part by part: each rank owns a part of the flat vector
    small      a few numbers (targets, losses, a request to stop) are told to all, so that all decide alike

The loop and the trainer speak to a `Ranks` and do not ask how many there are: alone, an exchange is nothing.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from .._threads import available_cores
from .step import cut

Array = npt.NDArray[Any]

# What launchers tell a process: how many there are, and which it is.
LAUNCHERS = (
    ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),  # Open MPI
    ("PMI_SIZE", "PMI_RANK"),  # MPICH and its kin
    ("MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK"),  # MVAPICH
    ("SLURM_STEP_NUM_TASKS", "PMIX_RANK"),  # srun --mpi=pmix; without it, its processes are on their own
)
MISSING = "mpiexec started {size} processes, and MPI is not installed in Python: pip install 'npformer[mpi]'"


class Ranks(contextlib.AbstractContextManager["Ranks"]):
    """The only process of a run.

    As a context, it ends every rank where an exception leaves it: none may wait for one that is gone.

    Attributes
    ----------
    rank, size : int
        Which process this is, and of how many.

    Examples
    --------
    >>> ranks = Ranks()
    >>> ranks.share(5), ranks.everyones("me"), ranks.sums(3, 0.5), ranks.any(False)
    ((0, 5), ['me'], [3, 0.5], False)
    """

    rank, size = 0, 1

    def __exit__(self, *exc: object) -> None:
        """Alone, an exception needs nothing."""

    def threads(self) -> int:
        """Return how many threads suit this rank: its share of the cores it may use."""
        return available_cores()

    def share(self, n: int) -> tuple[int, int]:
        """Return (start, stop) of this rank's share of n things; empty where the ranks are more than they."""
        pieces = cut(n, self.size)
        return pieces[self.rank] if self.rank < len(pieces) else (n, n)

    def require_sequences(self, n: int) -> None:
        """Raise ValueError unless each rank has one of a step's `n` sequences."""
        if n < self.size:
            raise ValueError(
                f"batch_size: expected a sequence for each of the {self.size} ranks, got {n} in a step"
            )

    # Small things, as values of JSON

    def everyones(self, value: Any) -> list[Any]:
        """Return the `value` of every rank, in their order."""
        return [value]

    def tell(self, value: Any) -> Any:
        """Return the value that rank 0 has given."""
        return value

    def sums(self, *values: Any) -> list[Any]:
        """Return the sum of each value over the ranks, in their order, so that all have the same bits.

        A value is a number, or an array of the same shape on every rank, summed entry by entry.
        """
        return [sum_of(column) for column in zip(*self.everyones([*map(plain, values)]), strict=True)]

    def any(self, flag: bool) -> bool:
        """Whether the `flag` of any rank is set."""
        return any(self.everyones(flag))

    # Vectors, of which each rank owns the part `share(vector.size)`

    def reduce_scatter(self, vector: Array) -> None:
        """Make this rank's part of `vector` the sum of all ranks'; what is beside it is of no more use."""

    def all_gather(self, vector: Array) -> None:
        """Fill the other ranks' parts of `vector` with what their owners have there."""

    def gather(self, part: Array, n: int) -> Array:
        """Return, on rank 0, the vector of `n` entries of which every rank has its `part`."""
        return part

    def all_rows(self, rows: Array) -> tuple[Array, int]:
        """Return the `rows` (n, ...) of all ranks, in their order, and where this rank's begin."""
        return rows, 0

    def broadcast(self, vector: Array) -> None:
        """Make `vector` what it is on rank 0."""

    def stop(self, line: str, status: int) -> int:
        """Say why it ends here, end every other rank too, and return the exit status."""
        print(line, file=sys.stderr, flush=True)
        return status


ALONE = Ranks()


def plain(value: Any) -> Any:
    """Return a number or an array as a value of JSON.

    Examples
    --------
    >>> plain(0.5), plain(np.array([2, 3]))
    (0.5, [2, 3])
    """
    return value.tolist() if isinstance(value, np.ndarray) else value


def sum_of(column: Iterable[Any]) -> Any:
    """Return the sum of what `plain` made, from left to right: of lists, an array.

    Examples
    --------
    >>> sum_of([1, 2]), sum_of([[1, 2], [3, 4]])
    (3, array([4, 6]))
    """
    return sum(np.array(value) if isinstance(value, list) else value for value in column)


def start_ranks(*, debug: bool = False) -> Ranks:
    """Return the ranks that a launcher such as mpiexec has started; without one, the process alone.

    Parameters
    ----------
    debug : bool
        Show the traceback of an exception that ends the ranks.

    Raises
    ------
    ValueError
        If there is a launcher but no mpi4py, or one that belongs to another launcher: processes that do not
        know of one another would write one run. Raised on the first rank; the others leave quietly, with
        status 2.
    """
    size, rank = _launched(os.environ)
    if size <= 1:
        return Ranks()
    try:
        from .mpi import MpiRanks

        ranks = MpiRanks(debug=debug)
    except (ImportError, RuntimeError) as error:  # RuntimeError: mpi4py without an MPI library
        if rank:
            raise SystemExit(2) from None
        raise ValueError(MISSING.format(size=size)) from error
    if ranks.size != size:
        if rank:
            raise SystemExit(2)
        raise ValueError(
            f"mpiexec started {size} processes, and mpi4py's MPI sees {ranks.size}: "
            "use the mpiexec that belongs to it"
        )
    return ranks


def _launched(environment: Any) -> tuple[int, int]:
    """Return how many processes a launcher has started and which this is; (1, 0) without a launcher."""
    for size, rank in LAUNCHERS:
        values = [environment.get(name, "") for name in (size, rank)]
        if all(value.isdecimal() for value in values):
            return int(values[0]), int(values[1])
    return 1, 0
