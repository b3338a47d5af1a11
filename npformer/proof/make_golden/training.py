"""100 training steps in PyTorch: BERT by hand, torch.optim, weights and batches that NumPy made."""

from __future__ import annotations

import numpy as np
import torch

from ...models import Encoder
from ...objectives import MaskedLM
from ...optim import decays
from ..golden import Array
from ..training import CONFIG, RUNS, SPECIAL, STEPS, Run
from .encoder import masked_lm_loss
from .ops import Tensor, tensor

BATCHES, B, T = 4, 6, 10


def start(rng: np.random.Generator) -> dict[str, Array]:
    """Return initial weights that are generic: no scale is one and no bias zero."""
    values = {}
    for name, view in Encoder(CONFIG, dtype=np.float64).params.items():
        if name.endswith(".gamma"):
            values[name] = rng.uniform(0.8, 1.2, view.shape)
        elif view.ndim == 1:
            values[name] = rng.standard_normal(view.shape) * 0.1
        else:
            values[name] = rng.standard_normal(view.shape) * 0.2
    return values


def draw_batches(rng: np.random.Generator) -> list[dict[str, Array]]:
    """Return corrupted batches with padded sequences and two segments."""
    objective = MaskedLM(CONFIG.vocab_size, mask_id=SPECIAL - 1, special_ids=range(SPECIAL), rate=0.25)
    made = []
    for _ in range(BATCHES):
        ids = rng.integers(SPECIAL, CONFIG.vocab_size, (B, T))
        ids[:, 0] = 1
        mask = np.arange(T) < rng.integers(T // 2, T + 1, (B, 1))
        ids[~mask] = 0
        segment_ids = (np.arange(T) >= rng.integers(3, T, (B, 1))).astype(np.int64)
        batch = objective.make_batch(ids, mask, rng.spawn(B), segment_ids)
        made.append({name: np.asarray(x) for name, x in batch._asdict().items()})
    return made


def train(
    run: Run, weights: dict[str, Array], batches: list[dict[str, Array]]
) -> tuple[Array, dict[str, Array]]:
    """Return the loss of every step and the final parameters."""
    params = {name: tensor(value.copy()).requires_grad_() for name, value in weights.items()}
    arguments = dict(run.arguments)
    decay = arguments.pop("weight_decay", 0.0)
    groups = [
        {"params": [x for name, x in params.items() if decays(name)], "weight_decay": decay},
        {"params": [x for name, x in params.items() if not decays(name)], "weight_decay": 0.0},
    ]
    optimizer = getattr(torch.optim, run.optimizer)(groups, **arguments)
    data: list[dict[str, Tensor]] = [{name: tensor(x) for name, x in batch.items()} for batch in batches]
    losses = np.empty(STEPS)
    for step in range(STEPS):
        if run.warmup_steps is not None:  # up to the full rate at step `warmup_steps`, then down to 0
            w = run.warmup_steps
            factor = (step + 1) / (w + 1) if step < w else (STEPS - step) / (STEPS - w)
            for group in optimizer.param_groups:
                group["lr"] = arguments["lr"] * factor
        optimizer.zero_grad()
        loss = masked_lm_loss(
            params, data[step % len(data)], n_heads=CONFIG.n_heads, n_layers=CONFIG.n_layers, eps=CONFIG.eps
        )
        loss.backward()
        losses[step] = float(loss.detach())
        if run.max_norm is not None:
            torch.nn.utils.clip_grad_norm_(params.values(), run.max_norm)
        optimizer.step()
    return losses, {name: x.detach().numpy() for name, x in params.items()}


def make() -> dict[str, Array]:
    """Return everything to be stored about training."""
    rng = np.random.default_rng(0)
    weights, batches = start(rng), draw_batches(rng)
    stored = {f"start/{name}": value for name, value in weights.items()}
    for i, batch in enumerate(batches):
        stored |= {f"batch/{i}/{name}": x for name, x in batch.items()}
    for label, run in RUNS.items():
        losses, params = train(run, weights, batches)
        round_trip = len(batches)
        fall = losses[:round_trip].mean() - losses[-round_trip:].mean()
        if not fall >= 1.0:
            raise RuntimeError(
                f"{label}: the loss fell by {fall:.2f} nats only: not a run worth comparing with"
            )
        stored[f"{label}/losses"] = losses
        stored |= {f"{label}/param/{name}": value for name, value in params.items()}
    return stored
