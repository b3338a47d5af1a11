"""The decoder of a run in PyTorch, trained with the run's recipe, for language_model.py.

    python benchmarks/peers/decoder_by_torch.py RUN STEPS

Eager PyTorch as somebody who knows it would write it: fused attention, one product for queries, keys and
values, one for gate and up, fused AdamW. Initial weights, rows of every step and held-out windows are the
run's. Prints JSON. Without STEPS it does as many as each line of standard input says and prints their
seconds.
"""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import torch
import torch.nn.functional as F
from decoder_by_npformer import AS_MANY, serve

from npformer.optim import decays
from npformer.training import Run, draws, open_run
from npformer.training.config import build_model, build_schedule
from npformer.training.tasks import causal


class Decoder:
    """Pre-norm, RMSNorm, rotary positions, SwiGLU or ReLU, no biases, the embedding tied to the output."""

    def __init__(self, run: Run) -> None:
        c = run.config
        form = (c.norm, c.norm_type, c.positions)
        if form != ("pre", "rms_norm", "rotary") or c.activation not in ("swiglu", "relu"):
            raise SystemExit(
                f"decoder_by_torch: written for the default form and relu, got {form}, {c.activation}"
            )
        self.c, self.gated = c, c.activation == "swiglu"
        self.dropout = 0.0  # the recipe's while it trains
        weights = build_model(c, run.tokenizer.vocab_size).params
        self.p: dict[str, Any] = {}
        for name, value in weights.items():
            self.p[name] = torch.from_numpy(value.T.copy() if name.endswith(".weight") else value.copy())
        for i in range(c.layers):
            self._fuse(f"decoder.{i}.attention", ("query", "key", "value"), "qkv")
            if self.gated:
                self._fuse(f"decoder.{i}.feed_forward", ("gate", "up"), "gate_up")
        self.p = {name: torch.nn.Parameter(value) for name, value in self.p.items()}
        half = c.d_model // c.heads // 2
        angle = torch.outer(torch.arange(c.seq_len), c.rotary_base ** (-torch.arange(half) / half))
        self.cos, self.sin = angle.cos().repeat(1, 2), torch.cat([-angle.sin(), angle.sin()], dim=1)

    def _fuse(self, block: str, parts: tuple[str, ...], name: str) -> None:
        rows = [self.p.pop(f"{block}.{part}.weight") for part in parts]
        self.p[f"{block}.{name}.weight"] = torch.cat(rows)

    def norm(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return F.rms_norm(x, (self.c.d_model,), self.p[f"{name}.gamma"], 1e-5)

    def drop(self, x: torch.Tensor) -> torch.Tensor:
        return F.dropout(x, self.dropout) if self.dropout else x

    def rotate(self, x: torch.Tensor) -> torch.Tensor:
        T = x.shape[-2]
        return x * self.cos[:T] + x.roll(x.shape[-1] // 2, -1) * self.sin[:T]

    def logits(self, ids: torch.Tensor) -> torch.Tensor:
        p, h = self.p, self.c.heads
        x = self.drop(F.embedding(ids, p["embeddings.token"]))
        B, T, d = x.shape
        for i in range(self.c.layers):
            name = f"decoder.{i}"
            a = self.norm(f"{name}.attention_norm", x)
            qkv = F.linear(a, p[f"{name}.attention.qkv.weight"]).view(B, T, 3, h, d // h)
            q, k, v = qkv.permute(2, 0, 3, 1, 4)
            q, k, p_drop = self.rotate(q), self.rotate(k), self.dropout
            a = F.scaled_dot_product_attention(q, k, v, dropout_p=p_drop, is_causal=True)
            a = F.linear(a.transpose(1, 2).reshape(B, T, d), p[f"{name}.attention.output.weight"])
            x = x + self.drop(a)
            f = self.norm(f"{name}.feed_forward_norm", x)
            if self.gated:
                gate, up = F.linear(f, p[f"{name}.feed_forward.gate_up.weight"]).chunk(2, dim=-1)
                f = F.silu(gate) * up
            else:
                f = F.relu(F.linear(f, p[f"{name}.feed_forward.up.weight"]))
            x = x + self.drop(F.linear(f, p[f"{name}.feed_forward.down.weight"]))
        return F.linear(self.norm("decoder.norm", x), p["embeddings.token"])


class Training:
    """The recipe of a run around its decoder in PyTorch."""

    def __init__(self, run: Run, steps: int) -> None:
        self.run, self.c = run, run.config.with_steps(steps)
        self.model = Decoder(run)
        groups = [
            {
                "params": [x for n, x in self.model.p.items() if decays(n)],
                "weight_decay": self.c.weight_decay,
            },
            {"params": [x for n, x in self.model.p.items() if not decays(n)], "weight_decay": 0.0},
        ]
        betas = (self.c.beta1, self.c.beta2)
        self.optimizer = torch.optim.AdamW(groups, lr=self.c.lr, betas=betas, fused=True)
        self.rate = build_schedule(self.c)

    def step(self, step: int) -> None:
        """One update, on the rows that npformer's step of this number has."""
        c, train = self.c, self.run.train
        chosen = draws.sequences_of_step(c.seed, step, c.sequences_per_step, len(train.ids))
        rows, real = (torch.from_numpy(x) for x in train.rows(chosen))
        targets = torch.where(real[:, 1:], rows[:, 1:].long(), -100)
        self.model.dropout = c.dropout
        logits = self.model.logits(rows[:, :-1])
        self.model.dropout = 0.0
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(self.model.p.values()), c.clip or math.inf)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(step)
        self.optimizer.step()

    @torch.no_grad()
    def bits_per_character(self) -> float:
        """Judge the model on the windows that npformer is judged on."""
        held_out = causal.evaluation(self.c, self.run.tokenizer, self.run.held_out)
        (batch,) = held_out.batches
        total = 0.0
        for start in range(0, len(batch.ids), 16):
            part = batch.rows(start, start + 16)
            logits = self.model.logits(torch.from_numpy(part.ids)).flatten(0, 1)[torch.from_numpy(part.at)]
            total += float(F.cross_entropy(logits, torch.from_numpy(part.targets).long(), reduction="sum"))
        return held_out.figures(total / batch.n_targets)["bits_per_character"]


def main() -> None:
    """Train and judge, or be timed."""
    run = open_run(sys.argv[1])
    if len(sys.argv) == 2:
        serve(Training(run, AS_MANY).step)
        return
    training = Training(run, int(sys.argv[2]))
    for step in range(training.c.steps):
        training.step(step)
    version = torch.__version__.partition("+")[0]
    print(json.dumps({"version": version, "bits_per_character": training.bits_per_character()}))


if __name__ == "__main__":
    main()
