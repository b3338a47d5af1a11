"""The loss curve of a run as a picture."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from .metrics import read_metrics

MISSING = "no loss.png: the picture needs matplotlib, pip install 'npformer[plot]'"


def plot_losses(
    folder: str | os.PathLike[str],
    result: dict[str, Any],
    labels: tuple[str, str] = ("token", "held out"),
) -> str | None:
    """Write `folder`/loss.png from metrics.jsonl.

    Parameters
    ----------
    folder : path
        Of the run.
    result : dict
        Its "models" appear as levels.
    labels : (str, str)
        What the loss is per, and what the held-out loss is called.

    Returns
    -------
    str or None
        A line on what is missing, where matplotlib is not installed.
    """
    try:
        import matplotlib.figure
    except ImportError:
        return MISSING
    lines = read_metrics(Path(folder) / "metrics.jsonl")
    # Of an objective of several parts the first, which the baselines have a loss of.
    loss = next((name for name in (lines or [{}])[0] if name.startswith("loss_")), "loss")
    train = [(line["step"], line[loss]) for line in lines if loss in line]
    shown = f"held_out_{loss}"
    held_out = [(line["step"], line[shown]) for line in lines if shown in line]
    # Not pyplot, which keeps state and may look for a display.
    figure = matplotlib.figure.Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    steps, losses = np.array(train).T
    axes.plot(steps, losses, color="0.85", linewidth=0.7)
    axes.plot(steps, smooth(losses), color="C0", label="training")
    if held_out:
        axes.plot(*np.array(held_out).T, "o-", color="C1", markersize=4, label=labels[1])
    for score, style in zip(result["models"][:-1], (":", "--"), strict=False):
        if score["nats"] is not None:
            axes.axhline(score["nats"], color="0.4", linestyle=style, label=score["name"])
    axes.set(xlabel="step", ylabel=f"loss, nats per {labels[0]}")
    axes.legend()
    figure.savefig(Path(folder) / "loss.png", dpi=120)
    return None


def smooth(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the running mean over about a fiftieth of the values, shorter at the start."""
    width = max(1, len(values) // 50)
    sums = np.cumsum(np.concatenate([[0.0], values]))
    stops = np.arange(1, len(values) + 1)
    starts = np.maximum(stops - width, 0)
    return np.asarray((sums[stops] - sums[starts]) / (stops - starts))
