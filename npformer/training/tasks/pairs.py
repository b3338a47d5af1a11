"""Sequence to sequence: an encoder-decoder turns sources into targets.

batches     pairs of about one length: of a pool of 64 batches, drawn anew in every epoch, sorted by the
            lengths of target and source; what an epoch has beyond its last whole batch is left out of it
held out    the loss without label smoothing, of every target token up to its [SEP]
baseline    an n-gram of the targets, which has not read the source (ngram.py)
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

import numpy as np

from ...models import EncoderDecoder, EncoderDecoderConfig
from ...objectives import Seq2Seq, Seq2SeqBatch
from ...text import CorpusError, Packed, Pair, Tokenizer, pair_rows, read_pairs, split_pairs
from .. import draws
from ..evaluate import POSITIONS, Evaluation, evaluate
from ..ngram import NGramWittenBell
from ..ranks import Ranks
from ..result import counted_part, margin, score, share_counted
from .masked import finished as finished
from .task import Array, Generators, Make

if TYPE_CHECKING:
    from ..config import RunConfig
    from ..run import Run

POOL = 64  # batches
LOOK = 256  # pairs, for a look at the held-out loss
ROWS = 1 << 14  # of which lengths are counted at once
ORDER = 3  # of the n-gram

_FORM: dict[str, Any] = {
    "positions": "sinusoidal",
    "activation": "relu",
    "embedding_init": "random",
    "label_smoothing": 0.1,
    "dropout": 0.1,
    "batch_size": 64,
}
PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {
        **_FORM,
        "layers": 1,
        "d_model": 64,
        "heads": 2,
        "vocab_size": 2000,
        "minutes": 1.0,
        "dropout": 0.0,
    },
    "small": {**_FORM, "layers": 3, "d_model": 192, "heads": 4, "lr": 1e-3, "minutes": 10.0},
    "base": {
        **_FORM,
        "layers": 4,
        "d_model": 256,
        "vocab_size": 8000,
        "seq_len": 128,
        "lr": 7e-4,
        "minutes": 60.0,
    },
}
PARTS = False
CHOICES = {"positions": ("sinusoidal", "learned")}
USES = ("label_smoothing",)
LABELS = ("target token", "held out, not smoothed")


def model_config(config: RunConfig, vocab_size: int) -> EncoderDecoderConfig:
    """Return the model's configuration; a target is read up to its last token but one."""
    return EncoderDecoderConfig(
        vocab_size=vocab_size,
        d_model=config.d_model,
        n_heads=config.heads,
        d_ff=4 * config.d_model if config.d_ff is None else config.d_ff,
        n_encoder_layers=config.layers,
        n_decoder_layers=config.layers,
        max_positions=config.seq_len,
        activation=config.activation,
        norm=config.norm,
        positions=config.positions,
        dropout=config.dropout,
        scale_residual=config.norm == "pre",
    )


def build_model(config: RunConfig, vocab_size: int, rng: np.random.Generator) -> EncoderDecoder:
    """Return the encoder-decoder with its initial weights."""
    return EncoderDecoder(model_config(config, vocab_size), rng, dtype=config.dtype)


def initial_embeddings(config: RunConfig, train: Packed, vocab_size: int, rng: np.random.Generator) -> Array:
    """Return embeddings out of the company that tokens keep: of a length of 1, as the random ones."""
    from ..cooccurrence import cooccurrence_embeddings  # here: it loads SciPy, which takes long

    found = cooccurrence_embeddings(train, vocab_size, config.d_model, rng, rows_too=True)
    return found * config.d_model**-0.5


def build_objective(config: RunConfig, tokenizer: Tokenizer) -> Seq2Seq:
    """Return the objective of training."""
    return Seq2Seq(config.label_smoothing)


def read(sources: Sequence[str], columns: tuple[int, int] | None = None) -> list[Pair]:
    """Return the pairs of one file or two."""
    if not sources:
        raise CorpusError("pairs: expected one file of tab-separated lines or two parallel files, got none")
    return read_pairs(list(sources), columns)


def split(corpus: Sequence[Pair], share: float, seed: int, tail: bool) -> tuple[list[Pair], list[Pair]]:
    """Return training and held-out pairs."""
    return split_pairs(corpus, share, seed, tail=tail)


