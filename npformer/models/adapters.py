"""Adapters in folders, without the model they adapt: adapter.json and adapter.npz.

    adapter.npz     A, B and the scale of each adapted weight, and what else was trained, e.g. a task's head
    adapter.json    the configuration of the adapted model, and a digest of the weights that were not trained
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from .._files import write_atomically, write_json
from ..nn.lora import SCALE
from .electra import Electra
from .parameters import Array, Parameters
from .pretrained import Model, configuration_of, fill, read_arrays, read_configuration


def save_adapter(model: Model, folder: str | os.PathLike[str]) -> None:
    """Write what was trained of a model with adapters into `folder`, which is made if need be.

    Parameters
    ----------
    model : Encoder, Decoder or EncoderDecoder
        From `add_lora`.
    folder : path

    Raises
    ------
    ValueError
        If `model` has no adapters.
    OSError
        If the folder cannot be written; files that were there before stay whole.
    """
    if isinstance(model, Electra) or model.config.lora is None:
        raise ValueError("save_adapter: model: expected one with adapters (add_lora), got one without")
    folder, params = Path(folder), model.params
    folder.mkdir(parents=True, exist_ok=True)
    own: dict[str, Any] = {name: value for name, value in params.items() if not _of_the_base(params, name)}
    base = digest(params, (name for name in params if _of_the_base(params, name)))
    config = {**configuration_of(model), "base": base}
    write_atomically(folder / "adapter.npz", lambda f: np.savez(f, **own))
    write_json(folder / "adapter.json", config)  # last: a folder that has it is whole


def load_adapter(model: Model, folder: str | os.PathLike[str]) -> Any:
    """Return `model` with the adapters that `save_adapter` wrote, and with the heads that were trained.

    Parameters
    ----------
    model : Encoder, Decoder or EncoderDecoder
        The one that was adapted, without adapters. Not changed, and no values are shared.
    folder : path

    Returns
    -------
    Encoder, Decoder or EncoderDecoder
        In the dtype of `model`.

    Raises
    ------
    FileNotFoundError
        If adapter.json or adapter.npz is not there.
    ValueError
        If `model` has adapters, a file is not what it should be, or the adapters are those of another model.
    """
    if isinstance(model, Electra) or model.config.lora is not None:
        raise ValueError("load_adapter: model: expected one without adapters, got one with them")
    path = Path(folder) / "adapter.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder}: expected an adapter's folder with adapter.json, found none")
    build, config, others = read_configuration(path, "base")
    if type(model) is not build:
        raise ValueError(
            f"{path}: expected adapters for the class {type(model).__name__}, got some for {build.__name__}"
        )
    own = read_arrays(path.with_name("adapter.npz"))
    adapted = build(config, dtype=model.params.flat.dtype)
    base = [name for name in adapted.params if _of_the_base(adapted.params, name)]
    known = [name for name in base if name in model.params]
    if known != base or digest(model.params, base) != others["base"]:
        raise ValueError(f"{path}: expected the model that was adapted, got one with other weights")
    fill(adapted, {**{name: model.params[name] for name in base}, **own}, path.with_name("adapter.npz"))
    return adapted


def digest(params: Parameters, names: Iterable[str]) -> str:
    """Return SHA-256 of the values of some parameters, by their names, as float32."""
    sha = hashlib.sha256()
    for name in sorted(names):
        value: Array = np.ascontiguousarray(params[name], dtype="<f4")
        sha.update(f"{name} {value.shape}\n".encode())
        sha.update(value.data)
    return sha.hexdigest()


def _of_the_base(params: Parameters, name: str) -> bool:
    return name in params.frozen and not name.endswith(SCALE)
