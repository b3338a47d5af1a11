"""One encoder layer for peers that have no training step: its work, and what all of its peers answer.

Post-norm, as in BERT; GELU in the form with tanh, since two of the peers have no other; one micro-batch.
A peer's step is forward and backward from a given gradient of the output, to every weight and the input.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import workload
from workload import Batch, Sizes

EPS = 1e-6
BATCH = 8
PROJECTIONS = 4
BIG = 10.0  # times the weights of the training step, so that attention and GELU have something to do


def one_layer(s: Sizes) -> Sizes:
    """The same widths with one layer and one micro-batch."""
    return s._replace(L=1, B=BATCH)


def make_weights(s: Sizes) -> dict[str, np.ndarray]:
    """The layer's weights by npformer's names, matrices as (d_in, d_out)."""
    weights = workload.make_weights(s)
    scale, prefix = BIG * (64 / s.d) ** 0.5, "encoder.0."
    return {
        name.removeprefix(prefix): scale * w if name.endswith(".weight") else w
        for name, w in weights.items()
        if name.startswith(prefix)
    }


def make_arrays(s: Sizes, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """The layer's input and the gradient of its output, (B, T, d) each, in float32."""
    rng = np.random.default_rng(2)
    table = rng.standard_normal((s.V, s.d), np.float32)
    return table[batch.ids], rng.standard_normal((s.B, s.T, s.d), np.float32)


class LayerPeer:
    """What the peers have in common; a subclass has the layer itself: `load`, `run` and `gradients`."""

    library = ""

    def __init__(self, s: Sizes, threads: int, dropout: float) -> None:
        if dropout:
            raise SystemExit("the layer is measured without dropout")
        self.s, self.threads = one_layer(s), threads
        self.load(make_weights(self.s))
        x, dy = make_arrays(self.s, workload.make_batch(self.s, 0))
        y = np.asarray(self.run(x, dy))
        arrays = {"y": y, **self.gradients()}
        self.first = {
            "checks": {name: project(name, a) for name, a in arrays.items()},
            "dtypes": sorted({str(a.dtype) for a in arrays.values()}),
        }

    def load(self, weights: dict[str, np.ndarray]) -> None:
        """Take the weights."""
        raise NotImplementedError

    def run(self, x: np.ndarray, dy: np.ndarray) -> Any:
        """Forward and backward; returns y."""
        raise NotImplementedError

    def gradients(self) -> dict[str, np.ndarray]:
        """Of the last run: dx as "x", and each weight's by its name, laid out as the weight was given."""
        raise NotImplementedError

    def about(self) -> dict[str, object]:
        """Versions, kernels, and the results on the first batch."""
        from by_npformer import blas_in_use

        return {"library": self.library, **blas_in_use(), **self.first}

    def prepare(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        """Turn a batch into what `step` takes; not timed. Every step has the first sequences of its batch."""
        return make_arrays(self.s, Batch(batch.ids[: self.s.B], *batch[1:]))

    def step(self, arrays: tuple[np.ndarray, np.ndarray]) -> float:
        """One forward and backward; returns one number of the output."""
        return float(self.run(*arrays)[0, 0, 0])

    def norm_of_weights(self) -> float:
        """They do not move."""
        return 0.0


def project(name: str, array: np.ndarray) -> dict[str, Any]:
    """The array's norm, and its products with a few directions that depend on its name alone.

    Two arrays a and b whose products differ by p, q, ... are about as far apart as sqrt(mean(p², q², ...)):
    that is |a - b| for random directions, and no more than a few numbers travel between processes.
    """
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    flat = np.asarray(array, np.float64).reshape(-1)
    products = [float(rng.standard_normal(flat.size) @ flat) for _ in range(PROJECTIONS)]
    return {"norm": float(np.linalg.norm(flat)), "products": products}
