"""Recipes by name. docs/ tells what was tried to arrive at them, and what it gave."""

from __future__ import annotations

from typing import Any

from .config import RunConfig

DEFAULT = "small"

# What differs from RunConfig's own defaults.
PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {"layers": 2, "d_model": 64, "heads": 2, "vocab_size": 2000, "minutes": 1.0},
    "small": {"minutes": 5.0},
    "base": {"layers": 6, "d_model": 256, "vocab_size": 8000, "seq_len": 128, "lr": 1e-3, "minutes": 60.0},
}


def preset(name: str = DEFAULT, **changes: Any) -> RunConfig:
    """Return the recipe `name` with some fields changed.

    A number of steps among the changes takes the place of the recipe's minutes, and the other way round.

    Examples
    --------
    >>> preset("tiny", steps=100, lr=1e-3).d_model
    64
    """
    if name not in PRESETS:
        raise ValueError(f"preset: expected one of {', '.join(PRESETS)}, got {name!r}")
    values = dict(PRESETS[name])
    if "steps" in changes or "minutes" in changes:
        values.pop("steps", None)
        values.pop("minutes", None)
    return RunConfig(**{**values, **changes})
