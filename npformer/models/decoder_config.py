"""The configuration of a decoder: GPT-2's and Llama's are two settings of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..nn import NORMS
from ..nn.feed_forward import ACTIVATIONS
from . import _fields
from .lora_config import LoraConfig
from .task_heads import CAUSAL_POOLINGS, TASKS


@dataclass(frozen=True)
class DecoderConfig:
    """What a `Decoder` is.

    Parameters
    ----------
    vocab_size : int
        V, the number of token ids.
    d_model, n_heads, d_ff, n_layers : int
        Width, attention heads, width of the feed-forward block, layers.
    max_positions : int
        Longest sequence; positions that are not learned have no limit of their own, and are bounded by it all
        the same.
    n_kv_heads : int, optional
        Heads of keys and values, a divisor of `n_heads`; default: as many.
    d_head : int, optional
        Width of a head; default d_model / n_heads.
    activation : {"gelu", "gelu_tanh", "relu", "silu", "swiglu"}
    norm : {"pre", "post"}
    norm_type : {"layer_norm", "rms_norm"}
    positions : {"learned", "sinusoidal", "rotary", "alibi", "none"}
    rotary_base : float
    rotary_interleaved : bool
    bias : bool
        Whether the layers' linear maps have biases.
    tied : bool
        Whether the token embedding is the output matrix too.
    window : int, optional
        A token sees so many of the nearest tokens only, itself among them.
    softcap, logit_softcap : float, optional
        Of the attention's scores and of the logits.
    qk_norm : bool
        RMSNorm of queries and keys.
    dropout : float
        Of the embeddings, the attention weights and all branches of every layer.
    eps : float
        Of the norms.
    init_std : float
        Standard deviation of the initial weights. With `scale_residual`, the projections that end in a
        residual sum begin smaller by sqrt(2 n_layers) (Radford et al., GPT-2, section 2.3).
    scale_residual : bool
    embedding_std : float, optional
        Standard deviation of the initial embeddings; default: `init_std`.
    lora : LoraConfig, optional
        As in `EncoderConfig`.
    lm : bool
        Whether the head for the next token is there.
    task, n_labels, task_dropout
        As in `EncoderConfig`.
    task_pooling : {"mean", "last"}
        How a text's outputs become one vector: the mean over its tokens, or the last token's. (The first
        token sees itself alone.)

    Raises
    ------
    ValueError, TypeError
        Naming the field, what was expected and what came.

    Examples
    --------
    >>> DecoderConfig.gpt2(vocab_size=50257, d_model=768, n_heads=12, n_layers=12, max_positions=1024).d_ff
    3072
    >>> llama = DecoderConfig.llama(
    ...     vocab_size=100, d_model=8, n_heads=4, n_kv_heads=2, d_ff=24, n_layers=2, max_positions=16
    ... )
    >>> llama.activation, llama.norm_type, llama.bias
    ('swiglu', 'rms_norm', False)
    """

    vocab_size: int
    d_model: int
    n_heads: int
    d_ff: int
    n_layers: int
    max_positions: int
    n_kv_heads: int | None = None
    d_head: int | None = None
    activation: str = "gelu_tanh"
    norm: str = "pre"
    norm_type: str = "layer_norm"
    positions: str = "learned"
    rotary_base: float = 10000.0
    rotary_interleaved: bool = False
    bias: bool = True
    tied: bool = True
    window: int | None = None
    softcap: float | None = None
    logit_softcap: float | None = None
    qk_norm: bool = False
    dropout: float = 0.0
    eps: float = 1e-5
    init_std: float = 0.02
    scale_residual: bool = True
    embedding_std: float | None = None
    lora: LoraConfig | None = None
    lm: bool = True
    task: str | None = None
    n_labels: int = 0
    task_pooling: str = "mean"
    task_dropout: float = 0.0

    def __post_init__(self) -> None:
        f = _fields.Fields(self)
        f.integers("vocab_size", "d_model", "n_heads", "d_ff", "n_layers", "max_positions")
        f.optional_integers("n_kv_heads", "d_head", "window")
        f.choice("activation", (*ACTIVATIONS, "swiglu"))
        f.choice("norm", ("pre", "post"))
        f.choice("norm_type", tuple(NORMS))
        f.choice("positions", ("learned", "sinusoidal", "rotary", "alibi", "none"))
        if self.d_head is None:
            f.divides("n_heads", "d_model")
        if self.n_kv_heads is not None:
            f.divides("n_kv_heads", "n_heads")
        if self.positions == "rotary" and (self.d_head or self.d_model // self.n_heads) % 2:
            f.bad(
                "d_head", "an even number for rotary positions", self.d_head or self.d_model // self.n_heads
            )
        f.number("rotary_base", low=1.0)
        f.number("dropout", high=1.0)
        for name in ("eps", "init_std"):
            f.number(name)
        for name in ("embedding_std", "softcap", "logit_softcap"):
            if getattr(self, name) is not None:
                f.number(name, low=0.0 if name == "embedding_std" else math.ulp(0.0))
        f.task(TASKS, CAUSAL_POOLINGS)

    @classmethod
    def gpt2(cls, **sizes: Any) -> DecoderConfig:
        """Return GPT-2's form: learned positions, layer norm before each branch, GELU with tanh, tied."""
        return cls.from_dict({"d_ff": 4 * sizes.get("d_model", 0), **sizes})

    @classmethod
    def llama(cls, **sizes: Any) -> DecoderConfig:
        """Return Llama's form: rotary positions, RMSNorm, SwiGLU, no biases, an output matrix of its own.

        `d_ff` has to be given: Llamas of different sizes have different multiples of their width.
        """
        form = {
            "activation": "swiglu",
            "norm_type": "rms_norm",
            "positions": "rotary",
            "bias": False,
            "tied": False,
        }
        return cls.from_dict({**form, **sizes})

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DecoderConfig:
        """Return the configuration in `values`, refusing unknown and missing fields by name."""
        return cls(**_fields.known(cls, values, lora=LoraConfig))
