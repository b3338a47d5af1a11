"""Contrastive learning: an encoder tells the sentences of a batch apart, whatever dropout does to them.

    training    rows of a sentence each (text/sentences.py), of which each line begins one if the
                configuration says so; each is encoded under two dropout masks
    held out    batches of 64 sentences from all over the held-out part, two masks from a fixed seed, and the
                usual temperature, whatever the run's
    baseline    the mean of the initial embeddings of a sentence's tokens, under as much dropout
    figures     alignment and uniformity of the vectors (objectives/hypersphere.py)

A sentence of fewer than four tokens is no row, nor one that has come before, among the last 200,000 or so: it
would be its own negative.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...functional import dropout, embedding
from ...models import Encoder, EncoderConfig
from ...nn import SequenceRandom
from ...objectives import Contrastive, ContrastiveBatch, Metrics, alignment, uniformity
from ...text import Document, Packed, Tokenizer
from ...text.packing import MOST_SEEN
from ...text.sentences import lines, sentences
from .. import draws
from ..evaluate import Evaluation, evaluate
from ..initial import TOKENS, embed_text
from ..ranks import Ranks
from ..result import margin, score
from . import masked
from .masked import finished as finished
from .masked import initial_embeddings as initial_embeddings
from .masked import read as read
from .masked import split as split
from .masked import texts as texts
from .masked import width as width
from .task import Array, Generators, Make

if TYPE_CHECKING:
    from ..config import RunConfig
    from ..run import Run

TEMPERATURE = 0.05
LEAST = 4  # tokens of a sentence
OF_BATCH = 64  # held-out sentences that are one another's negatives
JUDGED = 4096  # held-out sentences at most
LOOK = 4  # batches, for a look at the held-out loss
SEED = 0

_FORM: dict[str, Any] = {"dropout": 0.1, "batch_size": 64, "lr": 5e-4}
PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {**_FORM, "layers": 2, "d_model": 64, "heads": 2, "vocab_size": 2000, "minutes": 1.0},
    "small": {**_FORM, "minutes": 5.0},
    "base": {**_FORM, "layers": 6, "d_model": 256, "vocab_size": 8000, "lr": 2e-4, "minutes": 60.0},
}
CHOICES = masked.CHOICES
PARTS = masked.PARTS
USES = (*masked.FORM, "lines", "temperature")
LABELS = ("sentence", "held out")


def model_config(config: RunConfig, vocab_size: int) -> EncoderConfig:
    """Return the encoder's configuration."""
    if not config.dropout:
        raise ValueError("dropout: expected above 0 for simcse, whose pairs are two dropout masks, got 0")
    if config.sequences_per_step < 2:
        raise ValueError("batch_size: expected at least 2 for simcse, to tell a sentence from others, got 1")
    if config.temperature is not None and config.temperature > 1:
        expected = "at most 1 for simcse, where it divides cosines"
        raise ValueError(f"temperature: expected {expected}, got {config.temperature:g}")
    return replace(masked.model_config(config, vocab_size), mlm=False)


def build_model(config: RunConfig, vocab_size: int, rng: np.random.Generator) -> Encoder:
    """Return the encoder with its initial weights."""
    return Encoder(model_config(config, vocab_size), rng, dtype=config.dtype)


def build_objective(config: RunConfig, tokenizer: Tokenizer) -> Contrastive:
    """Return the objective of training."""
    return Contrastive(TEMPERATURE if config.temperature is None else config.temperature)


def order(config: RunConfig, train: Packed) -> Callable[[int], Array]:
    """Return the function from a step to its rows: whole batches of an epoch, none of them with one twice.

    Raises
    ------
    ValueError
        If a batch is larger than the data.
    """
    B = config.sequences_per_step
    n = len(train.ids) // B * B  # the last of an epoch are left out of it; of the next they may be the first
    if n == 0:
        expected = f"sentences for one batch of simcse ({B}), each of them once"
        raise ValueError(f"batch_size: expected {expected}, got {len(train.ids)}")

    def rows_of(step: int) -> Array:
        epoch, place = divmod(step * B, n)
        return draws.order_of_epoch(config.seed, epoch, len(train.ids))[place : place + B]

    return rows_of


