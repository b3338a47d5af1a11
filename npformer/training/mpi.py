"""Ranks over MPI, through mpi4py (the extra `mpi`): sums in the order of the ranks, chunk by chunk.

    reduce-scatter   a chunk of each part travels to its owner, who adds what came: rank 0 + rank 1 + ...
    all-gather       every owner sends its part to all

One after the other they are an all-reduce, and send what the best of them send: 2 · (R - 1) / R of the vector
from each rank. Written out like this, the sum has an order of its own: its bits follow from the number of
ranks, not from the algorithm that an MPI library chooses for a size, and are the same on every rank. Small
values travel as JSON (mpi4py's own way with objects is pickle).
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from typing import Any

import numpy as np
import numpy.typing as npt

from .ranks import Ranks
from .step import cut

Array = npt.NDArray[Any]

CHUNK = 1 << 20  # entries that a rank receives at once, from all ranks together: 4 MB in float32
PASSED_ON = 0.2  # seconds in which a launcher passes on what was said; what it has not, an abort throws away


class MpiRanks(Ranks):
    """Every process that mpiexec started.

    Parameters
    ----------
    debug : bool
        Show the traceback of an exception that ends the ranks.
    """

    def __init__(self, *, debug: bool = False) -> None:
        from mpi4py import MPI

        self._mpi, self._world, self._debug = MPI, MPI.COMM_WORLD, debug
        self.rank, self.size = self._world.rank, self._world.size

    def __exit__(self, *exc: object) -> None:
        """Say what happened and end every rank: the others would wait for this one."""
        error = exc[1]
        if isinstance(error, BaseException):
            if self._debug:
                traceback.print_exception(error)
            known = isinstance(error, (ValueError, OSError))
            name = "" if known and str(error) else type(error).__name__
            line = ": ".join(part for part in (name, " ".join(str(error).split())) if part)
            self.stop(f"npformer: {line}", 130 if isinstance(error, KeyboardInterrupt) else 2 if known else 1)

    def threads(self) -> int:
        """Return this rank's share of the cores that it may use, at least 1."""
        if not hasattr(os, "sched_getaffinity"):
            cores: Any = list(range(os.cpu_count() or 1))
        else:
            cores = sorted(os.sched_getaffinity(0))
        mine = [self._mpi.Get_processor_name(), cores]
        sharing = self.everyones(mine).count(mine)  # 1 where a launcher bound each rank to cores of its own
        return max(1, len(cores) // sharing)

    def everyones(self, value: Any) -> list[Any]:
        """Return the `value` of every rank, in their order."""
        text = np.frombuffer(json.dumps(value).encode(), dtype=np.uint8)
        lengths = np.empty(self.size, dtype=np.int64)
        self._world.Allgather(np.array([text.size], dtype=np.int64), lengths)
        texts = np.empty(int(lengths.sum()), dtype=np.uint8)
        self._world.Allgatherv(text, [texts, lengths.tolist()])
        return [json.loads(part.tobytes()) for part in np.split(texts, np.cumsum(lengths)[:-1])]

    def tell(self, value: Any) -> Any:
        """Return the value that rank 0 has given."""
        return self.everyones(value if self.rank == 0 else None)[0]

    def reduce_scatter(self, vector: Array) -> None:
        """Make this rank's part of `vector` the sum of all ranks', in their order."""
        parts = self._parts(vector.size)
        rows = max(1, CHUNK // self.size)
        buffer = np.empty(self.size * rows, dtype=vector.dtype)
        for done in range(0, max(stop - start for start, stop in parts), rows):
            starts = [min(start + done, stop) for start, stop in parts]
            counts = [min(rows, stop - start) for start, (_, stop) in zip(starts, parts, strict=True)]
            n, here = counts[self.rank], starts[self.rank]
            came = buffer[: self.size * n]
            each = ([n] * self.size, [n * rank for rank in range(self.size)])
            self._world.Alltoallv([vector, (counts, starts)], [came, each])
            own, of_rank = vector[here : here + n], came.reshape(self.size, n)
            np.add(of_rank[0], of_rank[1], out=own)
            for more in of_rank[2:]:
                own += more

    def all_gather(self, vector: Array) -> None:
        """Fill the other ranks' parts of `vector` with what their owners have there."""
        parts = self._parts(vector.size)
        places = ([stop - start for start, stop in parts], [start for start, _ in parts])
        self._world.Allgatherv(self._mpi.IN_PLACE, [vector, places])

    def gather(self, part: Array, n: int) -> Array:
        """Return, on rank 0, the vector of `n` entries of which every rank has its `part`."""
        parts = self._parts(n)
        whole = np.empty(n if self.rank == 0 else 0, dtype=part.dtype)
        places = ([stop - start for start, stop in parts], [start for start, _ in parts])
        self._world.Gatherv(part, [whole, places] if self.rank == 0 else None, root=0)
        return whole

    def all_rows(self, rows: Array) -> tuple[Array, int]:
        """Return the `rows` (n, ...) of all ranks, in their order, and where this rank's begin."""
        counts = self.everyones(len(rows))
        whole = np.empty((sum(counts), *rows.shape[1:]), rows.dtype)
        width = whole[:1].size
        self._world.Allgatherv(np.ascontiguousarray(rows), [whole, [n * width for n in counts]])
        return whole, sum(counts[: self.rank])

    def broadcast(self, vector: Array) -> None:
        """Make `vector` what it is on rank 0."""
        self._world.Bcast(vector, root=0)

    def stop(self, line: str, status: int) -> int:
        """Say why it ends here and end every rank, this one too."""
        try:
            # Where all ranks fail alike, the first says so for all, and ends the others before their turn.
            time.sleep(min(5.0, 0.5 * self.rank))
            said = f"{line} (rank {self.rank} of {self.size})" if self.rank else line
            print(said, file=sys.stderr, flush=True)
            sys.stdout.flush()
            time.sleep(PASSED_ON)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the line says it better than what MPI adds
        finally:  # the others wait, even if nobody can be told
            self._world.Abort(status)
        return status

    def _parts(self, n: int) -> list[tuple[int, int]]:
        parts = cut(n, self.size)
        return parts + [(n, n)] * (self.size - len(parts))
