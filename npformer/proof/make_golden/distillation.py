"""Span corruption and distillation in PyTorch, out of the models' losses there.

    soft targets    cross entropy takes probabilities in the place of classes: -Σ_j q_j log p_j
    temperature     what makes the logits linearly is divided by it: the last norm's gamma and beta, and
                    the head's bias
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from ..distillation import ALPHA, CAUSAL, LABEL_SMOOTHING, MASKED, SPANS, TEMPERATURE, draw_point
from ..golden import Array
from ..models import Point
from . import decoder, encoder
from .encoder_decoder import seq2seq_loss
from .models import Batch, Dropped, Params, stored_point
from .ops import Tensor, tensor

LOSSES: dict[str, Callable[..., Tensor]] = {MASKED: encoder.loss_of, CAUSAL: decoder.causal_lm_loss}
LAST = {
    MASKED: ("mlm.norm.gamma", "mlm.norm.beta", "mlm.bias"),
    CAUSAL: ("decoder.norm.gamma", "decoder.norm.beta"),
}


def distillation_loss(label: str, params: Params, batch: Batch, drop: Dropped, config: Any) -> Tensor:
    """Return α τ² KL(q || p_τ) + (1 - α) of the cross entropy with the true tokens."""
    again = Dropped(drop.p, list(drop.kept))
    log_q = batch["log_q"]
    hard = LOSSES[label](params, batch, drop, config)
    soft = LOSSES[label](at_temperature(label, params), {**batch, "targets": log_q.exp()}, again, config)
    entropy = -(log_q.exp() * log_q).sum(dim=-1).mean()
    return ALPHA * TEMPERATURE**2 * (soft - entropy) + (1 - ALPHA) * hard


def at_temperature(label: str, params: Params) -> Params:
    """Return parameters whose logits are those of `params` over the temperature."""
    return {name: x / TEMPERATURE if name in LAST[label] else x for name, x in params.items()}


def require_soft_targets(label: str, point: Point) -> None:
    """Raise RuntimeError unless the soft targets are those of the same teacher in PyTorch, one at a time."""
    teacher, batch = point.objective.teacher, point.batch
    params = at_temperature(label, {name: tensor(x.copy()) for name, x in teacher.params.items()})
    given = {name: tensor(np.asarray(x)) for name, x in batch._asdict().items() if x is not None}
    log_q = np.empty_like(batch.log_q)
    for i, j in np.ndindex(*log_q.shape):
        one = {**given, "at": given["at"][i : i + 1], "targets": torch.tensor([j])}
        log_q[i, j] = -float(LOSSES[label](params, one, Dropped(0.0, []), teacher.config))
    error = np.abs(log_q - batch.log_q).max()
    if not error <= 1e-12 * np.abs(log_q).max():
        raise RuntimeError(f"{label}: the soft targets are off by {error:.1e}")


def make() -> dict[str, Array]:
    """Return everything to be stored, at the points of seed 0."""
    smoothed = partial(seq2seq_loss, label_smoothing=LABEL_SMOOTHING)
    found = {f"{SPANS}/{key}": value for key, value in stored_point(draw_point(SPANS, 0), smoothed).items()}
    for label in (MASKED, CAUSAL):
        point = draw_point(label, 0)
        require_soft_targets(label, point)
        stored = stored_point(point, partial(distillation_loss, label))
        found |= {f"{label}/{key}": value for key, value in stored.items()}
    return found
