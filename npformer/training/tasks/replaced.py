"""Replaced-token detection: a discriminator says which tokens a generator has put in the place of others.

    model/       of a finished run is the discriminator alone, an `Encoder` to be fine-tuned
    held out     as of masked words (masked.py), the same 15 % masked for every model. What the generator puts
                 there is its own draw, by fixed uniform numbers
    baseline     the share of tokens that are the text's: who always says "original" is right as often
"""

from __future__ import annotations

import math
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

import numpy as np

from ...models import Electra, ElectraConfig, Encoder
from ...objectives import Metrics, ReplacedTokens, ReplacedTokensBatch
from ...text import Packed, Tokenizer
from ..evaluate import POSITIONS, Evaluation, evaluate, small_part
from ..ranks import Ranks
from ..result import margin, score
from . import masked
from .masked import RATE, passes
from .masked import batch as batch  # those of masked words do
from .masked import initial_embeddings as initial_embeddings
from .masked import left_out as left_out
from .masked import order as order
from .masked import read as read
from .masked import rows as rows
from .masked import split as split
from .masked import texts as texts
from .masked import width as width
from .task import Array

if TYPE_CHECKING:
    from ..config import RunConfig
    from ..run import Run

PRESETS: dict[str, dict[str, Any]] = {
    name: {**recipe, "mask_rate": RATE} for name, recipe in masked.PRESETS.items()
}
CHOICES = masked.CHOICES
PARTS = masked.PARTS
USES = (*masked.FORM, "mask_rate", "generator_size")
LABELS = ("token, generator + 50 · discriminator", "held out, at 15 %")


def model_config(config: RunConfig, vocab_size: int) -> ElectraConfig:
    """Return the configuration of both: the discriminator is the encoder that masked words would train."""
    return ElectraConfig.scaled(masked.model_config(config, vocab_size), config.generator_size)


def build_model(config: RunConfig, vocab_size: int, rng: np.random.Generator) -> Electra:
    """Return generator and discriminator with their initial weights."""
    return Electra(model_config(config, vocab_size), rng, dtype=config.dtype)


def finished(model: Electra) -> Encoder:
    """Return the discriminator: the generator has done its work."""
    return model.discriminator_alone()


def build_objective(config: RunConfig, tokenizer: Tokenizer) -> ReplacedTokens:
    """Return the objective."""
    return ReplacedTokens(tokenizer.vocab_size, tokenizer.mask_id, tokenizer.special_ids, config.mask_rate)


def evaluation(config: RunConfig, tokenizer: Tokenizer, held_out: Packed) -> Evaluation:
    """Return the held-out sequences with fixed masks, and fixed numbers for the generator to draw by."""
    objective = build_objective(config, tokenizer)

    def mask(chosen: Array, _: Array, u: Array) -> ReplacedTokensBatch:
        return objective.masked(held_out.ids, held_out.mask, chosen, u)

    batches = passes(held_out.ids.shape, mask)
    return Evaluation(objective, batches, small_part(batches))


class _Guesses:
    """Stands for an objective, and counts how often the generator puts in what was there."""

    def __init__(self, objective: ReplacedTokens) -> None:
        self.objective = objective

    def loss_and_grad(self, model: Any, batch: Any, grads: None, *, normalizer: float) -> Metrics:
        tokens = self.objective.put_in(model, batch)
        return Metrics(0.0, int((tokens == batch.targets).sum()), int(batch.at.size))


def compare(
    run: Run, model: Any, held_out: Evaluation, executor: Executor | None, ranks: Ranks
) -> dict[str, Any]:
    """Return the scores of the discriminator, of who always says "original", and of the generator.

    Returns
    -------
    dict
        "models": of the discriminator its "name", "nats", "accuracy" and "positions", the real tokens of all
        passes; "original": the same of the baseline, which knows the share and nothing else; "margin": by how
        much the discriminator beats it; "generator": of the generator, at the masked tokens; "steps";
        "passes". Where nothing is held out to be masked, figures and margin are None.
    """
    batches = held_out.batches
    both = evaluate(model, held_out.objective, batches, executor, ranks)
    guesses = evaluate(model, _Guesses(held_out.objective), batches, executor)
    masked_tokens, real = both.n_targets.tolist()
    positions = real if masked_tokens else 0
    replaced = (masked_tokens - guesses.n_correct) / max(real, 1)
    nats = both.losses[1] / held_out.objective.weight
    discriminator = score("discriminator", nats, both.accuracies[1], positions)
    original = score("always original", entropy(replaced), 1 - replaced, positions)
    return {
        "objective": "rtd",
        "steps": run.config.steps,
        "passes": len(batches),
        "models": [discriminator],
        "original": original,
        "generator": score("generator", both.losses[0], both.accuracies[0], masked_tokens),
        "margin": margin(original, discriminator),
    }


def entropy(p: float) -> float:
    """Return the entropy in nats of a yes with probability p: the loss of who knows p and nothing else.

    Examples
    --------
    >>> round(entropy(0.5), 4), entropy(0.0)
    (0.6931, 0.0)
    """
    return -sum(q * math.log(q) for q in (p, 1 - p) if q > 0) + 0.0


def table(result: dict[str, Any]) -> str:
    """Return the scores for people.

    Examples
    --------
    >>> scores = [("discriminator", 0.24, 0.92), ("always original", 0.35, 0.89), ("generator", 4.2, 0.29)]
    >>> scores = [{"name": n, "nats": x, "accuracy": a, "positions": 90000} for n, x, a in scores]
    >>> models = {"models": scores[:1], "original": scores[1], "generator": scores[2]}
    >>> print(table({**models, "margin": {"nats": 0.11, "accuracy": 0.03}}))
    held-out tokens                nats   accuracy   positions
    generator, masked tokens      4.200     29.0 %      90,000
    always original               0.350     89.0 %      90,000
    discriminator                 0.240     92.0 %      90,000
    margin over always original   0.110      3.0 points
    """
    if result["margin"] is None:
        return "the held-out part of the text is too small to be predicted"
    lines = [f"{'held-out tokens':<27}{'nats':>8}{'accuracy':>11}{'positions':>12}"]
    generator = {**result["generator"], "name": "generator, masked tokens"}
    for m in (generator, result["original"], *result["models"]):
        lines.append(
            f"{m['name']:<27}{m['nats']:>8.3f}{100 * m['accuracy']:>9.1f} %{m['positions']:>12,}"
        )
    nats, accuracy = result["margin"]["nats"], result["margin"]["accuracy"]
    lines.append(f"{'margin over always original':<27}{nats:>8.3f}{100 * accuracy:>9.1f} points")
    if generator["positions"] < POSITIONS:
        few = f"fewer than {POSITIONS:,} masked tokens"
        lines.append(f"({few}: the held-out part is small, the figures rough)")
    return "\n".join(lines)


def try_it(run: Run) -> list[str]:
    """Return the arguments of `npformer finetune`: what the discriminator is for."""
    files = ["--train", "train.tsv", "--dev", "dev.tsv", "--out", f"{run.folder}-finetuned"]
    return ["finetune", str(run.folder), "--task", "classify", *files]
