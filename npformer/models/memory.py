"""How much memory a training step takes, worked out from the sizes before anything is made.

    B, T      sequences that a lane works on at once (a micro-batch), tokens in each
    n         targets among their B · T places;  R = B · T, in the last layer R = n
    d, h, f   width, heads, width of the feed-forward block;  V, L: vocabulary, layers;  N: parameters
    e         width of the embeddings: d, unless they have one of their own
    w         bytes of a number: 4 in float32, 8 in float64;  ids take 8, booleans 1

    for the run        parameters w N, a gradient w N for each lane, an optimizer's state, e.g. 2 w N
    for each lane      activations kept for the backward, and the temporary arrays at its worst moment

Kept by a layer (pre-norm; post-norm has its two norms' numbers at R places each):

    norms            w (d + 1) (B T + R)    x_hat and rstd of both
    attention        4 w B T d + w R d      its input, Q, K and V; the input of its output projection
                     w h B T²               the weights P
                     4 w T d / h            the cosines and sines of rotary positions
    feed-forward     w R (d + 2 f)          its input, slope of the activation, input of `down`
    with dropout     h B T² + 2 R d         what was kept
    at n places      8 n

and by embeddings of their own width w B T e, the input of what makes d of it.

With recomputation all layers but the last keep their input alone, w B T d.

The worst moment is one of the loss (two arrays w n V), of the decoder's backward (one of them and a piece
of the table's gradient, w e for each of 1,024 classes), or of a layer's backward: its attention (2 w h B
T², with dropout 3) or its feed-forward block. With recomputation a layer's activations are made again for
its backward, and count then.

Not counted are arrays of a fixed size that an op works in piece by piece (GELU's are a few megabytes).

The arrays are those of functional/ and nn/: the tests count what a forward really keeps, byte for byte, and
compare the total with a step's measured peak.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .config import EncoderConfig
from .heads import CLASSES

ID = np.dtype(np.intp).itemsize
MB = 1e6


class Temporary(NamedTuple):
    """The arrays that are alive, beside what is kept, at a moment of the step."""

    moment: str
    bytes: int


@dataclass(frozen=True)
class TrainingMemory:
    """What a training step holds, in bytes; ``str()`` of it is a table.

    Parameters
    ----------
    parameters, gradients, moments : int
        Of the whole run, the gradients of all lanes.
    kept : mapping of str to mapping of str to int
        For one lane: block of the model ("embeddings", "encoder.0", ...) -> array -> bytes.
    temporaries : sequence of Temporary
        For one lane, by moment.
    lanes : int
        How many lanes work at once.
    """

    parameters: int
    gradients: int
    moments: int
    kept: Mapping[str, Mapping[str, int]]
    temporaries: tuple[Temporary, ...]
    lanes: int

    @property
    def activations(self) -> int:
        """Bytes that one lane keeps from its forward for its backward."""
        return sum(sum(arrays.values()) for arrays in self.kept.values())

    @property
    def worst(self) -> Temporary:
        """The moment with the largest temporary arrays."""
        return max(self.temporaries, key=lambda temporary: temporary.bytes)

    @property
    def total(self) -> int:
        """Bytes at the worst moment of all lanes at once."""
        lane = self.activations + self.worst.bytes
        return self.parameters + self.gradients + self.moments + self.lanes * lane

    def __str__(self) -> str:
        rows = [
            ("parameters", self.parameters),
            ("gradients", self.gradients),
            ("optimizer", self.moments),
        ]
        for block, arrays in _alike(self.kept):
            rows.append((f"kept: {block}", self.lanes * sum(arrays.values())))
            largest = sorted(arrays.items(), key=lambda item: -item[1])
            rows += [(f"    {name}", self.lanes * size) for name, size in largest[:4]]
            rest = sum(size for _, size in largest[4:])
            rows += [("    the others", self.lanes * rest)] if rest else []
        rows.append((f"temporary: {self.worst.moment}", self.lanes * self.worst.bytes))
        rows.append(("total", self.total))
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {size / MB:>10,.2f} MB" for name, size in rows)


def training_memory(
    config: EncoderConfig,
    batch: int,
    seq_len: int,
    n_targets: int,
    dtype: npt.DTypeLike = np.float32,
    lanes: int = 1,
    *,
    recompute: bool = False,
    moments: int = 2,
    threads: int | None = None,
) -> TrainingMemory:
    """Return what a masked-LM training step of an encoder holds.

    Parameters
    ----------
    config : EncoderConfig
        With its dropout, as in training.
    batch : int
        B, the sequences that a lane works on at once: of a micro-batch, not of the whole batch.
    seq_len : int
        T.
    n_targets : int
        n, of a micro-batch.
    dtype : dtype
    lanes : int
        Gradient vectors.
    recompute : bool
        As in `Encoder.forward`.
    moments : int
        Vectors of the optimizer's state: Adam and AdamW 2, SGD with momentum 1.
    threads : int, optional
        Lanes that work at once; default: all.

    Returns
    -------
    TrainingMemory

    Raises
    ------
    ValueError
        If a size is not positive, sequences are too long for the model, targets more than their places, or
        the configuration has adapters.

    Examples
    --------
    >>> sizes = {"vocab_size": 8192, "d_model": 256, "n_heads": 4, "d_ff": 1024, "n_layers": 4}
    >>> config = EncoderConfig(**sizes, max_positions=2048)
    >>> plain = training_memory(config, batch=1, seq_len=2048, n_targets=307)
    >>> again = training_memory(config, batch=1, seq_len=2048, n_targets=307, recompute=True)
    >>> plain.kept["encoder.0"]["attention.P"] == 4 * 4 * 2048**2
    True
    >>> round(plain.activations / again.activations, 1)
    4.4
    """
    for name, value in (("batch", batch), ("seq_len", seq_len), ("n_targets", n_targets), ("lanes", lanes)):
        if value < 1:
            raise ValueError(f"training_memory: {name}: expected at least 1, got {value}")
    if seq_len > config.max_positions:
        raise ValueError(
            f"training_memory: seq_len: expected at most max_positions = {config.max_positions}, "
            f"got {seq_len}"
        )
    if config.lora is not None:
        raise ValueError("training_memory: config: expected a model that is trained whole, got adapters")
    if n_targets > batch * seq_len:
        raise ValueError(
            f"training_memory: n_targets: expected at most {batch * seq_len} places, got {n_targets}"
        )
    w = np.dtype(dtype).itemsize
    size = w * n_parameters(config)
    kept = activations(config, batch, seq_len, n_targets, w, recompute=recompute)
    return TrainingMemory(
        size,
        lanes * size,
        moments * size,
        kept,
        tuple(temporaries(config, batch, seq_len, n_targets, w, recompute=recompute)),
        lanes if threads is None else min(threads, lanes),
    )


def n_parameters(config: EncoderConfig) -> int:
    """Return N, the number of an encoder's parameters, its heads included."""
    c, d = config, config.d_model
    layer = 4 * d * (d + 1) + 2 * d * c.d_ff + d + c.d_ff + 4 * d
    table = c.vocab_size + c.n_segments + (c.max_positions if c.positions == "learned" else 0)
    e = c.embedding_width
    projection = (e + 1) * d if e != d else 0
    norm = 2 * e if c.norm == "post" else 2 * d  # of the embeddings in post-norm, of the last sum in pre-norm
    mlm = (d + 1) * e + 2 * e + c.vocab_size if c.mlm else 0
    heads = d * (d + 1) * c.pooler + (2 * c.pair_head + c.n_labels) * (d + 1) + (d + 1) ** 2 * c.rtd
    return c.n_layers * layer + table * e + projection + norm + mlm + heads