def rows(part: Iterable[Document], tokenizer: Tokenizer, config: RunConfig) -> Iterator[list[int]]:
    """Yield a row for each sentence; of one that is too long its beginning."""
    seen: dict[str, list[int]] = {}  # words
    lately: set[bytes] = set()
    for document in part:
        pieces = lines(document.text) if config.lines else [document.text]
        for sentence in (sentence for piece in pieces for sentence in sentences(piece)):
            text = " ".join(sentence.split())  # where its lines ended is of no matter
            ids = tokenizer.encode_plain(text, specials=False, seen=seen)[: config.seq_len - 2]
            key = np.array(ids, np.int32).tobytes()
            if len(ids) >= LEAST and key not in lately:
                lately.add(key)
                yield [tokenizer.cls_id, *ids, tokenizer.sep_id]
        for remembered in (seen, lately):
            if len(remembered) > MOST_SEEN:
                remembered.clear()


def left_out(part: Any, packed: Packed) -> str | None:
    """Return a line if nothing became a row, or on the sentences that were cut or fill theirs to the last.

    That some are too short goes without saying.
    """
    n, length = len(packed.ids), packed.ids.shape[1]
    if not n:
        return f"expected sentences of at least {LEAST} tokens to train on and to hold out, got none"
    full = sum(int(packed.mask[a : a + MOST_SEEN][:, -1].sum()) for a in range(0, n, MOST_SEEN))
    which = f"{full:,} of {n:,} sentences fill all {length} tokens of a row, and what was longer is cut"
    return f"{which} (with --lines a sentence ends at a line's end, too)" if full else None


def batch(
    config: RunConfig, objective: Any, train: Packed, chosen: Array, generators: Generators
) -> tuple[Make, tuple[int, int]]:
    """Return the function that makes a batch of some of the chosen rows, and the shape of all."""

    def make(places: Array) -> ContrastiveBatch:
        made: ContrastiveBatch = objective.make_batch(*train.rows(chosen[places]))
        return made

    return make, (len(chosen), config.seq_len)


class FixedMasks:
    """The objective of the held-out part: its dropout masks are the same for every model and whenever."""

    def __init__(self, objective: Contrastive) -> None:
        self.objective, self.couple = objective, objective.couple

    def embed(self, model: Any, batch: ContrastiveBatch) -> Array:
        """Return the vectors of a batch, (B, 2, d_model)."""
        generators = [draws.generator(SEED, draws.EVALUATION, i) for i in range(len(batch.ids))]
        rng = SequenceRandom(generators, batch.extents)
        with np.errstate(all="ignore"):
            vectors, _ = self.objective.embed(model, batch, keep=False, rng=rng)
        return vectors

    def loss_and_grad(self, model: Any, batch: ContrastiveBatch, grads: Any, *, normalizer: float) -> Metrics:
        """Return the summed loss of a whole batch; there are no gradients here."""
        metrics, _ = self.couple(self.embed(model, batch), normalizer)
        return metrics


class BagOfEmbeddings:
    """Stands for an encoder without layers: the output of a token is its embedding, under dropout."""

    def __init__(self, table: Array, config: EncoderConfig) -> None:
        self.table, self.config = table, config

    def forward(self, ids: Array, *, rng: Any, **options: Any) -> tuple[Array, None]:
        """Return the embeddings (B, T, d_model)."""
        x, _ = embedding(ids, self.table)
        x, _ = dropout(x, self.config.dropout, rng)
        return x, None


def evaluation(config: RunConfig, tokenizer: Tokenizer, held_out: Packed) -> Evaluation:
    """Return the held-out sentences in batches of one size; what is over at the end has too few negatives."""
    objective = FixedMasks(Contrastive(TEMPERATURE))
    n = len(held_out.ids)
    mixed = draws.generator(SEED, draws.EVALUATION).permutation(n)[:JUDGED]
    size = min(n, OF_BATCH)
    batches = []
    for start in range(0, mixed.size - size + 1, size):
        batches.append(objective.objective.make_batch(*held_out.rows(mixed[start : start + size])))
    return Evaluation(objective, batches, batches[:LOOK])


