"""What the objectives with labels or numbers for texts share: a model's outputs, and what they require."""

from __future__ import annotations

from typing import Any

Array = Any


def outputs_for_the_head(model: Any, batch: Any, **options: Any) -> tuple[Array, Any]:
    """Return a model's outputs where its `SequenceHead` wants them, and the cache."""
    return outputs_at(model, batch, model.task_head.at(batch.mask), **options)


def outputs_at(model: Any, batch: Any, at: Array | None, **options: Any) -> tuple[Array, Any]:
    """Return a model's outputs at some positions of its texts (B, T), or at all, and the cache."""
    if batch.segment_ids is not None:  # a decoder has none
        options["segment_ids"] = batch.segment_ids
    found: tuple[Array, Any] = model.forward(batch.ids, mask=batch.mask, at=at, **options)
    return found


def require_task(objective: str, model: Any, task: str, n_labels: int) -> None:
    """Raise ValueError unless the model has a head for that task and so many labels."""
    c = model.config
    if (c.task, c.n_labels) != (task, n_labels):
        raise ValueError(
            f"{objective}: model: expected one with a head for task {task!r} and {n_labels} labels "
            f"(models.with_task), got task {c.task!r} and {c.n_labels}"
        )


def require_targets(objective: str, argument: str, targets: Array | None) -> Array:
    """Return the targets of a batch; raise ValueError if it was made for predictions, without any."""
    if targets is None:
        raise ValueError(f"{objective}: batch: expected one with {argument}, got one that was made without")
    return targets
