"""One encoder layer by autograd (HIPS): the forward in its NumPy, the backward its own."""

from __future__ import annotations

from importlib.metadata import version

import autograd.numpy as anp
import numpy as np
from autograd import make_vjp
from layer import EPS, LayerPeer

ROOT_2_OVER_PI = (2 / np.pi) ** 0.5


class Peer(LayerPeer):
    """The weights as a dictionary, which autograd differentiates by."""

    library = f"autograd {version('autograd')}, NumPy {np.__version__}"

    def load(self, weights: dict[str, np.ndarray]) -> None:
        self.weights = weights

    def run(self, x: np.ndarray, dy: np.ndarray) -> np.ndarray:
        vjp, y = make_vjp(lambda both: self.forward(*both))((self.weights, x))
        self.grads, self.dx = vjp(dy)
        return y

    def forward(self, p: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
        s = self.s

        def linear(name: str, x: np.ndarray) -> np.ndarray:
            return anp.matmul(x, p[f"{name}.weight"]) + p[f"{name}.bias"]

        def norm(name: str, x: np.ndarray) -> np.ndarray:
            d = x - anp.mean(x, axis=-1, keepdims=True)
            x_hat = d / anp.sqrt(anp.mean(d * d, axis=-1, keepdims=True) + EPS)
            return x_hat * p[f"{name}.gamma"] + p[f"{name}.beta"]

        def heads(x: np.ndarray) -> np.ndarray:
            return anp.swapaxes(anp.reshape(x, (s.B, s.T, s.h, s.d // s.h)), 1, 2)

        q, k, v = (heads(linear(f"attention.{name}", x)) for name in ("query", "key", "value"))
        Z = anp.matmul(q, anp.swapaxes(k, -1, -2)) * (s.d // s.h) ** -0.5
        P = anp.exp(Z - anp.max(Z, axis=-1, keepdims=True))
        P = P / anp.sum(P, axis=-1, keepdims=True)
        context = anp.reshape(anp.swapaxes(anp.matmul(P, v), 1, 2), (s.B, s.T, s.d))
        h = norm("attention_norm", x + linear("attention.output", context))
        u = linear("feed_forward.up", h)
        u = 0.5 * u * (1 + anp.tanh(ROOT_2_OVER_PI * (u + 0.044715 * u * u * u)))
        return norm("feed_forward_norm", h + linear("feed_forward.down", u))

    def gradients(self) -> dict[str, np.ndarray]:
        return {"x": self.dx, **self.grads}
