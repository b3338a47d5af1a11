"""One encoder layer by neuralnetlib: its own TransformerEncoderLayer, given the same weights."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
from layer import EPS, LayerPeer
from neuralnetlib.layers import TransformerEncoderLayer

WEIGHTS = {"weight": "weights", "bias": "bias", "gamma": "gamma", "beta": "beta"}


class Peer(LayerPeer):
    """Its layer makes weights at the first forward; they are replaced then."""

    library = f"neuralnetlib {version('neuralnetlib')}, NumPy {np.__version__}"

    def load(self, weights: dict[str, np.ndarray]) -> None:
        s = self.s
        self.layer = TransformerEncoderLayer(s.d, s.h, s.d_ff, dropout_rate=0.0, attention_dropout=0.0)
        self.layer.attention_norm.epsilon = self.layer.ffn_norm.epsilon = EPS
        self.layer.forward_pass(np.ones((1, 2, s.d), np.float32))
        attention, ffn = self.layer.attention, self.layer.ffn
        self.parts = {
            "attention.query": attention.query_dense,
            "attention.key": attention.key_dense,
            "attention.value": attention.value_dense,
            "attention.output": attention.output_dense,
            "attention_norm": self.layer.attention_norm,
            "feed_forward.up": ffn.dense1,
            "feed_forward.down": ffn.dense2,
            "feed_forward_norm": self.layer.ffn_norm,
        }
        for name, value in weights.items():
            part, kind = name.rsplit(".", 1)
            old = getattr(self.parts[part], WEIGHTS[kind])
            setattr(self.parts[part], WEIGHTS[kind], value.reshape(old.shape))
        self.names = list(weights)

    def run(self, x: np.ndarray, dy: np.ndarray) -> np.ndarray:
        y = self.layer.forward_pass(x)
        self.dx = self.layer.backward_pass(dy)
        return y

    def gradients(self) -> dict[str, np.ndarray]:
        found = {"x": self.dx}
        for name in self.names:
            part, kind = name.rsplit(".", 1)
            grad = getattr(self.parts[part], f"d_{WEIGHTS[kind]}")
            found[name] = grad if kind == "weight" else grad.reshape(-1)
        return found
