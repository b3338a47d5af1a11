"""One encoder layer by hand in PyTorch, eager: fused attention, one product for queries, keys and values."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from by_torch import about, from_npformer
from layer import EPS, LayerPeer


class Peer(LayerPeer):
    """The weights as PyTorch's parameters."""

    def load(self, weights: dict[str, np.ndarray]) -> None:
        torch.set_num_threads(self.threads)
        tensors = from_npformer(weights, fused=True)
        self.p = {name: torch.nn.Parameter(w) for name, w in tensors.items()}

    def about(self) -> dict[str, object]:
        return {**about(), **self.first}

    def run(self, x: np.ndarray, dy: np.ndarray) -> torch.Tensor:
        for w in self.p.values():
            w.grad = None
        self.x = torch.from_numpy(x).requires_grad_()
        y = self.forward(self.x)
        y.backward(torch.from_numpy(dy))
        return y.detach()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        s = self.s
        qkv = self.linear("attention.qkv", x).view(s.B, s.T, 3, s.h, s.d // s.h)
        context = F.scaled_dot_product_attention(*qkv.permute(2, 0, 3, 1, 4))
        a = self.linear("attention.output", context.transpose(1, 2).reshape(s.B, s.T, s.d))
        h = self.norm("attention_norm", x + a)
        u = F.gelu(self.linear("feed_forward.up", h), approximate="tanh")
        return self.norm("feed_forward_norm", h + self.linear("feed_forward.down", u))

    def linear(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.p[f"{name}.weight"], self.p[f"{name}.bias"])

    def norm(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return F.layer_norm(x, (self.s.d,), self.p[f"{name}.gamma"], self.p[f"{name}.beta"], EPS)

    def gradients(self) -> dict[str, np.ndarray]:
        found = {"x": self.x.grad.numpy()}
        for name, w in self.p.items():
            grad = w.grad.numpy().T  # (d_out, d_in) -> (d_in, d_out)
            if ".qkv." in name:
                for part, piece in zip(("query", "key", "value"), np.split(grad, 3, axis=-1), strict=True):
                    found[name.replace("qkv", part)] = piece
            else:
                found[name] = grad
        return found
