"""Encoding sequences by hand in PyTorch: a padded batch, fused attention, one product for q, k and v.

Eager, or with `compiled` through torch.compile.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
import workload
from by_torch import about, from_npformer
from workload import Sizes


class Peer:
    """The weights as PyTorch's, and one forward."""

    def __init__(self, s: Sizes, threads: int, compiled: bool = False) -> None:
        torch.set_num_threads(threads)
        self.s, self.p = s, from_npformer(workload.encoder_weights(s), fused=True)
        self.forward = torch.compile(self.hidden) if compiled else self.hidden

    def about(self) -> dict[str, str]:
        """Versions and kernels."""
        return about()

    def prepare(self, sequences: list[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Pad, with a mask where something is padded; not timed."""
        return padded(sequences)

    def step(self, batch: tuple[torch.Tensor, torch.Tensor | None]) -> torch.Tensor:
        """The outputs of all tokens."""
        with torch.inference_mode():
            return self.forward(*batch)

    def excerpt(self, hidden: torch.Tensor, batch: tuple[torch.Tensor, torch.Tensor | None]) -> list[float]:
        """Some numbers of the last token of each sequence."""
        return excerpt(hidden, batch[1])

    def hidden(self, ids: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        p, s = self.p, self.s
        B, T = ids.shape
        x = F.embedding(ids, p["embeddings.token"]) + p["embeddings.position"][:T]
        x = self.norm("embeddings.norm", x + p["embeddings.segment"][0])  # (B, T, d)
        allowed = None if mask is None else mask[:, None, None, :].expand(B, 1, T, T)
        for i in range(s.L):
            name = f"encoder.{i}"
            qkv = self.linear(f"{name}.attention.qkv", x).view(B, T, 3, s.h, s.d // s.h)
            q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, h, T, d_k)
            context = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
            context = context.transpose(1, 2).reshape(B, T, s.d)
            x = self.norm(f"{name}.attention_norm", x + self.linear(f"{name}.attention.output", context))
            up = F.gelu(self.linear(f"{name}.feed_forward.up", x))
            x = self.norm(f"{name}.feed_forward_norm", x + self.linear(f"{name}.feed_forward.down", up))
        return x

    def linear(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.p[f"{name}.weight"], self.p[f"{name}.bias"])

    def norm(self, name: str, x: torch.Tensor) -> torch.Tensor:
        gamma, beta = self.p[f"{name}.gamma"], self.p[f"{name}.beta"]
        return F.layer_norm(x, (self.s.d,), gamma, beta, workload.NORM_EPS)


def padded(sequences: list[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The sequences as one array, and which tokens are real; None where all are."""
    ids, mask = workload.pad(sequences)
    return torch.from_numpy(ids), None if mask.all() else torch.from_numpy(mask)


def excerpt(hidden: torch.Tensor, mask: torch.Tensor | None) -> list[float]:
    """Some numbers of the last token of each sequence."""
    B, T = hidden.shape[:2]
    last = np.full(B, T - 1) if mask is None else mask.numpy().sum(axis=1) - 1
    return hidden.numpy()[np.arange(B), last, : workload.EXCERPT].ravel().tolist()
