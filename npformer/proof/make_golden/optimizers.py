"""torch.optim's trajectories, clipping and schedules."""

from __future__ import annotations

import numpy as np
import torch
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LinearLR, LRScheduler, SequentialLR

from ..golden import Array
from ..optimizers import FINAL, LR, OPTIMIZERS, SEGMENTS, TOTAL, WARMUP

STEPS = 20


def trajectory(label: str, theta: Array, gradients: Array) -> Array:
    """Return the parameters after each step, (steps, n)."""
    name, arguments = OPTIMIZERS[label]
    flat = torch.tensor(theta)
    if "segments" in label:
        parts = [flat[start:stop].clone().requires_grad_() for start, stop, _, _ in SEGMENTS]
        groups = [
            {"params": [part], "lr": arguments["lr"] * scale, "weight_decay": decay}
            for part, (_, _, scale, decay) in zip(parts, SEGMENTS, strict=True)
        ]
    else:
        parts = [flat.clone().requires_grad_()]
        groups = [{"params": parts}]
    optimizer = getattr(torch.optim, name)(groups, **arguments)
    steps = []
    for gradient in gradients:
        start = 0
        for part in parts:
            part.grad = torch.tensor(gradient[start : start + len(part)])
            start += len(part)
        optimizer.step()
        steps.append(torch.cat([part.detach() for part in parts]).numpy())
    return np.stack(steps)


def clipping(gradients: Array, max_norm: float) -> dict[str, Array]:
    """Return each gradient clipped, as a model of two parameters, and its norm before."""
    clipped, norms = [], []
    for gradient in gradients:
        parts = [torch.zeros(5, dtype=torch.float64), torch.zeros(len(gradient) - 5, dtype=torch.float64)]
        for part, g in zip(parts, (gradient[:5], gradient[5:]), strict=True):
            part.grad = torch.tensor(g)
        norms.append(float(torch.nn.utils.clip_grad_norm_(parts, max_norm)))
        clipped.append(np.concatenate([part.grad.numpy() for part in parts if part.grad is not None]))
    return {"max_norm": np.array(max_norm), "norms": np.array(norms), "clipped": np.stack(clipped)}


def rates(label: str) -> Array:
    """Return the learning rate of every step of a schedule with warm-up."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=LR)
    warmup = LinearLR(optimizer, start_factor=1 / (WARMUP + 1), end_factor=1.0, total_iters=WARMUP)
    rest: LRScheduler
    if label == "constant":
        rest = ConstantLR(optimizer, factor=1.0)
    elif label == "linear":
        rest = LinearLR(optimizer, start_factor=1.0, end_factor=FINAL / LR, total_iters=TOTAL - WARMUP)
    else:
        rest = CosineAnnealingLR(optimizer, T_max=TOTAL - WARMUP, eta_min=FINAL)
    schedule = SequentialLR(optimizer, [warmup, rest], milestones=[WARMUP])
    values = []
    for _ in range(TOTAL + 1):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return np.array(values)


def make() -> dict[str, Array]:
    """Return everything to be stored about the optimizers."""
    rng = np.random.default_rng(0)
    n = SEGMENTS[-1][1]
    theta = rng.standard_normal(n)
    gradients = rng.standard_normal((STEPS, n)) * rng.uniform(0.1, 3.0, n) + rng.standard_normal(n)
    max_norm = float(np.median(np.sqrt((gradients**2).sum(axis=1))))  # half of them are clipped
    return {
        "theta": theta,
        "gradients": gradients,
        **{f"trajectory/{label}": trajectory(label, theta, gradients) for label in OPTIMIZERS},
        **{f"clipping/{key}": value for key, value in clipping(gradients, max_norm).items()},
        **{f"schedule/{label}": rates(label) for label in ("constant", "linear", "cosine")},
    }
