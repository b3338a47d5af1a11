"""Heads for fine-tuning in PyTorch: pooled or at the words, with their losses, differentiated by autograd.

Written from the papers, not from npformer: every position is computed, the mean is taken text by text, words
are picked at the end, and class weights are PyTorch's own.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ...models import DecoderConfig, EncoderConfig
from ..finetuning import CLASS_WEIGHTS, MODELS, draw_point
from ..golden import Array
from .encoder import outputs
from .models import Batch, Dropped, Params, stored_point
from .ops import Tensor, linear


def mean_of_real(hidden: Tensor, mask: Tensor) -> Tensor:
    """The mean of each text's outputs at its real tokens; zeros where it has none."""
    texts = zip(hidden, mask, strict=True)
    return torch.stack([x[real].mean(dim=0) if real.any() else torch.zeros_like(x[0]) for x, real in texts])


def loss_of(params: Params, batch: Batch, drop: Dropped, config: EncoderConfig) -> Tensor:
    """Return the mean loss of a model with a head."""
    return loss_of_head(outputs(params, batch, drop, config), params, batch, drop, config)


def last_of_real(hidden: Tensor, mask: Tensor) -> Tensor:
    """The output of each text's last real token; of its first where it has none."""
    texts = zip(hidden, mask, strict=True)
    return torch.stack([x[real][-1] if real.any() else x[0] for x, real in texts])


def loss_of_head(
    hidden: Tensor, params: Params, batch: Batch, drop: Dropped, config: EncoderConfig | DecoderConfig
) -> Tensor:
    """Return the mean loss of the head that stands on the outputs (B, T, d_model)."""
    if config.task == "tag":
        x = hidden
    elif config.task_pooling == "mean":
        x = mean_of_real(hidden, batch["mask"])
    elif config.task_pooling == "last":
        x = last_of_real(hidden, batch["mask"])
    else:
        x = hidden[:, 0]
    if config.task != "tag" and config.task_pooling == "pooler":
        x = torch.tanh(linear(x, params["pooler.weight"], params["pooler.bias"]))
    x = Dropped(config.task_dropout, drop.kept)(x)
    y = linear(x, params["task.weight"], params["task.bias"])
    if config.task == "regress":
        return F.mse_loss(y[:, 0], batch["targets"])
    weights = torch.tensor(CLASS_WEIGHTS, dtype=y.dtype)
    if config.task == "tag":
        return F.cross_entropy(y.flatten(0, 1)[batch["at"]], batch["targets"], weight=weights)
    return F.cross_entropy(y, batch["labels"], weight=weights)


def similarity_loss(params: Params, batch: Batch, drop: Dropped, config: EncoderConfig) -> Tensor:
    """Return the mean squared error of the cosines of pairs."""
    # Both sides have masks of their own, one after the other: the pairs' rows are 2 i and 2 i + 1.
    sides = zip(drop.kept[0::2], drop.kept[1::2], strict=True)
    kept = [torch.stack(both, dim=1).flatten(0, 1) for both in sides]
    drop.kept.clear()
    texts = {name: batch[name].flatten(0, 1) for name in ("ids", "mask", "segment_ids")}
    hidden = outputs(params, texts, Dropped(drop.p, kept), config)
    u, v = mean_of_real(hidden, texts["mask"]).unflatten(0, (-1, 2)).unbind(dim=1)
    return F.mse_loss(F.cosine_similarity(u, v), batch["targets"])


def make() -> dict[str, Array]:
    """Return everything to be stored about fine-tuning, at the points of seed 0."""
    made: dict[str, Array] = {}
    for label in MODELS:
        point = draw_point(label, 0)
        if point.model.config.task is None:
            stored = stored_point(point, similarity_loss)
        else:
            stored = stored_point(point, loss_of, point.model.config.task_dropout)
        made |= {f"{label}/{key}": value for key, value in stored.items()}
    return made
