"""ELECTRA: a generator puts tokens in the place of others, a discriminator says which.

    embeddings.*                 of both: tokens, positions, segments, their norm
    generator.*                  the generator's own: "generator.encoder.0.attention.query.weight"
    everything else              the discriminator's, under the names of an `Encoder`

All of it is one vector. The generator is an `Encoder` like any other, whose forward and backward are given
the parameters and gradients under its own names (`PartOf`); so the gradients of what is shared add up.

References
----------
Clark et al.: ELECTRA, arXiv:2003.10555, section 2 and section 3.2 (shared embeddings, smaller generators).
Its published code shares the embeddings' norm too, and has the projection behind it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .electra_config import ElectraConfig
from .encoder import Encoder
from .parameters import Array, Parameters

EMBEDDINGS, PROJECTION = "embeddings.", "embeddings.projection."  # the second is each encoder's own


class PartOf(Mapping[str, Array]):
    """Some of a model's arrays under other names: parameters to read, or gradients to add to.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Of the whole model.
    names : mapping of str to str
        From the part's names to the model's. An array that the model does not have (the gradient of a frozen
        parameter) the part does not have either.

    Examples
    --------
    >>> whole = Parameters({"generator.mlm.bias": [1.0, 2.0], "rtd.logit.bias": [3.0]})
    >>> part = PartOf(whole, {"mlm.bias": "generator.mlm.bias"})
    >>> part["mlm.bias"] += 4.0
    >>> whole["generator.mlm.bias"], "rtd.logit.bias" in part
    (array([5., 6.]), False)
    """

    def __init__(self, arrays: Any, names: Mapping[str, str]) -> None:
        self.arrays, self.names = arrays, names

    def __getitem__(self, name: str) -> Array:
        value: Array = self.arrays[self.names[name]]
        return value

    def __setitem__(self, name: str, value: npt.ArrayLike) -> None:
        self.arrays[self.names[name]] = value

    def __iter__(self) -> Iterator[str]:
        return (name for name, of_model in self.names.items() if of_model in self.arrays)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return sum(value.size for value in self.values())


class Electra:
    """A generator and a discriminator, trained together by `objectives.ReplacedTokens`.

    Parameters
    ----------
    config : ElectraConfig
    rng : numpy.random.Generator, optional
        Draws the initial weights; default: seed 0.
    dtype : dtype
        Of the parameters.

    Attributes
    ----------
    params : Parameters
        Of both, each by its dotted name, in one flat vector.
    generator : Encoder
        With an `mlm_head`. Its `params` are views of the model's: `fill` and `encode` can use it.
    discriminator : Encoder
        With an `rtd_head`; likewise.

    Examples
    --------
    >>> from npformer.models import EncoderConfig
    >>> sizes = {"vocab_size": 30, "d_model": 8, "n_heads": 2, "d_ff": 16, "n_layers": 1}
    >>> model = Electra(ElectraConfig.scaled(EncoderConfig(**sizes, max_positions=10), 0.5))
    >>> model
    Electra(d_model=8, generator=4, vocab_size=30, parameters=1_327)
    >>> model.generator.params["embeddings.token"] is model.params["embeddings.token"]
    True
    """

    def __init__(
        self, config: ElectraConfig, rng: np.random.Generator | None = None, dtype: npt.DTypeLike = np.float32
    ) -> None:
        self.config = config
        rng = np.random.default_rng(0) if rng is None else rng
        self.discriminator = Encoder(config.discriminator, rng, dtype)
        self.generator = Encoder(config.generator, rng, dtype)
        self._names = {name: _of_model(name) for name in self.generator.params}
        own = {self._names[name]: value for name, value in self.generator.params.items()}
        discriminators = {name: name for name in self.discriminator.params}
        self.params = Parameters({**own, **self.discriminator.params}, dtype)
        # What they have drawn is in the one vector now.
        self.generator.params = self.of_generator(self.params)  # type: ignore[assignment]
        self.discriminator.params = PartOf(self.params, discriminators)  # type: ignore[assignment]

    def of_generator(self, arrays: Any) -> PartOf:
        """Return the generator's part of the model's parameters or gradients, under its own names."""
        return PartOf(arrays, self._names)

    def __repr__(self) -> str:
        c = self.config
        sizes = f"d_model={c.d_model}, generator={c.generator.d_model}, vocab_size={c.vocab_size}"
        return f"Electra({sizes}, parameters={self.params.size:_})"

    @property
    def collectable(self) -> list[str]:
        """Names of what both can collect; the generator's begin with "generator."."""
        of_generator = [f"generator.{name}" for name in self.generator.collectable]
        return [*of_generator, *self.discriminator.collectable]

    def discriminator_alone(self) -> Encoder:
        """Return the discriminator as a model of its own, with a copy of its parameters: to be fine-tuned."""
        alone = Encoder(self.config.discriminator, dtype=self.params.flat.dtype)
        for name, value in self.discriminator.params.items():
            alone.params[name] = value
        return alone

    def save_pretrained(self, folder: str | os.PathLike[str], tokenizer: Any = None) -> None:
        """Write config.json, model.npz and the tokenizer's vocab.txt; see `models.save_pretrained`."""
        from .pretrained import save_pretrained  # which imports this file

        save_pretrained(self, folder, tokenizer)


def _of_model(name: str) -> str:
    """Return what the model calls the generator's parameter `name`."""
    shared = name.startswith(EMBEDDINGS) and not name.startswith(PROJECTION)
    return name if shared else f"generator.{name}"