def activations(
    config: EncoderConfig,
    B: int,
    T: int,
    n: int | None = None,
    w: int = 4,
    *,
    recompute: bool = False,
) -> dict[str, dict[str, int]]:
    """Return the bytes that `Encoder.forward` keeps, by block and array.

    Parameters
    ----------
    config : EncoderConfig
    B, T : int
    n : int, optional
        Positions in `at`; None = the output is wanted at all.
    w : int
        Bytes of a number.
    recompute : bool

    Returns
    -------
    dict of str to dict of str to int
    """
    c = config
    x = w * B * T * c.d_model  # a layer's input
    kept = {"embeddings": _embeddings(c, B, T, w)}
    for i in range(c.n_layers):
        last = i == c.n_layers - 1
        whole = last or not recompute
        kept[f"encoder.{i}"] = _layer(c, B, T, n if last else None, w) if whole else {"x": x}
    if c.norm == "pre":
        R = B * T if n is None else n
        kept["encoder.norm"] = {"x_hat": w * R * c.d_model, "rstd": w * R}
    return kept


def _embeddings(c: EncoderConfig, B: int, T: int, w: int) -> dict[str, int]:
    R, e = B * T, c.embedding_width
    arrays = {"ids": ID * R}
    if c.n_segments:
        arrays["segment_ids"] = ID * R
    if c.norm == "post":
        arrays |= {"norm.x_hat": w * R * e, "norm.rstd": w * R}
    if c.dropout:
        arrays["dropout.keep"] = R * e
    if e != c.d_model:
        arrays["projection.x"] = w * R * e
    return arrays


