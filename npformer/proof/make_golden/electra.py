"""ELECTRA in PyTorch: generator and discriminator with their losses, differentiated by autograd.

Written from the paper and its published code (post-norm, learned positions, a projection behind the
embeddings), not from npformer: every position is computed, and what counts is picked at the end. The tokens
that the generator has put in are given.
"""

from __future__ import annotations

from functools import partial

import torch.nn.functional as F

from ...models import ElectraConfig, EncoderConfig
from ..electra import MODELS, WEIGHTS, draw_point
from ..golden import Array
from .models import Batch, Dropped, Params, Parts, stored_point
from .ops import Tensor


def encoded(params: Params, ids: Tensor, batch: Batch, drop: Dropped, config: EncoderConfig) -> Tensor:
    """Return the outputs (B, T, d_model) of one of the two encoders; `params` under its own names."""
    c, T = config, ids.shape[1]
    parts = Parts(params, drop, norm="post", n_heads=c.n_heads, activation=F.gelu, eps=c.eps)
    allowed = batch["mask"][:, None, None, :].expand(-1, 1, T, T)
    x = F.embedding(ids, params["embeddings.token"])
    x = x + F.embedding(batch["segment_ids"], params["embeddings.segment"])
    x = drop(parts.normalised(x + params["embeddings.position"][:T], "embeddings.norm"))
    x = parts.dense(x, "embeddings.projection")
    for i in range(c.n_layers):
        name = f"encoder.{i}.attention"
        x = parts.residual(x, name, partial(parts.attention, name=name, allowed=allowed))
        name = f"encoder.{i}.feed_forward"
        x = parts.residual(x, name, partial(parts.feed_forward, name=name))
    return x


def losses(params: Params, batch: Batch, drop: Dropped, config: ElectraConfig) -> tuple[Tensor, Tensor]:
    """Return the generator's mean loss at the masked tokens, and the discriminator's at the real ones."""
    generators = {name: x for name, x in params.items() if name.startswith("embeddings.")}
    generators = {name: x for name, x in generators.items() if ".projection." not in name}
    generators |= {n.removeprefix("generator."): x for n, x in params.items() if n.startswith("generator.")}
    at, ids, targets, tokens = batch["at"], batch["ids"], batch["targets"], batch["tokens"]

    hidden = encoded(generators, ids, batch, drop, config.generator).flatten(0, 1)
    t = F.gelu(hidden @ generators["mlm.transform.weight"] + generators["mlm.transform.bias"])
    gamma, beta = generators["mlm.norm.gamma"], generators["mlm.norm.beta"]
    t = F.layer_norm(t, gamma.shape, gamma, beta, config.generator.eps)
    logits = t @ generators["embeddings.token"].T + generators["mlm.bias"]
    of_generator = F.cross_entropy(logits[at], targets)

    original, filled = ids.flatten().clone(), ids.flatten().clone()
    original[at], filled[at] = targets, tokens
    hidden = encoded(params, filled.view_as(ids), batch, drop, config.discriminator).flatten(0, 1)
    t = F.gelu(hidden @ params["rtd.transform.weight"] + params["rtd.transform.bias"])
    logit = (t @ params["rtd.logit.weight"] + params["rtd.logit.bias"])[:, 0]
    label = (filled != original).to(logit.dtype)
    real = batch["mask"].flatten()
    return of_generator, F.binary_cross_entropy_with_logits(logit[real], label[real])


def make() -> dict[str, Array]:
    """Return everything to be stored about ELECTRA, at the points of seed 0."""
    made: dict[str, Array] = {}
    for label, part in MODELS.items():
        weights = WEIGHTS[part]

        def weighted(
            params: Params,
            batch: Batch,
            drop: Dropped,
            config: ElectraConfig,
            weights: tuple[float, float] = weights,
        ) -> Tensor:
            first, second = losses(params, batch, drop, config)
            return weights[0] * first + weights[1] * second

        made |= {f"{label}/{key}": x for key, x in stored_point(draw_point(label, 0), weighted).items()}
    return made
