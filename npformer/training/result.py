"""What a run achieved: the model beside the baselines, on the same text and positions."""

from __future__ import annotations

from typing import Any

from ..text import Packed

COUNTED = 1 << 22  # tokens that the baselines are counted on


def counted_part(train: Packed) -> Packed:
    """Return what the baselines are counted on: at most `COUNTED` tokens, in sequences evenly spaced."""
    return train.evenly_spaced(COUNTED)


def share_counted(part: Packed, train: Packed) -> dict[str, float]:
    """Return the share of the training part that `part` is as "counted", nothing where it is the whole."""
    return {} if len(part.ids) == len(train.ids) else {"counted": len(part.ids) / len(train.ids)}


def score(name: str, nats: float, accuracy: float, positions: int, **more: float) -> dict[str, Any]:
    """Return a model's scores as plain values; None for a mean over nothing."""
    if not positions:
        return {"name": name, "nats": None, "accuracy": None, "positions": 0}
    return {"name": name, "nats": nats, "accuracy": accuracy, "positions": int(positions), **more}


def margin(baseline: dict[str, Any], model: dict[str, Any]) -> dict[str, float] | None:
    """Return by how much a model beats a baseline, of their `score`; None for a mean over nothing.

    Examples
    --------
    >>> margin(score("bigram", 3.5, 0.25, 90), score("decoder", 2.0, 0.5, 90))
    {'nats': 1.5, 'accuracy': 0.25}
    """
    if not model["positions"]:
        return None
    smaller = [name for name in ("nats", "bits_per_character", "bits_per_byte") if name in model]
    found: dict[str, float] = {name: baseline[name] - model[name] for name in smaller}
    return {**found, "accuracy": model["accuracy"] - baseline["accuracy"]}
