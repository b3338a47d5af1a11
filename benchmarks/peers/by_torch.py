"""The training step by hand in PyTorch, eager: what somebody who knows PyTorch would write for speed.

Fused attention, one product for queries, keys and values, logits at the targets only, fused AdamW. With
`tail` the last layer's position-wise part (output projection, residuals, norms, feed-forward) is done there
only too; `compiled` goes through torch.compile.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
import workload
from workload import Batch, Sizes

NAMES_OF_QKV = ("query", "key", "value")


class Peer:
    """The weights as PyTorch parameters and one training step."""

    def __init__(self, s: Sizes, threads: int, dropout: float, tail: bool, compiled: bool = False) -> None:
        torch.set_num_threads(threads)
        self.s, self.dropout, self.tail, self.compiled = s, dropout, tail, compiled
        weights = from_npformer(workload.make_weights(s), fused=True)
        self.p = {name: torch.nn.Parameter(w) for name, w in weights.items()}
        self.optimizer, self.parameters = adamw(self.p)
        self.loss_of = torch.compile(self.loss) if compiled else self.loss

    def about(self) -> dict[str, str]:
        """Versions and kernels."""
        return about()

    def prepare(self, batch: Batch) -> tuple[torch.Tensor, ...]:
        """Turn a batch into what `step` takes; not timed."""
        tensors = tuple(torch.from_numpy(x) for x in batch if x is not None)
        if self.compiled:  # the number of targets is another one each time
            for x in tensors[2:4]:
                torch._dynamo.mark_dynamic(x, 0)
        return tensors

    def step(self, batch: tuple[torch.Tensor, ...]) -> float:
        """One training step; returns the loss before it."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss_of(*batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, workload.MAX_NORM)
        self.optimizer.step()
        return loss.item()

    def norm_of_weights(self) -> float:
        """The Euclidean norm of all weights."""
        return norm_of(self.parameters)

    def loss(
        self,
        ids: torch.Tensor,
        segment_ids: torch.Tensor,
        at: torch.Tensor,
        targets: torch.Tensor,
        mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        return F.cross_entropy(self.logits(ids, segment_ids, at, mask), targets)

    def logits(
        self, ids: torch.Tensor, segment_ids: torch.Tensor, at: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        p, s = self.p, self.s
        keys = None if mask is None else mask[:, None, None, :]  # True = may be attended to
        x = F.embedding(ids, p["embeddings.token"]) + p["embeddings.position"]
        x = x + F.embedding(segment_ids, p["embeddings.segment"])
        x = self.drop(self.norm("embeddings.norm", x))  # (B, T, d)
        for i in range(s.L):
            name = f"encoder.{i}"
            qkv = self.linear(f"{name}.attention.qkv", x).view(s.B, s.T, 3, s.h, s.d // s.h)
            q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, h, T, d_k)
            context = F.scaled_dot_product_attention(q, k, v, keys, dropout_p=self.dropout)
            context = context.transpose(1, 2).reshape(s.B * s.T, s.d)
            x = x.reshape(s.B * s.T, s.d)
            if self.tail and i == s.L - 1:
                context, x = context[at], x[at]
            a = self.drop(self.linear(f"{name}.attention.output", context))
            x = self.norm(f"{name}.attention_norm", x + a)
            f = self.linear(f"{name}.feed_forward.down", F.gelu(self.linear(f"{name}.feed_forward.up", x)))
            x = self.norm(f"{name}.feed_forward_norm", x + self.drop(f))
        if not self.tail:
            x = x[at]
        t = self.norm("mlm.norm", F.gelu(self.linear("mlm.transform", x)))  # (n, d)
        return F.linear(t, p["embeddings.token"], p["mlm.bias"])

    def linear(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.p[f"{name}.weight"], self.p[f"{name}.bias"])

    def drop(self, x: torch.Tensor) -> torch.Tensor:
        return F.dropout(x, self.dropout) if self.dropout else x

    def norm(self, name: str, x: torch.Tensor) -> torch.Tensor:
        gamma, beta = self.p[f"{name}.gamma"], self.p[f"{name}.beta"]
        return F.layer_norm(x, (self.s.d,), gamma, beta, workload.NORM_EPS)


def adamw(named: dict[str, torch.nn.Parameter]) -> tuple[torch.optim.Optimizer, list[torch.nn.Parameter]]:
    """The optimizer of the benchmark, and all that it moves."""
    decayed = [w for name, w in named.items() if workload.decays(name)]
    others = [w for name, w in named.items() if not workload.decays(name)]
    optimizer = torch.optim.AdamW(
        [{"params": decayed}, {"params": others, "weight_decay": 0.0}],
        lr=workload.LR,
        betas=workload.BETAS,
        eps=workload.EPS,
        weight_decay=workload.WEIGHT_DECAY,
        fused=True,
    )
    return optimizer, [*decayed, *others]


def about() -> dict[str, str]:
    """Versions and kernels."""
    return {
        "library": f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads",
        "blas": "MKL" if torch.backends.mkl.is_available() else "no MKL",
        "kernel": torch.backends.cpu.get_cpu_capability(),
    }


def norm_of(parameters: list[torch.nn.Parameter]) -> float:
    """The Euclidean norm of all weights."""
    return sum(float(w.detach().double().square().sum()) for w in parameters) ** 0.5


def from_npformer(weights: dict[str, np.ndarray], fused: bool) -> dict[str, torch.Tensor]:
    """npformer's weights as PyTorch keeps them: (d_out, d_in); `fused`: query, key, value as one."""
    weights = dict(weights)
    for name in [key.removesuffix(".query.bias") for key in weights if key.endswith(".query.bias")]:
        for kind in ("weight", "bias") if fused else ():
            parts = [weights.pop(f"{name}.{part}.{kind}") for part in NAMES_OF_QKV]
            weights[f"{name}.qkv.{kind}"] = np.concatenate(parts, axis=-1)
    return {
        name: torch.from_numpy(np.ascontiguousarray(w.T if name.endswith(".weight") else w))
        for name, w in weights.items()
    }
