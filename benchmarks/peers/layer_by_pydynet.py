"""One encoder layer by PyDyNet: its tensors and its backward, the layer written out of them.

Its own LayerNorm takes the mean over the leading axes, so the norm is written out, too; there is no erf.
Numbers are wrapped as float32, which a bare Python number would lift to float64.
"""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
import pydynet as pdn
import pydynet.nn.functional as F
from layer import EPS, LayerPeer
from pydynet import Tensor


def number(value: float) -> Tensor:
    """A constant in float32."""
    return Tensor(np.float32(value), dtype=np.float32)


HALF, ONE, CUBIC = number(0.5), number(1.0), number(0.044715)
ROOT_2_OVER_PI, TINY = number((2 / np.pi) ** 0.5), number(EPS)


class Peer(LayerPeer):
    """The weights as its tensors."""

    library = f"pydynet {version('pydynet')}, NumPy {np.__version__}"

    def load(self, weights: dict[str, np.ndarray]) -> None:
        self.p = {name: Tensor(w, dtype=np.float32, requires_grad=True) for name, w in weights.items()}
        self.scale = number((self.s.d // self.s.h) ** -0.5)

    def run(self, x: np.ndarray, dy: np.ndarray) -> np.ndarray:
        for w in self.p.values():
            w.zero_grad()
        self.x = Tensor(x, dtype=np.float32, requires_grad=True)
        y = self.forward(self.x)
        pdn.sum(y * Tensor(dy, dtype=np.float32)).backward()
        return y.data

    def forward(self, x: Tensor) -> Tensor:
        s = self.s

        def heads(x: Tensor) -> Tensor:
            return x.reshape(s.B, s.T, s.h, s.d // s.h).swapaxes(1, 2)

        q, k, v = (heads(self.linear(f"attention.{name}", x)) for name in ("query", "key", "value"))
        P = F.softmax((q @ k.swapaxes(-1, -2)) * self.scale, axis=-1)
        context = (P @ v).swapaxes(1, 2).reshape(s.B, s.T, s.d)
        h = self.norm("attention_norm", x + self.linear("attention.output", context))
        u = self.linear("feed_forward.up", h)
        u = HALF * u * (ONE + pdn.tanh(ROOT_2_OVER_PI * (u + CUBIC * u * u * u)))
        return self.norm("feed_forward_norm", h + self.linear("feed_forward.down", u))

    def linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self.p[f"{name}.weight"], self.p[f"{name}.bias"])

    def norm(self, name: str, x: Tensor) -> Tensor:
        d = x - x.mean(-1, keepdims=True)
        x_hat = d / pdn.sqrt((d * d).mean(-1, keepdims=True) + TINY)
        return x_hat * self.p[f"{name}.gamma"] + self.p[f"{name}.beta"]

    def gradients(self) -> dict[str, np.ndarray]:
        return {"x": self.x.grad, **{name: w.grad for name, w in self.p.items()}}
