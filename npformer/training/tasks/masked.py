"""Masked language modelling: an encoder says which tokens were hidden.

Held-out evaluation is on a fixed corruption: 15 % of the tokens, the same ones for every model.

    u          a uniform number for each position, from a fixed seed
    pass k     has as targets the ordinary tokens with 0.15 k <= u < 0.15 (k + 1)

so that each pass hides 15 %, as always, and no position is a target twice. A small held-out part takes
several passes (six at most) to come to 10,000 positions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ...models import Encoder, EncoderConfig
from ...objectives import MaskedLM, MaskedLMBatch
from ...text import (
    Document,
    Packed,
    TextFiles,
    Tokenizer,
    default_corpus,
    open_corpus,
    split_corpus,
    split_tail,
)
from ...text.packing import filled_rows
from .. import draws
from ..baselines import MostFrequentToken, TrigramWittenBell
from ..evaluate import POSITIONS, Evaluation, evaluate, small_part
from ..example import example_sentence
from ..ranks import Ranks
from ..result import counted_part, margin, score, share_counted
from .task import Array, Generators, Make

if TYPE_CHECKING:
    from ..config import RunConfig
    from ..run import Run

RATE = 0.15
PASSES = 6
SEED = 0

PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {"layers": 2, "d_model": 64, "heads": 2, "vocab_size": 2000, "minutes": 1.0},
    "small": {"minutes": 5.0},
    "base": {"layers": 6, "d_model": 256, "vocab_size": 8000, "seq_len": 128, "lr": 1e-3, "minutes": 60.0},
}
CHOICES = {"positions": ("rotary", "learned", "sinusoidal")}
FORM = ("neighbour_heads", "rotary_base", "init_std", "embedding_std")  # of the encoder
USES = (*FORM, "mask_rate", "masking", "teacher", "alpha", "temperature")
PARTS = False
LABELS = ("masked token", "held out, at 15 %")


def model_config(config: RunConfig, vocab_size: int) -> EncoderConfig:
    """Return the encoder's configuration."""
    neighbours = config.neighbour_heads
    if neighbours is None:
        neighbours = config.heads // 2 if config.positions == "rotary" else 0
    return EncoderConfig(
        vocab_size=vocab_size,
        d_model=config.d_model,
        n_heads=config.heads,
        d_ff=4 * config.d_model if config.d_ff is None else config.d_ff,
        n_layers=config.layers,
        max_positions=config.seq_len,
        n_segments=0,
        activation=config.activation,
        norm=config.norm,
        positions=config.positions,
        rotary_base=config.rotary_base,
        dropout=config.dropout,
        init_std=config.init_std,
        embedding_std=config.embedding_std,
        neighbour_heads=neighbours,
        scale_residual=True,
    )


def build_model(config: RunConfig, vocab_size: int, rng: np.random.Generator) -> Encoder:
    """Return the encoder with its initial weights."""
    return Encoder(model_config(config, vocab_size), rng, dtype=config.dtype)


def finished(model: Any) -> Any:
    """Return the model as it is."""
    return model


def initial_embeddings(config: RunConfig, train: Packed, vocab_size: int, rng: np.random.Generator) -> Array:
    """Return embeddings out of the company that tokens keep."""
    from ..cooccurrence import cooccurrence_embeddings  # here: it loads SciPy, which takes long

    return config.embedding_std * cooccurrence_embeddings(train, vocab_size, config.d_model, rng)


def build_objective(config: RunConfig, tokenizer: Tokenizer) -> MaskedLM:
    """Return the objective of training."""
    return MaskedLM(
        tokenizer.vocab_size,
        tokenizer.mask_id,
        tokenizer.special_ids,
        config.mask_rate,
        config.masking,
        tokenizer.continues,
    )


def read(sources: Sequence[str], columns: tuple[int, int] | None = None) -> list[Document] | TextFiles:
    """Return the documents of `sources`, without any the documentation inside the running Python."""
    if columns is not None:
        raise ValueError("columns: only pairs of texts have them (--objective seq2seq)")
    return open_corpus(list(sources)) if sources else default_corpus()


def split(corpus: Any, share: float, seed: int, tail: bool) -> tuple[Any, Any]:
    """Return training and held-out documents."""
    return split_tail(corpus, share) if tail else split_corpus(corpus, share, seed)


def texts(part: Iterable[Document]) -> Iterable[str]:
    """Return the text of each document."""
    return (document.text for document in part)


def rows(part: Iterable[Document], tokenizer: Tokenizer, config: RunConfig) -> Iterable[list[int]]:
    """Yield sequences of whole sentences."""
    return filled_rows(part, tokenizer, config.seq_len)


def width(seq_len: int) -> int:
    """Return the most tokens of a row."""
    return seq_len


def left_out(part: Any, packed: Packed) -> str | None:
    """Return None: no token is lost."""
    return None


def order(config: RunConfig, train: Packed) -> Callable[[int], Array]:
    """Return the function from a step to its rows: in every epoch each comes once."""
    return lambda step: draws.sequences_of_step(config.seed, step, config.sequences_per_step, len(train.ids))


def batch(
    config: RunConfig, objective: Any, train: Packed, chosen: Array, generators: Generators
) -> tuple[Make, tuple[int, int]]:
    """Return the function that corrupts some of the chosen rows, and the shape of all."""

    def make(places: Array) -> MaskedLMBatch:
        made: MaskedLMBatch = objective.make_batch(*train.rows(chosen[places]), generators(places))
        return made

    return make, (len(chosen), config.seq_len)


