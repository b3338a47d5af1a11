"""Cases of the losses: each reduction, ignored targets, weights, peaked logits."""

from __future__ import annotations

import numpy as np

from .case import Case, Draw

IGNORED = -100  # cross_entropy's default


def _targets(draw: Draw, n_classes: int, *shape: int) -> np.ndarray:
    targets = draw.ids(n_classes, *shape)
    flat = targets.reshape(-1)
    flat[draw.rng.integers(1, flat.size - 1)] = IGNORED  # not the first nor the last, which repeat each other
    return targets


def cross_entropy(draw: Draw) -> list[Case]:
    """Reductions, ignored rows, label smoothing, more leading axes, and no valid target at all."""
    op = "cross_entropy"
    own = _targets(draw, 5, 6)
    own[own == IGNORED] = 3  # an ignore_index that is also a class
    return [
        draw.case(op, "mean", {"logits": draw.normal(6, 5, scale=2.0)}, targets=_targets(draw, 5, 6)),
        draw.case(op, "sum", {"logits": draw.normal(4, 7)}, targets=_targets(draw, 7, 4), reduction="sum"),
        draw.case(
            op, "none", {"logits": draw.normal(2, 3, 4)}, targets=_targets(draw, 4, 2, 3), reduction="none"
        ),
        draw.case(
            op,
            "smoothed mean",
            {"logits": draw.normal(2, 3, 4)},
            targets=_targets(draw, 4, 2, 3),
            label_smoothing=0.1,
        ),
        draw.case(
            op,
            "smoothed none",
            {"logits": draw.normal(4, 6)},
            targets=_targets(draw, 6, 4),
            reduction="none",
            label_smoothing=0.3,
        ),
        draw.case(op, "own ignore_index", {"logits": draw.normal(6, 5)}, targets=own, ignore_index=3),
        draw.case(
            op, "equal sizes, peaked", {"logits": draw.normal(5, 5, scale=6.0)}, targets=_targets(draw, 5, 5)
        ),
        draw.case(
            op,
            "every target ignored",
            {"logits": draw.normal(3, 4)},
            targets=np.full(3, IGNORED),
            zero=("logits",),
        ),
    ]


def binary_cross_entropy_with_logits(draw: Draw) -> list[Case]:
    """Hard and soft targets, weights, reductions."""
    op = "binary_cross_entropy_with_logits"
    hard = (draw.rng.random((4, 5)) < 0.5).astype(np.float64)
    return [
        draw.case(op, "mean", {"logits": draw.normal(4, 5, scale=2.0)}, targets=hard),
        draw.case(
            op,
            "sum, soft targets",
            {"logits": draw.normal(3, 4)},
            targets=draw.rng.random((3, 4)),
            reduction="sum",
        ),
        draw.case(
            op,
            "none, weighted",
            {"logits": draw.normal(2, 3, 4)},
            targets=draw.rng.random((2, 3, 4)),
            weight=draw.rng.uniform(0.2, 2.0, (2, 3, 4)),
            reduction="none",
        ),
        draw.case(
            op,
            "mean, weighted by column",
            {"logits": draw.normal(4, 4)},
            targets=draw.rng.random((4, 4)),
            weight=draw.rng.uniform(0.2, 2.0, 4),
        ),
    ]


def mse_loss(draw: Draw) -> list[Case]:
    """Each reduction; both inputs are differentiable."""
    return [
        draw.case(
            "mse_loss",
            reduction,
            {"input": draw.normal(*shape), "target": draw.normal(*shape)},
            reduction=reduction,
        )
        for reduction, shape in (("mean", (4, 5)), ("sum", (2, 3, 4)), ("none", (3, 3)))
    ]


def info_nce(draw: Draw) -> list[Case]:
    """Sharp and mild temperatures; keys that resemble their queries, as in training; hard negatives."""
    queries = draw.normal(6, 5)
    return [
        draw.case(
            "info_nce",
            "temperature 0.05",
            {"queries": queries, "keys": queries + draw.normal(6, 5, scale=3.0)},
        ),
        draw.case(
            "info_nce",
            "temperature 0.3",
            {"queries": draw.normal(4, 6), "keys": draw.normal(4, 6)},
            temperature=0.3,
        ),
        draw.case(
            "info_nce",
            "equal sizes",
            {"queries": draw.normal(4, 4), "keys": draw.normal(4, 4)},
            temperature=0.2,
        ),
        draw.case(
            "info_nce",
            "hard negatives",
            {"queries": draw.normal(4, 6), "keys": draw.normal(4, 6), "negatives": draw.normal(3, 6)},
            temperature=0.3,
        ),
    ]


CASES = {
    "cross_entropy": cross_entropy,
    "binary_cross_entropy_with_logits": binary_cross_entropy_with_logits,
    "mse_loss": mse_loss,
    "info_nce": info_nce,
}
