"""BERT's two losses in PyTorch: masked words, and whether the second segment follows the first.

Written from the paper: the pair is classified from tanh(W h + b) of the first token's output.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F

from ...models import EncoderConfig
from ..golden import Array
from ..sentence_pairs import LABEL, WEIGHTS, draw_point
from .encoder import encode, token_loss
from .models import Dropped, Params, stored_point
from .ops import Tensor, linear


def loss_of(params: Params, batch: Mapping[str, Tensor], drop: Dropped, config: EncoderConfig) -> Tensor:
    """Return the weighted sum of the two mean cross entropies."""
    x = encode(params, batch, n_heads=config.n_heads, n_layers=config.n_layers, eps=config.eps, drop=drop)
    hidden, (words, first) = x.flatten(0, 1), batch["of"].T
    of_words = token_loss(params, hidden[batch["at"][words]], batch["targets"][words], config.eps)
    pooled = torch.tanh(linear(x[:, 0], params["pooler.weight"], params["pooler.bias"]))
    logits = linear(pooled, params["pair.weight"], params["pair.bias"])
    pairs = batch["at"][first] // x.shape[1]
    of_pairs = F.cross_entropy(logits[pairs], batch["targets"][first])
    return WEIGHTS[0] * of_words + WEIGHTS[1] * of_pairs


def make() -> dict[str, Array]:
    """Return everything to be stored, at the point of seed 0."""
    return {f"{LABEL}/{key}": value for key, value in stored_point(draw_point(LABEL, 0), loss_of).items()}
