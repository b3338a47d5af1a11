"""Test vectors: everything needed to check an implementation of an op in any language.

    vectors("layer_norm", seed=0) -> a list with a dictionary for each case:

    variant            what is particular to the case
    inputs             the differentiable inputs by name
    arguments          every other argument by name: eps, mask, ids, targets, ..., those that the case leaves
                       to their default too; an absent one (None) is not there
    kept               where dropout is on: True where it keeps an element, which is divided by 1 - p
    dout               the cotangent: gradient of the loss with respect to out
    out                the output
    gradients          gradients of the loss with respect to the inputs, by the same names
    intermediates      gradients on the way: dP, dS (attention), dx_hat (norms), ...

All real numbers are float64, arrays in C order; ids and positions are integers, masks booleans with True =
may be attended to.

.npz   one array for each, named "CASE/inputs/x", "CASE/dout", ..., with CASE = 0, 1, ..., and "op", "seed",
       "version". Numbers and strings are arrays without axes. Any reader of zipped .npy files reads it.
.json  {"op", "seed", "version", "cases": [...]}; an array is {"dtype", "shape", "data": [flat, in C order]}.
       Numbers have as many digits as it takes to read the same double back. Results to judge may as well be
       flat, with the names of the .npz and nested lists: {"0/gradients/x": [[...], ...], ...}.
"""

from __future__ import annotations

import inspect
import io
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import __version__, functional
from .cases import Case, cases

Array = npt.NDArray[Any]
Vectors = dict[str, Any]

FORMATS = ("npz", "json")


def vectors(op: str, seed: int = 0) -> list[Vectors]:
    """Return the test vectors of an op, a dictionary for each case; see above for their names.

    Parameters
    ----------
    op : str
        One of `npformer.proof.OPS`.
    seed : int

    Returns
    -------
    list of dict

    Raises
    ------
    ValueError
        If there is no such op, or the seed is negative.

    Examples
    --------
    >>> case = vectors("layer_norm")[0]
    >>> list(case["inputs"]), case["out"].shape, list(case["intermediates"])
    (['x', 'gamma', 'beta'], (2, 3, 5), ['dx_hat'])
    """
    return [_of_case(case) for case in cases(op, seed)]


def to_npz(op: str, seed: int = 0) -> bytes:
    """Return the test vectors of an op as the bytes of an .npz file."""
    arrays = {"op": np.array(op), "seed": np.array(seed), "version": np.array(__version__)}
    for i, case in enumerate(vectors(op, seed)):
        for name, value in case.items():
            if isinstance(value, dict):
                arrays |= {f"{i}/{name}/{key}": np.asarray(x) for key, x in value.items()}
            else:
                arrays[f"{i}/{name}"] = np.asarray(value)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def to_json(op: str, seed: int = 0) -> str:
    """Return the test vectors of an op as JSON."""
    values = {"op": op, "seed": seed, "version": __version__, "cases": _plain(vectors(op, seed))}
    return json.dumps(values, allow_nan=False)


def write_vectors(
    op: str, seed: int = 0, *, format: str | None = None, path: str | Path | None = None
) -> Path:
    """Write the test vectors of an op into a file.

    Parameters
    ----------
    op : str
    seed : int
    format : {"npz", "json"}, optional
        Default: what the path ends in, else npz.
    path : path, optional
        Default: "OP-seedN.FORMAT" in the current folder.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        If there is no such op or format, or the seed is negative.
    OSError
        If the file cannot be written.
    """
    if format is None:
        format = "json" if path is not None and Path(path).suffix == ".json" else "npz"
    if format not in FORMATS:
        raise ValueError(f"format: expected one of {', '.join(FORMATS)}, got {format!r}")
    data = (
        to_npz(op, seed) if format == "npz" else to_json(op, seed).encode()
    )  # all of it, before a file is touched
    path = Path(f"{op}-seed{seed}.{format}" if path is None else path)
    path.write_bytes(data)
    return path


def read_vectors(path: str | Path) -> list[Vectors]:
    """Return what `write_vectors` wrote, with every array as it was.

    Parameters
    ----------
    path : path
        A file of either format.

    Returns
    -------
    list of dict
        As `vectors`.

    Raises
    ------
    ValueError
        If it is no such file, in one line.
    OSError
        If it cannot be read.
    """
    return _read(path)[0]


def made_from(path: str | Path) -> tuple[str | None, int | None]:
    """Return the op and the seed that a file says it is of; None for what it does not say.

    Raises what `read_vectors` does.
    """
    op, seed = _read(path)[1]
    if op is not None and not isinstance(op, str):
        raise ValueError(f"{path}: op: expected a name, got {op!r}")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
        raise ValueError(f"{path}: seed: expected an integer, got {seed!r}")
    return op, seed


