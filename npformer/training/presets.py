"""Recipes by name. docs/ tells what was tried to arrive at them, and what it gave."""

from __future__ import annotations

from typing import Any

from .config import RunConfig
from .tasks import TASKS, task_of

DEFAULT = "small"

PRESETS = TASKS["mlm"].PRESETS


def preset(name: str = DEFAULT, **changes: Any) -> RunConfig:
    """Return the recipe `name` with some fields changed; each objective has recipes of its own.

    A number of steps among the changes takes the place of the recipe's minutes, and the other way round.

    Examples
    --------
    >>> preset("tiny", steps=100, lr=1e-3).d_model
    64
    >>> preset("tiny", objective="clm", steps=100).norm_type
    'rms_norm'
    """
    recipes = task_of(changes.get("objective", "mlm")).PRESETS
    if name not in recipes:
        raise ValueError(f"preset: expected one of {', '.join(recipes)}, got {name!r}")
    values = dict(recipes[name])
    if "steps" in changes or "minutes" in changes:
        values.pop("steps", None)
        values.pop("minutes", None)
    return RunConfig(**{**values, **changes})
