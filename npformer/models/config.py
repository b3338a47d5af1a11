"""The configuration of an encoder: every choice in one place, checked when it is made."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..nn.feed_forward import ACTIVATIONS


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
    mlm, pooler : bool
        Whether the masked-LM head and the pooler are there.
    init_std : float
        Standard deviation of the initial weights. With `scale_residual`, the projections that end in a
        residual sum begin smaller by sqrt(2 n_layers) (Radford et al., GPT-2, section 2.3).
    scale_residual : bool
    embedding_std : float, optional
        Standard deviation of the initial embeddings; default: `init_std`.
    neighbour_heads : int
        So many heads of every layer begin by looking at a neighbour (right, left, two to the right, ...).
        Needs rotary positions, whose biases can say so.

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

    def __post_init__(self) -> None:
        whole = ("vocab_size", "d_model", "n_heads", "d_ff", "n_layers", "max_positions")
        for name in (*whole, "n_segments", "neighbour_heads"):
            value, least = getattr(self, name), 1 if name in whole else 0
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"EncoderConfig: {name}: expected an integer, got {value!r}")
            if value < least:
                raise ValueError(f"EncoderConfig: {name}: expected at least {least}, got {value}")
        choices: dict[str, tuple[str, ...]] = {
            "activation": tuple(ACTIVATIONS),
            "norm": ("post", "pre"),
            "positions": ("learned", "sinusoidal", "rotary"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"EncoderConfig: {name}: expected one of {', '.join(allowed)}, "
                    f"got {getattr(self, name)!r}"
                )
        if self.d_model % self.n_heads:
            raise ValueError(
                f"EncoderConfig: n_heads: expected a divisor of d_model = {self.d_model}, got {self.n_heads}"
            )
        if self.positions == "rotary" and self.d_model // self.n_heads % 2:
            raise ValueError(
                "EncoderConfig: n_heads: expected an even d_model / n_heads for rotary positions, "
                f"got {self.d_model} / {self.n_heads}"
            )
        most = self.n_heads if self.positions == "rotary" else 0
        if self.neighbour_heads > most:
            raise ValueError(
                f"EncoderConfig: neighbour_heads: expected at most {most} (n_heads, with rotary positions), "
                f"got {self.neighbour_heads}"
            )
        for name, low, high in (
            ("rotary_base", 1.0, math.inf),
            ("dropout", 0.0, 1.0),
            ("eps", 0.0, math.inf),
            ("init_std", 0.0, math.inf),
            ("embedding_std", 0.0, math.inf),
        ):
            if name == "embedding_std" and self.embedding_std is None:
                continue
            if not low <= getattr(self, name) < high:  # NaN too
                raise ValueError(
                    f"EncoderConfig: {name}: expected a number in [{low:g}, {high:g}), "
                    f"got {getattr(self, name)}"
                )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EncoderConfig:
        """Return the configuration in `values`, refusing unknown fields by name."""
        known = {f.name for f in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ValueError(
                f"EncoderConfig: unknown field {unknown[0]!r}, expected {', '.join(sorted(known))}"
            )
        return cls(**values)