def texts(part: Iterable[Pair]) -> Iterable[str]:
    """Return both sides of each pair: one vocabulary for both."""
    return (side for pair in part for side in pair)


def rows(part: Sequence[Pair], tokenizer: Tokenizer, config: RunConfig) -> Iterable[list[int]]:
    """Yield a row for each pair: the source in its places, then the target in its own."""
    return pair_rows(part, tokenizer, config.seq_len)


def width(seq_len: int) -> int:
    """Return the places of a row: a target has one token more than the model reads of it."""
    return 2 * seq_len + 1


def left_out(part: Sequence[Pair], packed: Packed) -> str | None:
    """Return a line on the pairs that were too long, if any were."""
    n, length = len(part) - len(packed.ids), (packed.ids.shape[1] - 1) // 2
    longer = f"the source has more than {length} tokens, or the target more than {length + 1}"
    return f"{n:,} of {len(part):,} pairs left out: {longer}" if n else None


def lengths(packed: Packed) -> Array:
    """Return how many tokens source and target have, shape (N, 2)."""
    S = (packed.ids.shape[1] - 1) // 2
    found = [np.zeros((0, 2), dtype=np.intp)]
    for start in range(0, len(packed.ids), ROWS):
        mask = packed.mask[start : start + ROWS]
        found.append(np.stack([mask[:, :S].sum(axis=1), mask[:, S:].sum(axis=1)], axis=1))
    return np.concatenate(found)