def figures(model: Any, held_out: Evaluation) -> dict[str, float]:
    """Return alignment of the two masks' vectors and uniformity of the first ones, means over the batches."""
    pairs = [held_out.objective.embed(model, batch.trimmed()) for batch in held_out.batches]
    return {
        "alignment": float(np.mean([alignment(v[:, 0], v[:, 1]) for v in pairs])),
        "uniformity": float(np.mean([uniformity(v[:, 0]) for v in pairs])),
    }


def initial_table(run: Run, config: EncoderConfig) -> Array:
    """Return the token embeddings that the run began with."""
    if run.initial is not None:
        return run.initial[TOKENS]
    model = build_model(run.config, config.vocab_size, draws.generator(run.config.seed, draws.WEIGHTS))
    table = model.params[TOKENS]
    if run.config.embedding_init == "cooccurrence":
        embed_text(run.config, run.train, table)
    return table


def compare(
    run: Run, model: Any, held_out: Evaluation, executor: Executor | None, ranks: Ranks
) -> dict[str, Any]:
    """Return the scores of the initial embeddings and the encoder on the same sentences.

    Returns
    -------
    dict
        "models": for each its "name", "nats", "accuracy" (how many sentences are nearest to themselves),
        "positions" (sentences), "alignment" and "uniformity", the encoder's last; "margin": by how much it
        beats the embeddings; "negatives": of each sentence; "steps".
    """
    bag = BagOfEmbeddings(initial_table(run, model.config), model.config)
    judged = (held_out.objective, held_out.batches, executor)
    models = []
    for name, one, found in (
        ("bag of embeddings", bag, evaluate(bag, *judged)),
        ("encoder", model, evaluate(model, *judged, ranks)),
    ):
        models.append(score(name, found.loss, found.accuracy, found.n_targets, **figures(one, held_out)))
    negatives = len(held_out.batches[0].ids) - 1
    return {"objective": "simcse", "steps": run.config.steps, "negatives": negatives, "models": models} | {
        "margin": margin(*models)
    }


def table(result: dict[str, Any]) -> str:
    """Return the scores for people.

    Examples
    --------
    >>> names = ("name", "nats", "accuracy", "positions", "alignment", "uniformity")
    >>> rows = [("bag of embeddings", 0.4, 0.99, 2048, 0.2, -1.5), ("encoder", 0.1, 0.995, 2048, 0.1, -2.5)]
    >>> models = [dict(zip(names, row)) for row in rows]
    >>> print(table({"negatives": 63, "models": models, "margin": {"nats": 0.3, "accuracy": 0.005}}))
    held-out sentences          nats   accuracy  alignment  uniformity   sentences
    bag of embeddings          0.400     99.0 %      0.200      -1.500       2,048
    encoder                    0.100     99.5 %      0.100      -2.500       2,048
    margin                     0.300      0.5 points
    (each among itself and 63 others; alignment and uniformity are better where they are smaller)
    """
    lines = [
        f"{'held-out sentences':<24}{'nats':>8}{'accuracy':>11}{'alignment':>11}{'uniformity':>12}"
        f"{'sentences':>12}"
    ]
    for m in result["models"]:
        lines.append(
            f"{m['name']:<24}{m['nats']:>8.3f}{100 * m['accuracy']:>9.1f} %{m['alignment']:>11.3f}"
            f"{m['uniformity']:>12.3f}{m['positions']:>12,}"
        )
    margin = result["margin"]
    lines.append(f"{'margin':<24}{margin['nats']:>8.3f}{100 * margin['accuracy']:>9.1f} points")
    others = f"(each among itself and {result['negatives']} others"
    lines.append(f"{others}; alignment and uniformity are better where they are smaller)")
    return "\n".join(lines)


def try_it(run: Run) -> list[str]:
    """Return the arguments of `npformer similar`."""
    return ["similar", str(run.folder), "a sentence", "sentences.txt"]
