"""What the objectives that judge whole texts share: their batches' sequences, and a model's outputs for them.

Every field of such a batch has its texts along the first axis, and what is one text's there stays together.
"""

from __future__ import annotations

from typing import Any, TypeVar

from ._padding import columns, extents

Array = Any
Batch = TypeVar("Batch", bound=Any)


def extents_of_texts(mask: Array) -> Array:
    """Return (2, B): 0, as positions count from there, and the column past each text's last token.

    Parameters
    ----------
    mask : ndarray of bool, shape (B, T), or (B, 2, T) of pairs, whose longer side counts

    Examples
    --------
    >>> import numpy as np
    >>> extents_of_texts(np.array([[[True, False, False], [True, True, False]]]))
    array([[0],
           [2]])
    """
    found = extents(mask if mask.ndim == 2 else mask.any(axis=1))
    found[0] = 0
    return found


def take_texts(batch: Batch, places: Any) -> Batch:
    """Return the texts at `places`, (b,) or a slice, in that order, as a batch of their own."""
    return type(batch)(*(None if field is None else field[places] for field in batch))


def trim_texts(batch: Batch) -> Batch:
    """Return the batch without the columns on the right that are padding in every text."""
    _, stop = columns(extents_of_texts(batch.mask))
    if stop >= batch.mask.shape[-1]:
        return batch
    segments = None if batch.segment_ids is None else batch.segment_ids[..., :stop]
    return batch._replace(ids=batch.ids[..., :stop], mask=batch.mask[..., :stop], segment_ids=segments)


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