def _read(path: str | Path) -> tuple[list[Vectors], tuple[Any, Any]]:
    """The cases, and what stands for op and seed."""
    data = Path(path).read_bytes()
    if data.lstrip()[:1] in (b"{", b"["):
        return _read_json(path, data)
    if data[:2] != b"PK":  # of a zip, which an .npz is
        kind = (
            "an empty file"
            if not data
            else "an .npy, one array"
            if data[:6] == b"\x93NUMPY"
            else "another file"
        )
        raise ValueError(f"{path}: expected an .npz or JSON with test vectors, got {kind}")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in stored.files}
    except (zipfile.BadZipFile, EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path}: expected an .npz, got one that is damaged: {error}") from error
    except ValueError as error:
        if "pickle" not in str(error):
            raise
        raise ValueError(f"{path}: expected arrays of numbers, got one of Python objects") from error
    op, seed = (arrays[key].tolist() if key in arrays else None for key in ("op", "seed"))
    return _by_case(path, arrays), (op, seed)


def _read_json(path: str | Path, data: bytes) -> tuple[list[Vectors], tuple[Any, Any]]:
    """Cases as `to_json` writes them, or flat: {"0/gradients/x": nested lists, ...}."""
    try:
        told = json.loads(data)
        if isinstance(told, dict) and "cases" in told:
            return [_arrays(case) for case in told["cases"]], (told.get("op"), told.get("seed"))
        if isinstance(told, dict):
            arrays = {key: np.asarray(_arrays(value)) for key, value in told.items()}
            return _by_case(path, arrays), (told.get("op"), told.get("seed"))
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        if str(error).startswith(str(path)):
            raise
        raise ValueError(f"{path}: expected JSON with test vectors: {error}") from error
    raise ValueError(f'{path}: expected JSON as {{"0/gradients/x": [...]}} or with "cases", got a list')


def _by_case(path: str | Path, arrays: dict[str, Array]) -> list[Vectors]:
    """The arrays "CASE/NAME" or "CASE/NAME/OF" as a dictionary for each case."""
    read: dict[int, Vectors] = {}
    for key, value in arrays.items():
        number, _, rest = key.partition("/")
        if not rest:
            continue  # op, seed, version
        if not number.isdecimal() or len(number) > 4:
            raise ValueError(f"{path}: expected names like 0/gradients/x, got {key!r}")
        case = read.setdefault(int(number), {})
        name, _, of = rest.partition("/")
        kinds = "biufc" if name in ("out", "dout") else "biufcSU" if of else None  # None: a variant, anything
        if kinds is not None and value.dtype.kind not in kinds:
            raise ValueError(f"{path}: {key}: expected an array of numbers, got one of {value.dtype}")
        plain = value.item() if name == "variant" or (name == "arguments" and value.ndim == 0) else value
        if of:
            case.setdefault(name, {})[of] = plain
        else:
            case[name] = plain
    empty: Vectors = {name: {} for name in ("inputs", "arguments", "gradients", "intermediates")}
    return [empty | read.get(i, {}) for i in range(max(read, default=-1) + 1)]  # a gap is an empty case


def _of_case(case: Case) -> Vectors:
    _, kept = case.kept()
    out, cache = case.forward(**case.inputs)
    intermediates: dict[str, Array] = {}
    gradients = case.backward(case.dout, cache, intermediates if _has_intermediates(case.op) else None)
    found: Vectors = {
        "variant": case.variant,
        "inputs": case.inputs,
        "arguments": _arguments(case),
    }
    if kept:
        found["kept"] = kept[0]
    return found | {
        "dout": case.dout,
        "out": np.asarray(out),
        "gradients": dict(zip(case.inputs, gradients, strict=True)),
        "intermediates": intermediates,
    }


def _arguments(case: Case) -> dict[str, Any]:
    """What the op is called with besides its inputs: an implementation elsewhere has other defaults."""
    parameters = inspect.signature(getattr(functional, case.op)).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    every = {**defaults, **case.arguments}
    given = {name: value for name, value in every.items() if value is not None and name not in case.inputs}
    return {name: np.array(value) if isinstance(value, tuple) else value for name, value in given.items()}


def _has_intermediates(op: str) -> bool:
    backward = getattr(functional, f"{op}_backward", None)
    return backward is not None and "intermediates" in inspect.signature(backward).parameters


def _plain(value: Any) -> Any:
    if isinstance(value, (np.ndarray, np.generic)):
        array = np.asarray(value)
        return {"dtype": array.dtype.name, "shape": list(array.shape), "data": array.reshape(-1).tolist()}
    if isinstance(value, dict):
        return {key: _plain(x) for key, x in value.items()}
    return [_plain(x) for x in value] if isinstance(value, list) else value


def _arrays(value: Any) -> Any:
    if isinstance(value, dict) and value.keys() == {"dtype", "shape", "data"}:
        return np.array(value["data"], dtype=value["dtype"]).reshape(value["shape"])
    return {key: _arrays(x) for key, x in value.items()} if isinstance(value, dict) else value
