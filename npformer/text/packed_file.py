"""Packed sequences in a file: written as a stream, read through a memory map.

    rows.npy    (N, T), uint16 where the vocabulary fits and uint32 otherwise, padded with [PAD]

An ordinary .npy file. Text never gives the token [PAD], so the mask is ids != pad_id and takes no place. The
system reads what is looked at and takes the memory back when it needs it: only a batch's rows are copied.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from .packing import Packed

Array = npt.NDArray[Any]

ROWS = 4096  # in memory at once while a file is written or counted


class PaddingMask:
    """The mask of sequences in a file: worked out, ids != pad_id, for the rows that are asked for.

    Parameters
    ----------
    ids : ndarray of int, shape (N, T)
    pad_id : int

    Examples
    --------
    >>> mask = PaddingMask(np.array([[2, 7, 3, 0], [2, 8, 9, 3]], dtype=np.uint16), pad_id=0)
    >>> mask[[0]], mask.sum(), mask.mean()
    (array([[ True,  True,  True, False]]), 7, 0.875)
    """

    def __init__(self, ids: Array, pad_id: int) -> None:
        self.ids, self.pad_id, self.shape = ids, pad_id, ids.shape

    def __getitem__(self, rows: Any) -> Array:
        mask: Array = np.asarray(self.ids[rows] != self.pad_id)
        return mask

    def __array__(self, *args: Any, **kwargs: Any) -> Array:
        """Refuse: the whole mask of a large file would fill the memory unasked; ``mask[:]`` asks for it."""
        raise TypeError("PaddingMask: expected an index, e.g. mask[rows]; mask[:] is the whole as an array")

    def sum(self) -> int:
        """Return the number of tokens, of a bounded number of rows at a time."""
        return sum(int(np.count_nonzero(self[a : a + ROWS])) for a in range(0, len(self.ids), ROWS))

    def mean(self) -> float:
        """Return the share of the places that are tokens."""
        return self.sum() / max(self.ids.size, 1)

    def any(self) -> bool:
        """Whether there is a token."""
        return any(bool(self[a : a + ROWS].any()) for a in range(0, len(self.ids), ROWS))


def dtype_of(vocab_size: int) -> Any:
    """Return the dtype of a file's ids: the smaller one that holds them."""
    return np.dtype("<u2" if vocab_size <= 1 << 16 else "<u4")


def write_rows(file: BinaryIO, blocks: Iterable[Array], seq_len: int, vocab_size: int) -> int:
    """Write sequences to an open file, block by block, as an .npy array.

    The number of rows stands in the header, and is known at the end: the header is written again then, into
    the room that NumPy leaves there for a growing first axis.

    Parameters
    ----------
    file : binary file
        Open for writing, at its beginning.
    blocks : iterable of ndarray of int, shape (n, T)
    seq_len : int
        T.
    vocab_size : int

    Returns
    -------
    int
        N, how many sequences were written.

    Raises
    ------
    OSError
        If the disk is full.
    """
    dtype = dtype_of(vocab_size)

    def write_header(n: int) -> None:
        header = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": (n, seq_len)}
        npy.write_array_header_1_0(file, header)

    write_header(0)
    start, n = file.tell(), 0
    for block in blocks:
        file.write(np.ascontiguousarray(block, dtype=dtype).data)
        n += len(block)
    file.seek(0)
    write_header(n)
    assert file.tell() == start
    file.flush()
    return n


def map_rows(file: BinaryIO, pad_id: int) -> Packed:
    """Return the sequences of an open file, mapped into memory and not read.

    Parameters
    ----------
    file : binary file
        As `write_rows` leaves it; it may be closed afterwards.
    pad_id : int

    Returns
    -------
    Packed
        Read-only ids, and a `PaddingMask`.

    Raises
    ------
    ValueError
        If the file is not one of `write_rows`, or is shorter than its header says.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryFile() as file:
    ...     n = write_rows(file, [np.array([[2, 7, 3, 0]]), np.array([[2, 8, 9, 3]])], 4, vocab_size=10)
    ...     packed = map_rows(file, pad_id=0)
    >>> n, packed.ids.dtype, packed.rows([0]).ids
    (2, dtype('uint16'), array([[2, 7, 3, 0]], dtype=int32))
    """
    file.seek(0)
    if npy.read_magic(file) != (1, 0):
        raise ValueError("expected an .npy file of version 1.0")
    shape, fortran, dtype = npy.read_array_header_1_0(file)
    if fortran or len(shape) != 2 or not shape[0] or dtype.str not in ("<u2", "<u4"):
        raise ValueError(f"expected rows of uint16 or uint32, got shape {shape} and dtype {dtype}")
    ids = np.memmap(file, dtype=dtype, mode="r", offset=file.tell(), shape=shape).view(np.ndarray)
    return Packed(ids, PaddingMask(ids, pad_id))


def blocks_of(rows: Iterable[Sequence[int]], seq_len: int, pad_id: int) -> Iterator[Array]:
    """Yield rows of ids, padded to (n, seq_len), a bounded number at a time."""
    block = np.full((ROWS, seq_len), pad_id, dtype=np.int32)
    n = 0
    for row in rows:
        block[n, : len(row)] = row
        block[n, len(row) :] = pad_id
        n += 1
        if n == ROWS:
            yield block
            n = 0
    if n:
        yield block[:n]


def blocks_of_packed(packed: Packed) -> Iterator[Array]:
    """Yield the ids of `packed`, a bounded number of rows at a time."""
    return (packed.ids[a : a + ROWS] for a in range(0, len(packed.ids), ROWS))