def _layer(c: EncoderConfig, B: int, T: int, n: int | None, w: int) -> dict[str, int]:
    d, h, f = c.d_model, c.n_heads, c.d_ff
    R = B * T if n is None else n
    normalised = B * T if c.norm == "pre" else R  # rows of the attention's norm, before or after it
    arrays = {
        "attention_norm.x_hat": w * normalised * d,
        "attention_norm.rstd": w * normalised,
        "attention.x": w * B * T * d,
        "attention.q": w * B * T * d,
        "attention.k": w * B * T * d,
        "attention.v": w * B * T * d,
        "attention.P": w * B * h * T * T,
        "attention.joined": w * R * d,
        "feed_forward_norm.x_hat": w * R * d,
        "feed_forward_norm.rstd": w * R,
        "feed_forward.x": w * R * d,
        "feed_forward.slope": R * f * (1 if c.activation == "relu" else w),
        "feed_forward.activated": w * R * f,
    }
    if c.positions == "rotary":
        arrays["attention.rotary"] = 4 * w * T * (d // h)
    if c.dropout:
        arrays |= {"attention.keep": B * h * T * T, "attention_dropout.keep": R * d}
        arrays["feed_forward_dropout.keep"] = R * d
    if n is not None:
        arrays["at"] = ID * n
    return arrays


def temporaries(
    config: EncoderConfig, B: int, T: int, n: int, w: int = 4, *, recompute: bool = False
) -> list[Temporary]:
    """Return what one lane holds beside its activations, at each moment that can be the worst.

    Parameters
    ----------
    config, B, T, w, recompute
        As in `activations`.
    n : int
        Targets.

    Returns
    -------
    list of Temporary
    """
    c, d, f, e = config, config.d_model, config.d_ff, config.embedding_width
    BT, P = w * B * T * d, w * B * c.n_heads * T * T
    logits, head = w * n * c.vocab_size, w * n * (d + 4 * e + 1) if c.mlm else 0
    again = sum(_layer(c, B, T, None, w).values()) if recompute and c.n_layers > 1 else 0
    R = B * T if c.n_layers > 1 else n  # of the widest layer
    dropped = P if c.dropout else 0
    attention = 2 * P + dropped + 5 * BT  # dP, P · dP, P · keep; dout, dh, dO, dV and what becomes dQ
    feed_forward = w * (2 * R * f + 3 * R * d + d * f)  # da, du; dy, dout, dx; dW
    piece = w * min(c.vocab_size, CLASSES) * e  # of the gradient of the table
    return [
        Temporary("the loss", head + 2 * logits),
        Temporary("backward of the logits", head + logits + piece),
        Temporary("backward of attention", again + attention),
        Temporary("backward of a feed-forward block", again + feed_forward),
    ]


def _alike(kept: Mapping[str, Mapping[str, int]]) -> list[tuple[str, dict[str, int]]]:
    """Blocks in order, layers with the same arrays put together."""
    rows: list[tuple[list[str], Mapping[str, int]]] = []
    for block, arrays in kept.items():
        if rows and rows[-1][1] == arrays:
            rows[-1][0].append(block)
        else:
            rows.append(([block], arrays))
    return [
        (names[0] if len(names) == 1 else f"{names[0]} .. {names[-1]}", _times(arrays, len(names)))
        for names, arrays in rows
    ]


def _times(arrays: Mapping[str, int], factor: int) -> dict[str, Any]:
    return {name: factor * size for name, size in arrays.items()}
