"""The matrix products of npformer's training step and nothing else: what the step cannot be faster than.

The same shapes and strides in the same order, micro-batch by micro-batch, lane by lane; every product makes a
new array, as the step's do. Only the sums over rows, which the step writes as products with a vector of ones,
are left out.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from by_npformer import blas_in_use
from workload import Batch, Sizes

from npformer._allocator import keep_freed_memory
from npformer.training.step import cut_batch, tokens_at_once

RATED = (512, 768, 1024, 1536)  # sides of square matrices, for the best rate of this machine
SECONDS = 0.3  # for each of them


class Peer:
    """Arrays of the step's sizes, and one round of its products."""

    def __init__(self, s: Sizes, threads: int, dropout: float) -> None:
        keep_freed_memory()
        self.s, self.threads = s, threads
        self.executor = ThreadPoolExecutor(threads)
        rng = np.random.default_rng(0)
        shapes = {"d d": (s.d, s.d), "d f": (s.d, s.d_ff), "f d": (s.d_ff, s.d), "V d": (s.V, s.d)}
        self.weights = {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}
        rows = max(tokens_at_once(s.d), s.T)
        self.rows = {n: rng.standard_normal((rows, n), np.float32) for n in (s.d, s.d_ff, s.V)}
        self.scores = rng.standard_normal(rows * s.h * s.T, np.float32)  # of any (b, h, T, T)
        self.best = max(self.rate(side) for side in RATED)

    def about(self) -> dict[str, object]:
        """Versions and kernels; the products of a step in GFLOP, and the best rate of large ones."""
        library = f"NumPy {np.__version__}, {self.threads} Python threads"
        return {"library": library, **blas_in_use(), "best_gflops": self.best}

    def prepare(self, batch: Batch) -> list[list[tuple[int, int, int]]]:
        """The sequences, the longest of them and the targets of each micro-batch, by lane."""
        B, T = batch.ids.shape
        lengths = np.full(B, T) if batch.mask is None else batch.mask.sum(axis=1)
        targets = np.bincount(batch.at // T, minlength=B)  # of each sequence
        return [
            [(len(piece), int(lengths[piece].max()), int(targets[piece].sum())) for piece in lane]
            for lane in cut_batch(lengths, self.threads, tokens_at_once(self.s.d))
        ]

    def step(self, lanes: list[list[tuple[int, int, int]]]) -> float:
        """One round; returns its GFLOP."""

        def work(lane: list[tuple[int, int, int]]) -> float:
            return sum(2e-9 * one.size * inner for piece in lane for one, inner in self.products(*piece))

        return sum(self.executor.map(work, lanes))

    def norm_of_weights(self) -> float:
        """There are none that move."""
        return 0.0

    def products(self, b: int, T: int, n: int) -> Iterator[tuple[np.ndarray, int]]:
        """Each product of b sequences of T tokens with n targets in all, and the length of its sums."""
        s, N = self.s, b * T

        def linear(rows: int, d_in: int, d_out: int, weight: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
            x, dy = self.rows[d_in][:rows], self.rows[d_out][:rows]
            yield x @ weight, d_in
            yield x.T @ dy, rows
            yield dy @ weight.T, d_out

        for i in range(s.L):
            wanted = n if i == s.L - 1 else N  # rows of the position-wise part
            for _ in ("query", "key", "value"):
                yield from linear(N, s.d, s.d, self.weights["d d"])
            q = self.rows[s.d][:N].reshape(b, T, s.h, -1).swapaxes(1, 2)  # (b, h, T, d_k), a view
            P, d_k = self.scores[: b * s.h * T * T].reshape(b, s.h, T, T), s.d // s.h
            for _ in ("Z = Q Kᵀ", "dP = dO Vᵀ"):
                yield q @ q.swapaxes(-1, -2), d_k
            for left in (P, P.swapaxes(-1, -2), P, P.swapaxes(-1, -2)):  # O, dV, dQ, dK
                yield np.matmul(left, q, out=np.empty_like(q)), T
            yield from linear(wanted, s.d, s.d, self.weights["d d"])
            yield from linear(wanted, s.d, s.d_ff, self.weights["d f"])
            yield from linear(wanted, s.d_ff, s.d, self.weights["f d"])
        yield from linear(n, s.d, s.d, self.weights["d d"])
        yield from linear(n, s.d, s.V, self.weights["V d"].T)

    def rate(self, side: int) -> float:
        """GFLOP a second of square products, one on each thread at a time."""
        x = np.random.default_rng(0).standard_normal((side, side), np.float32)

        def work(until: float) -> int:
            done = 0
            while time.perf_counter() < until:
                x @ x
                done += 1
            return done

        start = time.perf_counter()
        done = sum(self.executor.map(work, [start + SECONDS] * self.threads))
        return 2e-9 * side**3 * done / (time.perf_counter() - start)
