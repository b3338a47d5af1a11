"""Models in folders: config.json, model.npz and the tokenizer's files. Nothing is ever unpickled."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .._files import write_atomically, write_json
from .config import EncoderConfig
from .decoder import Decoder
from .decoder_config import DecoderConfig
from .electra import Electra
from .electra_config import ElectraConfig
from .encoder import Encoder
from .encoder_decoder import EncoderDecoder
from .encoder_decoder_config import EncoderDecoderConfig

Model = Encoder | Decoder | EncoderDecoder | Electra
ARCHITECTURES: dict[str, tuple[Any, Any]] = {
    "encoder": (Encoder, EncoderConfig),
    "decoder": (Decoder, DecoderConfig),
    "encoder_decoder": (EncoderDecoder, EncoderDecoderConfig),
    "electra": (Electra, ElectraConfig),
}


def save_pretrained(model: Model, folder: str | os.PathLike[str], tokenizer: Any = None) -> None:
    """Write `model` into `folder`, which is made if need be.

    Parameters
    ----------
    model : Encoder, Decoder, EncoderDecoder or Electra
    folder : path
    tokenizer : optional
        Anything with ``save(path)``, e.g. `npformer.text.WordPieceTokenizer`; written to vocab.txt.

    Raises
    ------
    OSError
        If the folder cannot be written; files that were there before stay whole.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if tokenizer is not None:
        tokenizer.save(folder / "vocab.txt")
        config_text: dict[str, Any] = {"lowercase": bool(getattr(tokenizer, "lowercase", True))}
        if hasattr(tokenizer, "kind"):
            config_text["kind"] = tokenizer.kind
        write_json(folder / "tokenizer.json", config_text)
    weights: dict[str, Any] = dict(model.params.items())
    write_atomically(folder / "model.npz", lambda f: np.savez(f, **weights))
    write_json(folder / "config.json", configuration_of(model))  # last: a folder that has it is whole


def from_pretrained(folder: str | os.PathLike[str], dtype: npt.DTypeLike | None = None) -> Any:
    """Read a model that `save_pretrained` wrote.

    Parameters
    ----------
    folder : path
    dtype : dtype, optional
        Default: that of the stored weights.

    Returns
    -------
    Encoder, Decoder, EncoderDecoder or Electra

    Raises
    ------
    FileNotFoundError
        If config.json or model.npz is not there.
    ValueError
        If a file is not what it should be, or a weight is missing, not known, or of another shape.
    """
    folder = Path(folder)
    path = folder / "config.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder}: expected a model folder with config.json, found none")
    build, config, _ = read_configuration(path)
    weights_path = folder / "model.npz"
    weights = read_arrays(weights_path)
    model = build(config, dtype=dtype or next(iter(weights.values())).dtype)
    fill(model, weights, weights_path)
    return model


def configuration_of(model: Model) -> dict[str, Any]:
    """Return the architecture and the configuration of a model as plain values for JSON."""
    architecture = next(name for name, (build, _) in ARCHITECTURES.items() if type(model) is build)
    return {"architecture": architecture, **model.config.to_dict()}


def read_configuration(path: Path, *more: str) -> tuple[Any, Any, dict[str, Any]]:
    """Read what `configuration_of` returned: the model's class, its configuration, and the values of `more`.

    Raises
    ------
    ValueError
        If the file is not what it should be.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        build, configure = ARCHITECTURES[values.pop("architecture")]
        others = {key: values.pop(key) for key in more}
        return build, configure.from_dict(values), others
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path}: expected the configuration of a model, got {error}") from None


def fill(model: Model, weights: Mapping[str, npt.NDArray[Any]], path: Path) -> None:
    """Give the parameters of `model` the values that were read from `path`.

    Raises
    ------
    ValueError
        If a weight is missing, not known, or of another shape.
    """
    for name in sorted(set(weights) ^ set(model.params)):
        trouble = "is missing" if name in model.params else "is not known to this model"
        raise ValueError(f"{path}: weight {name!r} {trouble}")
    for name, value in weights.items():
        if value.shape != model.params[name].shape:
            raise ValueError(f"{path}: {name}: expected shape {model.params[name].shape}, got {value.shape}")
        model.params[name] = value


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read an .npz file of arrays; ValueError if it is another kind of file, or damaged."""
    try:
        with open(path, "rb") as file:
            if not zipfile.is_zipfile(file):
                raise ValueError("another kind of file, or a part of one")
            file.seek(0)
            with np.load(file, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
        if not arrays:
            raise ValueError("none")
        return arrays
    except OSError:
        raise
    except Exception as error:  # a damaged file can fail in any way: zipfile, struct, tokenize
        raise ValueError(f"{path}: expected an .npz file of arrays, got {error}") from None
