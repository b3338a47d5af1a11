"""What a new run begins with: what its text says about its tokens, or the weights of an earlier run.

A run that begins with an earlier one (`--init`) has its tokenizer and the form of its model, and keeps the
weights in its own folder: it can be resumed when the other is gone. What the earlier model has no weights
for, such as another head, begins as in any run.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..models import DecoderConfig, ElectraConfig, EncoderConfig, EncoderDecoderConfig
from ..text import Packed, Tokenizer
from . import draws
from .checkpoints import DAMAGE

if TYPE_CHECKING:
    from .config import RunConfig

Array = npt.NDArray[Any]

# Fields of RunConfig that make the form of a model and its tokens.
FORM = (
    *("layers", "d_model", "heads", "d_ff", "norm", "norm_type", "positions", "rotary_base", "activation"),
    *("neighbour_heads", "tokenizer", "vocab_size", "cased"),
)
# Fields of a model's configuration that no shape of a parameter shows, and that change what is computed.
COMPUTED = (
    *("n_layers", "n_encoder_layers", "n_decoder_layers", "n_heads"),
    *("norm", "norm_type", "activation", "positions", "rotary_base"),
)
TOKENS = "embeddings.token"
# What models are called where a person gave one for another.
KINDS: dict[type, str] = {
    EncoderConfig: "an encoder",
    DecoderConfig: "a decoder",
    EncoderDecoderConfig: "an encoder-decoder",
}


class Start(NamedTuple):
    """A finished run, to begin with."""

    folder: Path
    config: RunConfig
    model: Any
    tokenizer: Tokenizer

    def form(self, objective: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields that a run of another objective has from this one.

        Raises
        ------
        ValueError
            If the objective has another kind of model, or one of the fields is `given` with another value.
        """
        from .tasks import PARTICULAR, task_of

        self.require_model_of(objective)
        of_others = PARTICULAR.difference(task_of(objective).USES)
        form = {name: getattr(self.config, name) for name in FORM if name not in of_others}
        for name, value in given.items():
            if name in ("embedding_init", "embedding_std"):
                raise ValueError(f"{name}: the embeddings are those of {self.folder}, there is no use for it")
            if name not in form:
                continue
            own = getattr(self.model.config, name) if form[name] is None else form[name]
            if value != own:
                raise ValueError(f"{name}: expected {own}, as {self.folder} has, got {value}")
        return form

    def require_model_of(self, objective: str) -> None:
        """Raise ValueError, which says what kind of model it takes, if this run's is of another."""
        from .tasks import TASKS

        expected, got = kind_trained(objective), type(self.model.config)
        if expected is ElectraConfig:
            raise ValueError(
                f"{self.folder}: expected another objective than {objective}, whose two models begin fresh"
            )
        if expected is not got:
            made_by = ", ".join(name for name in TASKS if kind_left(name) is expected)
            raise ValueError(
                f"{self.folder}: expected {KINDS[expected]} (made by --objective {made_by}), got {KINDS[got]}"
            )

    def weights(self, config: RunConfig) -> dict[str, Array]:
        """Return what the model of a run with `config` takes over, by the names of its parameters.

        Raises
        ------
        ValueError
            If it is another kind of model or of tokenizer, has another form, or a parameter another shape.
        """
        from .config import build_model

        for name in ("tokenizer", "cased"):
            expected, got = getattr(self.config, name), getattr(config, name)
            if expected != got:
                raise ValueError(f"{name}: expected {expected}, as {self.folder} has, got {got}")
        self.require_model_of(config.objective)
        new, old = build_model(config, self.tokenizer.vocab_size), self.model
        if config.n_sentinels > len(self.tokenizer.sentinel_ids):
            raise ValueError(
                f"{self.folder}: expected a run of the objective {config.objective}, with "
                f"{config.n_sentinels} sentinels in its vocabulary, got {len(self.tokenizer.sentinel_ids)}"
            )
        for name in COMPUTED:
            expected, got = (getattr(model.config, name, None) for model in (old, new))
            used = name != "rotary_base" or old.config.positions == "rotary"
            if used and expected != got:
                raise ValueError(f"{name}: expected {expected}, as {self.folder} has, got {got}")
        values = {name: old.params[name] for name in new.params if name in old.params}
        for name, value in values.items():
            if value.shape != new.params[name].shape:
                raise ValueError(
                    f"{self.folder}: {name}: expected shape {new.params[name].shape}, got {value.shape}"
                )
        return values


def kind_trained(objective: str) -> type:
    """Return the class of configuration of the model that an objective trains."""
    from .presets import preset

    config = preset("tiny", objective=objective, steps=1)
    return type(config.task.model_config(config, config.vocab_size))


def kind_left(objective: str) -> type:
    """Return the same of the model that a finished run leaves: of ELECTRA's two, the discriminator.

    Examples
    --------
    >>> kind_trained("rtd").__name__, kind_left("rtd").__name__
    ('ElectraConfig', 'EncoderConfig')
    """
    kind = kind_trained(objective)
    return EncoderConfig if kind is ElectraConfig else kind


def read_start(folder: str | os.PathLike[str]) -> Start:
    """Read a finished run.

    Raises
    ------
    OSError, ValueError
        If there is none, or it has not finished.
    """
    from .fill import load_model
    from .run import read_config

    folder = Path(folder)
    config = read_config(folder)
    return Start(folder, config, *load_model(folder))


def embed_text(config: RunConfig, train: Packed, table: Array) -> None:
    """Give token embeddings (V, d_model) what the training text says about them."""
    rng = draws.generator(config.seed, draws.COOCCURRENCE)
    rows = config.task.initial_embeddings(config, train, len(table), rng)
    known = rows.any(axis=1)  # the others stay random
    table[known] = rows[known]


def write_initial(path: Path, values: Mapping[str, Array]) -> None:
    """Keep weights to begin with."""
    np.savez(path, **values)  # type: ignore[arg-type]


def read_initial(path: Path) -> dict[str, Array] | None:
    """Return weights to begin with; None where there are none.

    Raises
    ------
    ValueError
        If the file is damaged.
    """
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except Exception as error:  # a damaged file can fail in any way
        if isinstance(error, OSError) and error.errno not in DAMAGE:
            raise
        raise ValueError(f"{path}: damaged ({error})") from None