def order(config: RunConfig, train: Packed) -> Callable[[int], Array]:
    """Return the function from a step to its rows, which are of about one length."""
    n, B = len(train.ids), config.sequences_per_step
    if n <= B:
        return lambda step: draws.sequences_of_step(config.seed, step, B, n)
    of_rows = lengths(train)

    @functools.lru_cache(maxsize=1)
    def of_epoch(epoch: int) -> Array:
        rng = draws.generator(config.seed, draws.ORDER, epoch)
        chosen = rng.permutation(n)[: n // B * B]
        pools = [chosen[a : a + POOL * B] for a in range(0, chosen.size, POOL * B)]
        pools = [pool[np.lexsort(of_rows[pool].T)] for pool in pools]  # by the target, then by the source
        batches = np.concatenate(pools).reshape(-1, B)
        return rng.permutation(batches)

    return lambda step: of_epoch(step // (n // B))[step % (n // B)]


def batch(
    config: RunConfig, objective: Any, train: Packed, chosen: Array, generators: Generators
) -> tuple[Make, tuple[int, int]]:
    """Return the function that makes a batch of some chosen rows, padded to the longest of all of them."""
    S, T = lengths(train.rows(chosen)).max(axis=0).tolist()

    def make(places: Array) -> Seq2SeqBatch:
        return _batch(objective, train.rows(chosen[places]), S, T)

    return make, (len(chosen), max(S, T - 1))


def _batch(objective: Any, packed: Packed, S: int, T: int) -> Seq2SeqBatch:
    """Return rows as a batch with sources of S places and targets of T."""
    begin = (packed.ids.shape[1] - 1) // 2
    sides = (slice(0, S), slice(begin, begin + T))
    made: Seq2SeqBatch = objective.make_batch(*(part[:, side] for side in sides for part in packed))
    return made


def evaluation(config: RunConfig, tokenizer: Tokenizer, held_out: Packed) -> Evaluation:
    """Return the held-out pairs in batches of one length."""
    objective = Seq2Seq()
    of_rows = lengths(held_out)
    by_length = np.lexsort(of_rows.T)
    some = by_length[np.unique(np.linspace(0, by_length.size - 1, min(LOOK, by_length.size)).astype(np.intp))]

    def batches(places: Array) -> list[Seq2SeqBatch]:
        pieces = [places[a : a + 32] for a in range(0, places.size, 32)]
        return [_batch(objective, held_out.rows(piece), *of_rows[piece].max(axis=0)) for piece in pieces]

    return Evaluation(objective, batches(by_length), batches(some), True)


def compare(
    run: Run, model: Any, held_out: Evaluation, executor: Executor | None, ranks: Ranks
) -> dict[str, Any]:
    """Return the scores of an n-gram of the targets and the encoder-decoder on the same tokens.

    Returns
    -------
    dict
        "models": for each its "name", "nats", "accuracy", "positions" and "perplexity", the model's last;
        "margin": by how much it beats the n-gram; "pairs": how many are held out; "steps". Where the
        n-gram was counted on a part of the training part, "counted" is its share.
    """
    return compare_with_ngram(run, model, held_out, _targets, executor, ranks)


def compare_with_ngram(
    run: Run,
    model: Any,
    held_out: Evaluation,
    targets: Callable[[Packed], Array],
    executor: Executor | None,
    ranks: Ranks,
) -> dict[str, Any]:
    """Return what `compare` does, where `targets` gives those of some rows, each from [CLS] to [SEP]."""
    tokenizer = run.tokenizer
    train = counted_part(run.train)
    never = (tokenizer.pad_id, tokenizer.mask_id)
    ngram = NGramWittenBell(targets(train), tokenizer.vocab_size, ORDER, never)
    tokens = targets(run.held_out)
    at = np.flatnonzero(tokens != tokenizer.cls_id)
    of_model = evaluate(model, held_out.objective, held_out.batches, executor, ranks)
    models = []
    for name, nats, accuracy in (
        (f"{ORDER}-gram of the targets", *ngram.score(tokens, at)),
        ("encoder-decoder", of_model.loss, of_model.accuracy),
    ):
        models.append(score(name, nats, accuracy, of_model.n_targets, **held_out.figures(nats)))
    share = share_counted(train, run.train)
    pairs = len(run.held_out.ids)
    about = {"objective": run.config.objective, "steps": run.config.steps}
    return {**about, "pairs": pairs, "models": models} | {
        "margin": margin(*models),
        **share,
    }


def _targets(packed: Packed) -> Array:
    """Return the targets one after another, each with its [CLS] and [SEP]."""
    ids, mask = packed.rows(slice(None))
    begin = (ids.shape[1] - 1) // 2
    found: Array = ids[:, begin:][mask[:, begin:]]
    return found


def table(result: dict[str, Any]) -> str:
    """Return the scores for people.

    Examples
    --------
    >>> names = ("name", "nats", "accuracy", "positions", "perplexity")
    >>> rows = [("3-gram of the targets", 4.0, 0.3, 20000, 54.6), ("encoder-decoder", 3.0, 0.5, 20000, 20.1)]
    >>> models = [dict(zip(names, row)) for row in rows]
    >>> print(table({"pairs": 900, "models": models, "margin": {"nats": 1.0, "accuracy": 0.2}}))
    held-out target tokens      nats  perplexity   accuracy      tokens
    3-gram of the targets      4.000       54.60     30.0 %      20,000
    encoder-decoder            3.000       20.10     50.0 %      20,000
    margin                     1.000                 20.0 points
    """
    lines = [f"{'held-out target tokens':<24}{'nats':>8}{'perplexity':>12}{'accuracy':>11}{'tokens':>12}"]
    for m in result["models"]:
        lines.append(
            f"{m['name']:<24}{m['nats']:>8.3f}{m['perplexity']:>12.2f}{100 * m['accuracy']:>9.1f} %"
            f"{m['positions']:>12,}"
        )
    margin = result["margin"]
    lines.append(f"{'margin':<24}{margin['nats']:>8.3f}{'':>12}{100 * margin['accuracy']:>9.1f} points")
    if "counted" in result:
        lines.append(f"(the n-gram was counted on {100 * result['counted']:.2g} % of the training pairs)")
    if result["models"][-1]["positions"] < POSITIONS:
        lines.append(f"(fewer than {POSITIONS:,} tokens: the held-out part is small, the figures rough)")
    return "\n".join(lines)


def try_it(run: Run) -> list[str]:
    """Return the arguments of `npformer generate` with a held-out source."""
    ids, mask = run.held_out.rows(slice(0, 1))
    S = (ids.shape[1] - 1) // 2
    return ["generate", str(run.folder), "--source", run.tokenizer.decode(ids[0, :S][mask[0, :S]])]
