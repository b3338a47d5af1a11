"""What a decoder keeps between the tokens that it writes: keys, values, and who is real."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..nn import KeyValues
from . import _arguments
from .parameters import Array


@dataclass
class DecodingState:
    """Keys and values of the tokens so far, in arrays made once.

    Attributes
    ----------
    layers : list of KeyValues
        Of the self-attention of each layer, (B, h_kv, capacity, d_head).
    real : ndarray of bool, shape (B, capacity)
        False = padding, which nobody attends to.
    length : int
        Tokens so far, padding among them.
    positions : ndarray of int, shape (B,)
        Position of the next token of each sequence: its real tokens so far.
    memory : list of KeyValues
        Of the attention to the source, one for each layer; empty where there is none.
    memory_mask : ndarray of bool, shape (B, 1, 1, S), or None
    """

    layers: list[KeyValues]
    real: Array
    length: int
    positions: Array
    memory: list[KeyValues]
    memory_mask: Array | None = None

    @classmethod
    def empty(cls, n_layers: int, shape: tuple[int, int, int, int], dtype: npt.DTypeLike) -> DecodingState:
        """Return room for keys and values of `shape` (B, h_kv, capacity, d_head) in each layer."""
        B, _, capacity, _ = shape
        layers = [KeyValues(np.zeros(shape, dtype), np.zeros(shape, dtype)) for _ in range(n_layers)]
        return cls(layers, np.zeros((B, capacity), dtype=bool), 0, np.zeros(B, dtype=np.intp), [])

    @property
    def capacity(self) -> int:
        """How many tokens there is room for."""
        return int(self.real.shape[1])

    def select(self, rows: Any) -> DecodingState:
        """Return a state of some of the sequences, in any order and number (beams), sharing nothing.

        Parameters
        ----------
        rows : array_like of int
        """
        rows = np.asarray(rows, dtype=np.intp)
        used = self.length

        def pick(pair: KeyValues) -> KeyValues:
            new = KeyValues(*(np.zeros((len(rows), *z.shape[1:]), z.dtype) for z in pair))
            for z, old in zip(new, pair, strict=True):
                z[:, :, :used] = old[rows, :, :used]
            return new

        return DecodingState(
            [pick(pair) for pair in self.layers],
            self.real[rows],
            used,
            self.positions[rows],
            [KeyValues(pair.k[rows], pair.v[rows]) for pair in self.memory],
            None if self.memory_mask is None else self.memory_mask[rows],
        )

    def admit(
        self,
        model: str,
        shape: tuple[int, int],
        mask: Array | None,
        max_positions: int,
        by_distance: bool = False,
    ) -> tuple[Array, Array | None]:
        """Take new tokens of `shape` (B, T) in: return their positions (B, T), and who may be attended to.

        Raises
        ------
        ValueError
            If the number of sequences is another, or there is no room, in the arrays or among the model's
            positions, or if padding is between real tokens `by_distance`; the state is as it was.
        """
        B, T = shape
        if len(self.real) != B:
            raise ValueError(f"{model}.step: ids: expected {len(self.real)} sequences, got {B}")
        if self.length + T > self.capacity:
            raise ValueError(
                f"{model}.step: ids: expected at most {self.capacity - self.length} more tokens "
                f"(capacity {self.capacity}), got {T}"
            )
        counts = np.full(B, T) if mask is None else mask.sum(axis=1)
        longest = int((self.positions + counts).max(initial=0))
        if longest > max_positions:
            raise ValueError(
                f"{model}.step: ids: expected at most max_positions = {max_positions} tokens in all, "
                f"got {longest}"
            )
        new = np.ones(shape, dtype=bool) if mask is None else mask
        if by_distance:
            _arguments.unbroken(f"{model}.step", np.concatenate([self.real[:, : self.length], new], axis=1))
        self.real[:, self.length : self.length + T] = new
        positions = np.maximum(self.positions[:, None] + np.cumsum(new, axis=1) - 1, 0)
        self.positions = self.positions + counts
        self.length += T
        so_far = self.real[:, : self.length]
        return positions, None if so_far.all() else so_far[:, None, None, :]