def fixed_corruptions(
    held_out: Packed, tokenizer: Tokenizer, at_least: int = POSITIONS
) -> list[MaskedLMBatch]:
    """Return the corrupted held-out sequences, as many passes as it takes.

    Parameters
    ----------
    held_out : Packed
    tokenizer : WordPieceTokenizer or CharacterTokenizer
    at_least : int
        Positions wanted; there are fewer if six passes over the text do not give them.

    Returns
    -------
    list of MaskedLMBatch
        One for each pass. Their targets are disjoint.
    """
    corrupt = MaskedLM(tokenizer.vocab_size, tokenizer.mask_id, tokenizer.special_ids, RATE).corrupt
    return passes(held_out.ids.shape, partial(corrupt, held_out.ids, held_out.mask), at_least)


def passes(
    shape: tuple[int, int], corrupt: Callable[[Array, Array, Array], Any], at_least: int = POSITIONS
) -> list[Any]:
    """Return what `corrupt` makes of held-out sequences (B, T), as many passes as it takes.

    It is given which tokens are chosen, and two uniform numbers for each token.
    """
    u = draws.generator(SEED, draws.EVALUATION, 0).random(shape)
    batches: list[Any] = []
    while len(batches) < PASSES and sum(batch.at.size for batch in batches) < at_least:
        k = len(batches)
        rng = draws.generator(SEED, draws.EVALUATION, 1, k)
        chosen = (u >= RATE * k) & (u < RATE * (k + 1))
        batches.append(corrupt(chosen, *rng.random((2, *shape))))
    return batches


def evaluation(config: RunConfig, tokenizer: Tokenizer, held_out: Packed) -> Evaluation:
    """Return the fixed corruptions."""
    batches = fixed_corruptions(held_out, tokenizer)
    return Evaluation(build_objective(config, tokenizer), batches, small_part(batches))


def compare(
    run: Run, model: Any, held_out: Evaluation, executor: Executor | None, ranks: Ranks
) -> dict[str, Any]:
    """Return the scores of the most frequent token, the trigram and the encoder.

    Returns
    -------
    dict
        "models": for each its "name", "nats", "accuracy" and "positions", the encoder's last; "margin": by
        how much the encoder beats the trigram; "steps"; "passes". Where the held-out part is too small for a
        single position, figures and margin are None. Where the baselines were counted on a part of the
        training part, "counted" is its share.
    """
    batches = held_out.batches
    train = counted_part(run.train)
    models = counting_models(train, run.tokenizer, batches)
    found = evaluate(model, held_out.objective, batches, executor, ranks)
    encoder = score("encoder", found.loss, found.accuracy, found.n_targets)
    return {
        "steps": run.config.steps,
        "passes": len(batches),
        "models": [*models, encoder],
        "margin": margin(models[-1], encoder),
        **share_counted(train, run.train),
    }


def counting_models(
    train: Packed, tokenizer: Tokenizer, batches: Sequence[MaskedLMBatch]
) -> list[dict[str, Any]]:
    """Return the scores of the most frequent token and, last, of the trigram, counted on `train`."""
    # All passes below one another, and where in them the targets are.
    ids = np.concatenate([batch.ids for batch in batches])
    at = np.concatenate([batch.at + i * batch.ids.size for i, batch in enumerate(batches)])
    targets = np.concatenate([batch.targets for batch in batches])
    models = []
    for name, baseline in (
        ("most frequent token", MostFrequentToken),
        ("trigram (Witten-Bell)", TrigramWittenBell),
    ):
        counted = baseline(*train, tokenizer.vocab_size, tokenizer.special_ids)
        models.append(score(name, *counted.score(ids, at, targets), at.size))
    return models


def table(result: dict[str, Any]) -> str:
    """Return the scores for people.

    Examples
    --------
    >>> scores = [("most frequent token", 6.2, 0.05), ("trigram", 3.9, 0.34), ("encoder", 3.3, 0.42)]
    >>> models = [{"name": n, "nats": x, "accuracy": a, "positions": 12000} for n, x, a in scores]
    >>> print(table({"models": models, "margin": {"nats": 0.6, "accuracy": 0.08}}))
    held-out masked tokens         nats   accuracy   positions
    most frequent token           6.200      5.0 %      12,000
    trigram                       3.900     34.0 %      12,000
    encoder                       3.300     42.0 %      12,000
    margin over the trigram       0.600      8.0 points
    """
    if result["margin"] is None:
        return "the held-out part of the text is too small to be predicted"
    lines = [f"{'held-out masked tokens':<27}{'nats':>8}{'accuracy':>11}{'positions':>12}"]
    for name, nats, accuracy, positions in ([*m.values()] for m in result["models"]):
        lines.append(f"{name:<27}{nats:>8.3f}{100 * accuracy:>9.1f} %{positions:>12,}")
    nats, accuracy = result["margin"]["nats"], result["margin"]["accuracy"]
    lines.append(f"{'margin over the trigram':<27}{nats:>8.3f}{100 * accuracy:>9.1f} points")
    if "counted" in result:
        lines.append(f"(the first two were counted on {100 * result['counted']:.2g} % of the training part)")
    if result["models"][-1]["positions"] < POSITIONS:
        lines.append(f"(fewer than {POSITIONS:,} positions: the held-out part is small, the figures rough)")
    return "\n".join(lines)


def try_it(run: Run) -> list[str]:
    """Return the arguments of `npformer fill` with a held-out sentence."""
    return ["fill", str(run.folder), example_sentence(run.held_out, run.tokenizer)]
