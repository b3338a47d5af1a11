"""The configuration of an encoder-decoder: the original Transformer, and pre-norm as a choice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..nn.feed_forward import ACTIVATIONS
from . import _fields
from .lora_config import LoraConfig


@dataclass(frozen=True)
class EncoderDecoderConfig:
    """What an `EncoderDecoder` is.

    Parameters
    ----------
    vocab_size : int
        V, of source and target together.
    d_model, n_heads, d_ff : int
    n_encoder_layers, n_decoder_layers : int
    max_positions : int
        Longest source and longest target.
    activation : {"relu", "gelu", "gelu_tanh", "silu"}
    norm : {"post", "pre"}
    positions : {"sinusoidal", "learned"}
    tied : bool
        Whether the token embedding is the output matrix too. (Source and target always share it.)
    scale_embedding : bool
        Multiply the tokens' rows by sqrt(d_model).
    dropout, eps : float
    init_std, embedding_std : float, optional
        Standard deviations of the initial weights; default: 1 / sqrt(d_model), so that with `scale_embedding`
        a token begins as large as its position.
    scale_residual : bool
        Smaller initial projections where residual sums end, by sqrt(2 n_layers).
    lora : LoraConfig, optional
        As in `EncoderConfig`.

    Raises
    ------
    ValueError, TypeError
        Naming the field, what was expected and what came.

    Examples
    --------
    >>> EncoderDecoderConfig(vocab_size=9, d_model=4, n_heads=3, d_ff=8)
    Traceback (most recent call last):
    ...
    ValueError: EncoderDecoderConfig: n_heads: expected a divisor of d_model = 4, got 3
    """

    vocab_size: int
    d_model: int
    n_heads: int
    d_ff: int
    n_encoder_layers: int = 6
    n_decoder_layers: int = 6
    max_positions: int = 512
    activation: str = "relu"
    norm: str = "post"
    positions: str = "sinusoidal"
    tied: bool = True
    scale_embedding: bool = True
    dropout: float = 0.0
    eps: float = 1e-5
    init_std: float | None = None
    embedding_std: float | None = None
    scale_residual: bool = False
    lora: LoraConfig | None = None

    def __post_init__(self) -> None:
        f = _fields.Fields(self)
        f.integers("vocab_size", "d_model", "n_heads", "d_ff", "n_encoder_layers", "n_decoder_layers")
        f.integers("max_positions")
        f.choice("activation", tuple(ACTIVATIONS))
        f.choice("norm", ("post", "pre"))
        f.choice("positions", ("sinusoidal", "learned"))
        f.divides("n_heads", "d_model")
        f.number("dropout", high=1.0)
        f.number("eps")
        for name in ("init_std", "embedding_std"):
            if getattr(self, name) is not None:
                f.number(name)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EncoderDecoderConfig:
        """Return the configuration in `values`, refusing unknown and missing fields by name."""
        return cls(**_fields.known(cls, values, lora=LoraConfig))
