"""Causal language modelling: a decoder says what comes next.

    training    rows of T + 1 tokens of one long stream (text/stream.py)
    held out    windows of T tokens, each half a window on; targets are the tokens that are new, so that all
                but the first have half a window before them, and every token is a target once; of
                more than JUDGED tokens some windows, evenly spaced
    baseline    an interpolated n-gram on the same tokens, which looks back as far as it likes (ngram.py)

Bits per character and per byte are the loss of all targets over the text that their tokens stand for, so that
tokenizers can be compared that lose nothing of a text. (WordPiece loses line breaks, uncased also capitals.)
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

import numpy as np

from ...models import Decoder, DecoderConfig
from ...objectives import CausalLM
from ...text import Document, Packed, Tokenizer, token_rows
from ..evaluate import POSITIONS, Evaluation, evaluate, small_part
from ..ngram import NGramWittenBell
from ..ranks import Ranks
from ..result import counted_part, margin, score, share_counted
from .masked import batch as batch  # those of masked words do
from .masked import finished as finished
from .masked import initial_embeddings as initial_embeddings
from .masked import left_out as left_out
from .masked import order as order
from .masked import read as read
from .masked import split as split
from .masked import texts as texts
from .task import Array

if TYPE_CHECKING:
    from ..config import RunConfig
    from ..run import Run

JUDGED = 1 << 17  # held-out tokens that are targets at most
ORDERS = {"char": 5, "wordpiece": 3}  # of the n-gram; longer contexts are worse

_FORM: dict[str, Any] = {
    "norm_type": "rms_norm",
    "activation": "swiglu",
    "rotary_base": 10000.0,
    "init_std": 0.02,
    "embedding_std": 0.02,
    "embedding_init": "random",
    "beta2": 0.99,
    "weight_decay": 0.1,
    "seq_len": 128,
    "batch_size": 8,
}
PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {**_FORM, "layers": 2, "d_model": 64, "heads": 2, "vocab_size": 2000, "lr": 4e-3, "minutes": 1.0},
    "small": {**_FORM, "d_model": 192, "heads": 6, "lr": 2e-3, "minutes": 5.0},
    "base": {**_FORM, "layers": 6, "d_model": 384, "heads": 6, "vocab_size": 8000, "seq_len": 256, "lr": 1e-3}
    | {"dropout": 0.1, "minutes": 60.0},
}
PARTS = False
CHOICES = {"positions": ("rotary", "learned", "sinusoidal", "alibi", "none")}
USES = ("norm_type", "rotary_base", "init_std", "embedding_std", "teacher", "alpha", "temperature")
LABELS = ("token", "held out")


def model_config(config: RunConfig, vocab_size: int) -> DecoderConfig:
    """Return the decoder's configuration.

    Where `d_ff` is not given it is 4 · d_model, and of SwiGLU, which has three matrices and not two,
    two thirds of that, a multiple of 16.
    """
    d_ff = config.d_ff
    if d_ff is None:
        gated = config.activation == "swiglu"
        d_ff = max(8 * config.d_model // 48 * 16, 16) if gated else 4 * config.d_model
    return DecoderConfig(
        vocab_size=vocab_size,
        d_model=config.d_model,
        n_heads=config.heads,
        d_ff=d_ff,
        n_layers=config.layers,
        max_positions=config.seq_len,
        activation=config.activation,
        norm=config.norm,
        norm_type=config.norm_type,
        positions=config.positions,
        rotary_base=config.rotary_base,
        bias=config.norm_type == "layer_norm",
        dropout=config.dropout,
        init_std=config.init_std,
        embedding_std=config.embedding_std,
    )


def build_model(config: RunConfig, vocab_size: int, rng: np.random.Generator) -> Decoder:
    """Return the decoder with its initial weights."""
    return Decoder(model_config(config, vocab_size), rng, dtype=config.dtype)


def build_objective(config: RunConfig, tokenizer: Tokenizer) -> CausalLM:
    """Return the objective."""
    return CausalLM()


def rows(part: Iterable[Document], tokenizer: Tokenizer, config: RunConfig) -> Iterable[list[int]]:
    """Yield the stream in rows of `seq_len` + 1 tokens."""
    return token_rows(part, tokenizer, config.seq_len)


def width(seq_len: int) -> int:
    """Return the most tokens of a row."""
    return seq_len + 1


def stream(packed: Packed) -> Array:
    """Return the tokens of rows that follow one another, each once.

    Of rows out of a longer text, the first of each is lost: it stands at a seam anyway.
    """
    ids, mask = packed.rows(slice(None))
    return np.concatenate([ids[:1, 0], ids[:, 1:][mask[:, 1:]]])


def windows(tokens: Array, length: int, most: int = JUDGED) -> tuple[Array, Array]:
    """Return windows on a stream, and in which places of it their targets are.

    Parameters
    ----------
    tokens : ndarray of int, shape (n,)
    length : int
        T.
    most : int
        Targets at most, about; of a longer stream some windows are taken, evenly spaced.

    Returns
    -------
    starts : ndarray of int, shape (B,)
        Where each window's input begins.
    first : ndarray of int, shape (B,)
        Place in the window of the first input whose next token is a target; all those after are, too.

    Examples
    --------
    >>> windows(np.arange(12), length=4)
    (array([0, 2, 4, 6, 8]), array([0, 2, 2, 2, 2]))
    """
    new = max(length // 2, 1)
    count = 1 + max(0, -(-(tokens.size - 1 - length) // new))
    chosen = np.unique(np.linspace(0, count - 1, min(count, max(1, most // new))).astype(np.intp))
    return chosen * new, np.where(chosen == 0, 0, length - new)


def evaluation(config: RunConfig, tokenizer: Tokenizer, held_out: Packed) -> Evaluation:
    """Return the windows on the held-out stream as one batch, and how much text its targets are."""
    tokens, T = stream(held_out), config.seq_len
    starts, first = windows(tokens, T)
    places = starts[:, None] + np.arange(T + 1)
    real = places < tokens.size
    ids = np.where(real, tokens[np.minimum(places, tokens.size - 1)], tokenizer.pad_id)
    objective = CausalLM()
    whole = objective.make_batch(ids, real)
    wanted = whole.at % T >= first[whole.at // T]
    judged = whole._replace(at=whole.at[wanted], targets=whole.targets[wanted])
    text = tokenizer.decode(judged.targets)
    batches = [judged]
    return Evaluation(
        objective, batches, small_part(batches), True, len(text), len(text.encode("utf-8", "surrogatepass"))
    )


def compare(
    run: Run, model: Any, held_out: Evaluation, executor: Executor | None, ranks: Ranks
) -> dict[str, Any]:
    """Return the scores of the n-gram and the decoder on the same tokens.

    Returns
    -------
    dict
        "models": for each its "name", "nats", "accuracy", "positions", "perplexity", "bits_per_character" and
        "bits_per_byte", the decoder's last; "margin": by how much it beats the n-gram; "unit", "steps". Where
        the n-gram was counted on a part of the training part, "counted" is its share.
    """
    config, tokenizer = run.config, run.tokenizer
    tokens = stream(run.held_out)
    starts, _ = windows(tokens, config.seq_len)
    (judged,) = held_out.batches
    at = starts[judged.at // config.seq_len] + judged.at % config.seq_len + 1
    train = counted_part(run.train)
    order = ORDERS[config.tokenizer]
    never = (tokenizer.pad_id, tokenizer.cls_id, tokenizer.mask_id)
    ngram = NGramWittenBell(stream(train), tokenizer.vocab_size, order, never)
    of_model = evaluate(model, held_out.objective, held_out.batches, executor, ranks)
    models = []
    for name, nats, accuracy in (
        (f"{order}-gram (Witten-Bell)", *ngram.score(tokens, at)),
        ("decoder", of_model.loss, of_model.accuracy),
    ):
        models.append(score(name, nats, accuracy, at.size, **held_out.figures(nats)))
    share = share_counted(train, run.train)
    unit = "characters" if config.tokenizer == "char" else "tokens"
    return {
        "objective": "clm",
        "steps": config.steps,
        "unit": unit,
        "models": models,
        "margin": margin(*models),
        **share,
    }


def table(result: dict[str, Any]) -> str:
    """Return the scores for people.

    Examples
    --------
    >>> names = ("name", "nats", "accuracy", "positions", "perplexity", "bits_per_character", "bits_per_byte")
    >>> rows = [("5-gram (Witten-Bell)", 1.7, 0.5, 20000, 5.5, 2.4, 2.4)]
    >>> rows += [("decoder", 1.5, 0.6, 20000, 4.5, 2.1, 2.1)]
    >>> models = [dict(zip(names, row)) for row in rows]
    >>> margin = {"nats": 0.2, "bits_per_character": 0.3, "bits_per_byte": 0.3, "accuracy": 0.1}
    >>> print(table({"unit": "characters", "models": models, "margin": margin}))
    held-out characters       nats  perplexity  bits/char  bits/byte   accuracy      tokens
    5-gram (Witten-Bell)     1.700        5.50      2.400      2.400     50.0 %      20,000
    decoder                  1.500        4.50      2.100      2.100     60.0 %      20,000
    margin                   0.200                  0.300      0.300     10.0 points
    """
    if result["margin"] is None:
        return "the held-out part of the text is too small to be predicted"
    head = f"held-out {result['unit']}"
    lines = [
        f"{head:<22}{'nats':>8}{'perplexity':>12}{'bits/char':>11}{'bits/byte':>11}{'accuracy':>11}{'tokens':>12}"
    ]
    for m in result["models"]:
        bits = "".join(_bits(m, name) for name in ("bits_per_character", "bits_per_byte"))
        lines.append(
            f"{m['name']:<22}{m['nats']:>8.3f}{m['perplexity']:>12.2f}{bits}"
            f"{100 * m['accuracy']:>9.1f} %{m['positions']:>12,}"
        )
    m = result["margin"]
    bits = "".join(_bits(m, name) for name in ("bits_per_character", "bits_per_byte"))
    lines.append(f"{'margin':<22}{m['nats']:>8.3f}{'':>12}{bits}{100 * m['accuracy']:>9.1f} points")
    if "counted" in result:
        lines.append(f"(the n-gram was counted on {100 * result['counted']:.2g} % of the training part)")
    if result["models"][-1]["positions"] < POSITIONS:
        lines.append(f"(fewer than {POSITIONS:,} tokens: the held-out part is small, the figures rough)")
    return "\n".join(lines)


def _bits(values: dict[str, Any], name: str) -> str:
    return f"{values[name]:>11.3f}" if name in values else f"{'-':>11}"


def try_it(run: Run) -> list[str]:
    """Return the arguments of `npformer generate` with the beginning of the held-out text."""
    text = run.tokenizer.decode(stream(run.held_out.rows(slice(0, 1)))[: run.config.seq_len // 2])
    return ["generate", str(run.folder), "--prompt", " ".join(text.split()[:5])]
