"""PyTorch's arrays and files as NumPy sees them: tensors, .npz files, and the layout of a batch."""

from __future__ import annotations

import errno
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
PICKLES = {".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle"}


def as_array(where: str, value: Any, boolean: bool = False) -> Array:
    """Return a tensor or array-like as an array of float32 or float64, or of booleans where they may be.

    PyTorch is not imported: a tensor is whatever has ``detach``.
    """
    try:
        array = np.asarray(value.detach().cpu().numpy() if hasattr(value, "detach") else value)
        dtype: Any = array.dtype
    except TypeError:  # bfloat16, which NumPy does not have
        dtype = value.dtype
    if dtype not in (np.float32, np.float64) and not (boolean and dtype == np.bool_):
        kinds = "float32, float64 or bool" if boolean else "float32 or float64"
        raise TypeError(f"{where}: expected an array or tensor of {kinds}, got dtype {dtype}")
    return array


def read_state_dict(op: str, state: Mapping[str, Any] | str | os.PathLike[str]) -> dict[str, Array]:
    """Return the arrays of a state dict by their keys.

    Parameters
    ----------
    op : str
        Who asks, for the messages.
    state : mapping of str to array or tensor, or path
        The path of an .npz file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is no .npz file of arrays; one that would have to be unpickled is never opened.
    TypeError
        If something is no array of float32 or float64.
    """
    if isinstance(state, (str, os.PathLike)):
        path = Path(state)
        if not path.is_file():
            raise FileNotFoundError(f"{op}: {path}: expected an .npz file, found no file of that name")
        if path.suffix in PICKLES:
            raise ValueError(
                f"{op}: {path}: expected an .npz file, got a pickle, which is never opened: in PyTorch, "
                "numpy.savez(path, **{k: x.numpy() for k, x in module.state_dict().items()}) saves one, "
                "or save safetensors and hand over the arrays"
            )
        try:
            if not zipfile.is_zipfile(path):  # one array alone, which np.load would return as such
                raise ValueError
            with np.load(path, allow_pickle=False) as stored:
                state = {key: stored[key] for key in stored.files}
        except Exception as error:  # a damaged file can fail in any way: zipfile, zlib, struct, tokenize
            if isinstance(error, OSError) and error.errno != errno.EINVAL:  # a seek to where it says
                raise
            raise ValueError(f"{op}: {path}: expected an .npz file of plain arrays") from None
    if not isinstance(state, Mapping):
        raise TypeError(
            f"{op}: state: expected a mapping of names to arrays or the path of an .npz file, "
            f"got {type(state).__name__}"
        )
    return {key: as_array(f"{op}: {key}", value) for key, value in state.items()}


def to_batch(where: str, x: Any, width: int, batch_first: bool) -> tuple[Array, int]:
    """Return PyTorch's input as (B, T, width), and the number of axes it came with.

    (T, d) is one sequence alone; else (T, B, d), or (B, T, d) with `batch_first`.
    """
    x = as_array(where, x)
    if x.ndim not in (2, 3) or x.shape[-1] != width:
        layout = "(B, T" if batch_first else "(T, B"
        raise ValueError(f"{where}: expected shape {layout}, {width}) or (T, {width}), got {x.shape}")
    if x.ndim == 2:
        return x[None], 2
    return (x if batch_first else x.swapaxes(0, 1)), 3


def from_batch(x: Array, ndim: int, batch_first: bool) -> Array:
    """Return (B, T, d) in the layout that `to_batch` was given."""
    if ndim == 2:
        return x[0]
    return x if batch_first else x.swapaxes(0, 1)
