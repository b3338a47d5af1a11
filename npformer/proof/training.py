"""The proof of training: 100 steps of a small encoder with masked LM, side by side with PyTorch's.

Same initial weights, same batches, float64, no dropout. The losses must agree at every step, and the
parameters after the last: what is compared is model, objective, optimizer, clipping and schedule together.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import optim
from ..models import Encoder, EncoderConfig
from ..models.parameters import Parameters
from ..objectives import MaskedLM, MaskedLMBatch
from . import golden, tolerances
from .rows import Row

Array = npt.NDArray[Any]

STEPS = 100
SPECIAL = 4  # ids 0 to 3 stand for [PAD], [CLS], [SEP] and [MASK]
CONFIG = EncoderConfig(
    vocab_size=29,
    d_model=12,
    n_heads=3,
    d_ff=20,
    n_layers=2,
    max_positions=11,
    norm="post",
    positions="learned",
)


class Run(NamedTuple):
    """An optimizer, of npformer.optim and torch.optim alike, and what goes with it."""

    optimizer: str
    arguments: dict[str, Any]  # with a weight_decay that spares biases and norms
    max_norm: float | None = None
    warmup_steps: int | None = None  # then a linear decay to 0; None: a constant rate


RUNS = {
    "AdamW": Run("AdamW", {"lr": 3e-3, "eps": 1e-8, "weight_decay": 0.05}),
    # At a few times this rate it is on the edge of stability, where rounding errors grow from step to step.
    "SGD with momentum": Run("SGD", {"lr": 0.01, "momentum": 0.9, "weight_decay": 1e-3}),
    "Adam, clipped, with warm-up": Run("Adam", {"lr": 5e-3, "eps": 1e-8}, max_norm=0.5, warmup_steps=10),
}


def prove_training(stored: dict[str, Array] | None = None) -> list[Row]:
    """Follow every stored run.

    Parameters
    ----------
    stored : dict, optional
        In place of the installed values from PyTorch.

    Returns
    -------
    list of Row
        For each run the losses, the final parameters, and the final key biases.
    """
    stored = golden.load("golden_training") if stored is None else stored
    rows = []
    for label, run in RUNS.items():
        losses_row, params_row, keys_row = (
            Row("training", f"{label}: {what}") for what in ("losses", "parameters", "key biases")
        )
        losses_row.tolerances["torch"] = tolerances.TRAJECTORY_LOSS
        params_row.tolerances["torch"] = tolerances.TRAJECTORY_PARAMETERS
        keys_row.tolerances["torch"] = tolerances.TRAJECTORY_KEY_BIASES
        rows += [losses_row, params_row, keys_row]
        wanted = golden.part(stored, label)
        final = golden.part(wanted, "param")
        if "losses" not in wanted or final.keys() != Encoder(CONFIG).params.keys():
            for row in rows[-3:]:
                row.torch = np.inf
                row.notes.append("nothing stored from PyTorch for it")
            continue
        losses, params = follow(run, golden.part(stored, "start"), batches(stored))
        losses_row.torch = _worst(losses, wanted["losses"])
        keys = {name for name in final if name.endswith(".key.bias")}
        params_row.torch = max(_worst(params[name], final[name]) for name in final.keys() - keys)
        keys_row.torch = max(_worst(params[name], final[name]) for name in keys)
    return rows


def follow(run: Run, start: dict[str, Array], of_batches: list[MaskedLMBatch]) -> tuple[Array, Parameters]:
    """Train with npformer from `start`, going round the batches; return all losses and the parameters."""
    model = Encoder(CONFIG, dtype=np.float64)
    for name, value in start.items():
        model.params[name] = value
    objective = MaskedLM(CONFIG.vocab_size, mask_id=SPECIAL - 1, special_ids=range(SPECIAL))
    arguments = dict(run.arguments)
    segments = optim.make_segments(
        model.params.layout, decay=optim.decays, weight_decay=arguments.get("weight_decay", 0.0)
    )
    optimizer = getattr(optim, run.optimizer)(model.params.flat, **arguments, segments=segments)
    lr = arguments["lr"]
    rate = optim.constant(lr) if run.warmup_steps is None else optim.linear(lr, STEPS, run.warmup_steps)
    grads = model.params.zeros_like()
    losses = np.empty(STEPS)
    for step in range(STEPS):
        batch = of_batches[step % len(of_batches)]
        grads.flat[...] = 0
        losses[step] = objective.loss_and_grad(model, batch, grads, normalizer=batch.n_targets).loss
        if run.max_norm is not None:
            optim.clip_by_global_norm(grads.flat, run.max_norm)
        optimizer.step(grads.flat, rate(step))
    return losses, model.params


def batches(stored: dict[str, Array]) -> list[MaskedLMBatch]:
    """Return the stored batches in order."""
    numbers = {key.split("/")[1] for key in stored if key.startswith("batch/")}
    return [MaskedLMBatch(**golden.part(stored, f"batch/{i}")) for i in range(len(numbers))]


def _worst(a: Array, n: Array) -> float:
    """Return the largest error, absolute where numbers are small and relative where they are large."""
    if np.shape(a) != np.shape(n):
        return np.inf
    error = np.abs(np.asarray(a) - n) / np.maximum(np.abs(n), 1.0)
    return float(error.max()) if np.isfinite(error).all() else np.inf
