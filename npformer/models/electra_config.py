"""The configuration of an `Electra`: two encoders that share their embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from . import _fields
from .config import EncoderConfig

SHARED = ("vocab_size", "max_positions", "n_segments", "norm", "positions", "dropout", "eps")


@dataclass(frozen=True)
class ElectraConfig:
    """What an `Electra` is; `scaled` makes it out of the discriminator and a share.

    Parameters
    ----------
    discriminator : EncoderConfig
        With `rtd` and without `mlm`.
    generator : EncoderConfig
        With `mlm` and without `rtd`, and with the discriminator's embeddings: what they have
        (`SHARED`) is the same, and its `d_embedding` is the discriminator's width of them.

    Raises
    ------
    ValueError, TypeError
        Naming the field, what was expected and what came.

    Examples
    --------
    >>> sizes = {"vocab_size": 100, "d_model": 12, "n_heads": 4, "d_ff": 48, "n_layers": 2}
    >>> config = ElectraConfig.scaled(EncoderConfig(**sizes, max_positions=16), 0.25)
    >>> generator = config.generator
    >>> generator.d_model, generator.n_heads, generator.d_ff, generator.d_embedding
    (3, 1, 12, 12)
    """

    discriminator: EncoderConfig
    generator: EncoderConfig

    def __post_init__(self) -> None:
        f = _fields.Fields(self)
        for name, heads in (("discriminator", (False, True)), ("generator", (True, False))):
            part = getattr(self, name)
            if not isinstance(part, EncoderConfig):
                raise TypeError(f"ElectraConfig: {name}: expected an EncoderConfig, got {part!r}")
            if (part.mlm, part.rtd) != heads:
                f.bad(name, "mlm = {}, rtd = {}".format(*heads), f"{part.mlm}, {part.rtd}")
        for name in (*SHARED, "embedding_width"):
            expected, got = getattr(self.discriminator, name), getattr(self.generator, name)
            if got != expected:
                f.bad("generator", f"the discriminator's {name} = {expected}", got)

    @classmethod
    def scaled(cls, discriminator: EncoderConfig, generator_size: float) -> ElectraConfig:
        """Return the pair whose generator has about this share of the discriminator's width.

        Parameters
        ----------
        discriminator : EncoderConfig
            Its `mlm` and `rtd` may be anything.
        generator_size : float
            In (0, 1]. The generator has this share of the heads, rounded, one at least, each as wide as
            before, and of the feed-forward block's width; the number of layers is the discriminator's. (In
            the paper, sizes of 1/4 to 1/2 work best: section 3.2.)
        """
        if not 0.0 < generator_size <= 1.0:
            expected = "a number in (0, 1]"
            raise ValueError(f"ElectraConfig: generator_size: expected {expected}, got {generator_size}")
        c = discriminator
        heads = max(1, round(generator_size * c.n_heads))
        generator = replace(
            c,
            d_model=heads * (c.d_model // c.n_heads),
            n_heads=heads,
            d_ff=max(1, c.d_ff * heads // c.n_heads),
            neighbour_heads=c.neighbour_heads * heads // c.n_heads,
            d_embedding=c.embedding_width,
            mlm=True,
            pooler=False,
            pair_head=False,
            rtd=False,
        )
        return cls(replace(c, mlm=False, rtd=True), generator)

    @property
    def vocab_size(self) -> int:
        """V, of both."""
        return self.discriminator.vocab_size

    @property
    def d_model(self) -> int:
        """Width of the discriminator."""
        return self.discriminator.d_model

    @property
    def max_positions(self) -> int:
        """Longest sequence."""
        return self.discriminator.max_positions

    @property
    def dropout(self) -> float:
        """Of both."""
        return self.discriminator.dropout

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ElectraConfig:
        """Return the configuration in `values`, refusing unknown and missing fields by name."""
        parts = _fields.known(cls, values).items()
        return cls(**{name: EncoderConfig.from_dict(part) for name, part in parts})
