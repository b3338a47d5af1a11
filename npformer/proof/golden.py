"""The numbers stored from PyTorch, which lie beside this file and are installed with it."""

from __future__ import annotations

import importlib.resources
import io
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from .cases import Case, KeepRandom, ReplayedRandom

Array = npt.NDArray[Any]

FILES = (
    "golden_ops",
    "golden_encoder",
    "golden_decoder",
    "golden_encoder_decoder",
    "golden_lora",
    "golden_finetuning",
    "golden_finetuning_decoder",
    "golden_sentence_pairs",
    "golden_electra",
    "golden_contrastive",
    "golden_optimizers",
    "golden_training",
    "golden_torch_nn",
    "golden_distillation",
)


@cache
def load(name: str) -> dict[str, Array]:
    """Return the arrays of a stored file; none if it is missing, which every check counts as a failure.

    Parameters
    ----------
    name : str
        One of `FILES`.

    Returns
    -------
    dict of str to ndarray
    """
    file = importlib.resources.files(__package__).joinpath(f"{name}.npz")
    if not file.is_file():
        return {}
    with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as stored:
        return {key: stored[key] for key in stored.files}


def part(stored: dict[str, Array], prefix: str) -> dict[str, Array]:
    """Return what is stored below `prefix`, under the rest of its name."""
    return {key[len(prefix) + 1 :]: value for key, value in stored.items() if key.startswith(f"{prefix}/")}


def stored_case(case: Case, stored: dict[str, Array]) -> Case:
    """Return `case` at the stored point: its arrays and dropout masks as they were when PyTorch saw them.

    Where masks follow from seeds, these are as they were drawn.

    So the comparison does not depend on whether a later NumPy still draws the same numbers.
    """
    kept = [stored[f"kept/{i}"] for i in range(sum(key.startswith("kept/") for key in stored))]
    drawn = [stored[f"drawn/{i}"] for i in range(sum(key.startswith("drawn/") for key in stored))]
    return Case(
        case.op,
        case.variant,
        {name: stored[f"in/{name}"] for name in case.inputs},
        stored["dout"],
        {**case.arguments, **part(stored, "arg")},
        None if case.random is None else (lambda: ReplayedRandom(drawn) if drawn else KeepRandom(kept)),
        case.zero,
    )
