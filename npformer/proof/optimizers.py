"""The proof of the optimizers: parameters after every step, clipped gradients and rates, against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import optim
from ..gradcheck import error_of
from . import golden
from .rows import Row

Array = npt.NDArray[Any]

# What is run: the class (of npformer.optim and of torch.optim alike) and its arguments.
OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "SGD": ("SGD", {"lr": 0.05}),
    "SGD, momentum, decay": ("SGD", {"lr": 0.03, "momentum": 0.9, "weight_decay": 0.1}),
    "SGD, Nesterov": ("SGD", {"lr": 0.03, "momentum": 0.8, "nesterov": True}),
    "Adam": ("Adam", {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-6}),
    "Adam, L2 decay": ("Adam", {"lr": 0.02, "weight_decay": 0.2}),
    "AdamW": ("AdamW", {"lr": 0.02, "weight_decay": 0.3}),
    "AdamW, segments": ("AdamW", {"lr": 0.02, "weight_decay": 0.3}),
}
# (start, stop, factor of the rate, decay) of the one that has segments
SEGMENTS = ((0, 5, 1.0, 0.3), (5, 8, 0.5, 0.0), (8, 12, 2.0, 0.05))

LR, TOTAL, WARMUP, FINAL = 0.4, 23, 5, 0.03
SCHEDULES: dict[str, Callable[[], Callable[[int], float]]] = {
    "constant": lambda: optim.constant(LR, WARMUP),
    "linear": lambda: optim.linear(LR, TOTAL, WARMUP, FINAL),
    "cosine": lambda: optim.cosine(LR, TOTAL, WARMUP, FINAL),
}


def prove_optimizers(stored: dict[str, Array] | None = None) -> list[Row]:
    """Follow every stored trajectory.

    Parameters
    ----------
    stored : dict, optional
        In place of the installed values from PyTorch.

    Returns
    -------
    list of Row
        One for each optimizer, for clipping and for each schedule.
    """
    stored = golden.load("golden_optimizers") if stored is None else stored
    rows = []
    for label in OPTIMIZERS:
        rows.append(row := Row("optimizers", label))
        if reference := _wanted(row, stored, "theta", "gradients", f"trajectory/{label}"):
            theta, gradients, wanted = reference
            row.torch = _worst(trajectory(label, theta, gradients), wanted)
            narrow, narrow_gradients = theta.astype(np.float32), gradients.astype(np.float32)
            exact = trajectory(label, narrow.astype(np.float64), narrow_gradients.astype(np.float64))
            row.float32 = _worst(trajectory(label, narrow, narrow_gradients), exact)
    rows.append(row := Row("optimizers", "clipping"))
    if reference := _wanted(
        row, stored, "gradients", "clipping/max_norm", "clipping/norms", "clipping/clipped"
    ):
        gradients, max_norm, norms, wanted = reference
        clipped = gradients.copy()
        mine = [optim.clip_by_global_norm(g, float(max_norm)) for g in clipped]
        row.torch = max(_worst(clipped, wanted), error_of(mine, norms))
    for label, make in SCHEDULES.items():
        rows.append(row := Row("optimizers", f"schedule, {label}"))
        if reference := _wanted(row, stored, f"schedule/{label}"):
            rate = make()
            row.torch = error_of([rate(step) for step in range(len(reference[0]))], reference[0])
    return rows


def trajectory(label: str, theta: Array, gradients: Array) -> Array:
    """Return the parameters after each step, (steps, n), starting from `theta`."""
    name, arguments = OPTIMIZERS[label]
    theta = theta.copy()
    if "segments" in label:
        arguments = {**arguments, "segments": [optim.Segment(*segment) for segment in SEGMENTS]}
    optimizer = getattr(optim, name)(theta, **arguments)
    steps = []
    for gradient in gradients:
        optimizer.step(gradient)
        steps.append(theta.copy())
    return np.stack(steps)


def _worst(steps: Array, wanted: Array) -> float:
    return max(error_of(a, n) for a, n in zip(steps, wanted, strict=True))


def _wanted(row: Row, stored: dict[str, Array], *keys: str) -> list[Array] | None:
    """Return what is stored under `keys`; None, and a failed row, where something is missing."""
    missing = [key for key in keys if key not in stored]
    if missing:
        row.torch = np.inf
        row.notes.append(f"nothing stored from PyTorch for {missing[0]!r}")
        return None
    return [stored[key] for key in keys]
