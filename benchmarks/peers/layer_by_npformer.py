"""One encoder layer by npformer: its own block."""

from __future__ import annotations

import numpy as np
from layer import EPS, LayerPeer

from npformer.nn import EncoderLayer


class Peer(LayerPeer):
    """npformer's block on one thread of Python; BLAS has the threads."""

    library = f"NumPy {np.__version__}"

    def load(self, weights: dict[str, np.ndarray]) -> None:
        s = self.s
        self.block = EncoderLayer("layer", s.d, s.h, s.d_ff, activation="gelu_tanh", eps=EPS)
        self.params = {f"layer.{name}": w for name, w in weights.items()}

    def run(self, x: np.ndarray, dy: np.ndarray) -> np.ndarray:
        self.grads = {name: np.zeros_like(w) for name, w in self.params.items()}
        y, cache = self.block.forward(self.params, x)
        self.dx = self.block.backward(self.params, dy, cache, self.grads)
        return y

    def gradients(self) -> dict[str, np.ndarray]:
        return {"x": self.dx, **{name.removeprefix("layer."): g for name, g in self.grads.items()}}
