"""The configuration of an encoder: every choice in one place, checked when it is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..nn.feed_forward import ACTIVATIONS
from . import _fields
from .lora_config import LoraConfig
from .task_heads import POOLINGS, TASKS


@dataclass(frozen=True)
class EncoderConfig:
    """What an `Encoder` is.

    Parameters
    ----------
    vocab_size : int
        V, the number of token ids.
    d_model, n_heads, d_ff, n_layers : int
        Width, attention heads (a divisor of the width), width of the feed-forward block, layers.
    max_positions : int
        Longest sequence; rotary positions have no limit of their own, and are bounded by it all the same.
    n_segments : int
        Token types (BERT: 2); 0 = none.
    activation : {"gelu", "gelu_tanh", "relu", "silu"}
    norm : {"post", "pre"}
    positions : {"learned", "sinusoidal", "rotary"}
    rotary_base : float
    dropout : float
        Of the embeddings, the attention weights and both branches of every layer.
    eps : float
        Of the norms.
    mlm, pooler, rtd : bool
        Whether the masked-LM head, the pooler and the head for replaced tokens are there.
    init_std : float
        Standard deviation of the initial weights. With `scale_residual`, the projections that end in a
        residual sum begin smaller by sqrt(2 n_layers) (Radford et al., GPT-2, section 2.3).
    scale_residual : bool
    embedding_std : float, optional
        Standard deviation of the initial embeddings; default: `init_std`.
    neighbour_heads : int
        So many heads of every layer begin by looking at a neighbour (right, left, two to the right, ...).
        Needs rotary positions, whose biases can say so.
    task : {None, "classify", "tag", "regress"}
        What the head for fine-tuning gives: labels for a text, for each word, or a number for a text; None =
        there is no such head.
    n_labels : int
        How many labels, from 2 on; 1 for "regress", 0 without a task.
    task_pooling : {"mean", "cls", "pooler", "last"}
        How a text's outputs become one vector: the mean over its tokens, the first token's, the model's
        pooler on that, or the last token's. Not for "tag".
    task_dropout : float
        Of that vector, or of the words' outputs, before the last linear map.
    lora : LoraConfig, optional
        Adapters of the layers' weights; see `models.add_lora`.
    d_embedding : int, optional
        Width of the embeddings, where it is not `d_model`: a linear map lies between (ALBERT, ELECTRA).
    pair_head : bool
        Whether there are two classes for a pair of texts, on the pooler, which it needs.

    Raises
    ------
    ValueError, TypeError
        Naming the field, what was expected and what came.

    Examples
    --------
    >>> EncoderConfig(vocab_size=100, d_model=8, n_heads=3, d_ff=16, n_layers=2, max_positions=16)
    Traceback (most recent call last):
    ...
    ValueError: EncoderConfig: n_heads: expected a divisor of d_model = 8, got 3
    """

    vocab_size: int
    d_model: int
    n_heads: int
    d_ff: int
    n_layers: int
    max_positions: int
    n_segments: int = 2
    activation: str = "gelu"
    norm: str = "post"
    positions: str = "learned"
    rotary_base: float = 10000.0
    dropout: float = 0.0
    eps: float = 1e-12
    mlm: bool = True
    pooler: bool = False
    init_std: float = 0.02
    scale_residual: bool = False
    embedding_std: float | None = None
    neighbour_heads: int = 0
    task: str | None = None
    n_labels: int = 0
    task_pooling: str = "mean"
    task_dropout: float = 0.0
    lora: LoraConfig | None = None
    rtd: bool = False
    d_embedding: int | None = None
    pair_head: bool = False

    def __post_init__(self) -> None:
        f = _fields.Fields(self)
        f.integers("vocab_size", "d_model", "n_heads", "d_ff", "n_layers", "max_positions")
        f.integers("n_segments", "neighbour_heads", least=0)
        f.optional_integers("d_embedding")
        f.choice("activation", tuple(ACTIVATIONS))
        f.choice("norm", ("post", "pre"))
        f.choice("positions", ("learned", "sinusoidal", "rotary"))
        f.divides("n_heads", "d_model")
        if self.positions == "rotary" and self.d_model // self.n_heads % 2:
            even = "an even d_model / n_heads for rotary positions"
            f.bad("n_heads", even, f"{self.d_model} / {self.n_heads}")
        most = self.n_heads if self.positions == "rotary" else 0
        if self.neighbour_heads > most:
            expected = f"at most {most} (n_heads, with rotary positions)"
            f.bad("neighbour_heads", expected, self.neighbour_heads)
        if self.pair_head and not self.pooler:
            f.bad("pair_head", "a pooler beneath it (pooler=True)", "none")
        f.number("rotary_base", low=1.0)
        f.number("dropout", high=1.0)
        f.number("eps")
        f.number("init_std")
        if self.embedding_std is not None:
            f.number("embedding_std")
        f.task(TASKS, POOLINGS)
        if self.task not in (None, "tag") and self.task_pooling == "pooler" and not self.pooler:
            f.bad("task_pooling", "'mean', 'cls' or 'last' without a pooler", repr(self.task_pooling))

    @property
    def embedding_width(self) -> int:
        """Width of the embeddings: `d_embedding`, or `d_model` where it is None."""
        return self.d_model if self.d_embedding is None else self.d_embedding

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EncoderConfig:
        """Return the configuration in `values`, refusing unknown and missing fields by name."""
        return cls(**_fields.known(cls, values, lora=LoraConfig))
