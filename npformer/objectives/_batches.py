"""How a batch is cut: some of its sequences, in any order; and its columns, without those of padding alone.

A batch is a NamedTuple. Along the first axis of its fields are its sequences, but of `at`, the flat positions
b · T + t of the targets, and of what else there is for each target (`targets`, weights): those have an entry
for each target, and go where its sequence goes. `ids`, `mask` and `segment_ids` have their columns along the
last axis; between the first and the last there may be the texts of a pair.
"""

from __future__ import annotations

from typing import Any, TypeVar

from ._padding import extents, take_targets, trim_targets

Array = Any
Batch = TypeVar("Batch", bound=Any)

WITH_COLUMNS = ("ids", "mask", "segment_ids")


def extents_from_zero(mask: Array, at: Array | None = None) -> Array:
    """Return (2, B): 0, as positions count from there, and the column past each sequence's last token.

    Parameters
    ----------
    mask : ndarray of bool, shape (B, T), or (B, k, T) of several texts, of which the longest counts
    at : ndarray of int, shape (n,), optional
        As of `extents`.

    Examples
    --------
    >>> import numpy as np
    >>> extents_from_zero(np.array([[[True, False, False], [True, True, False]]]))
    array([[0],
           [2]])
    """
    found = extents(mask if mask.ndim == 2 else mask.any(axis=1), at)
    found[0] = 0
    return found


def take_sequences(batch: Batch, places: Array, of_targets: tuple[str, ...] = ()) -> Batch:
    """Return the sequences at `places` (b,), in that order, as a batch of their own.

    The fields named by `of_targets` have an entry for each position in `batch.at`; without any, the batch
    needs no `at`.

    Examples
    --------
    >>> import numpy as np
    >>> from typing import NamedTuple
    >>> class Tagged(NamedTuple):
    ...     ids: Array
    ...     at: Array
    ...     targets: Array | None
    >>> batch = Tagged(np.array([[7, 8], [6, 5]]), np.array([1, 2, 3]), np.array([10, 20, 30]))
    >>> take_sequences(batch, np.array([1]), of_targets=("targets",))
    Tagged(ids=array([[6, 5]]), at=array([0, 1]), targets=array([20, 30]))
    """
    fields = batch._asdict()
    index = dict.fromkeys(fields, places)
    if of_targets:
        which, fields["at"] = take_targets(batch.at, batch.ids.shape[-1], places)
        index.update(dict.fromkeys(of_targets, which), at=slice(None))
    return type(batch)(**{name: None if x is None else x[index[name]] for name, x in fields.items()})


def keep_columns(batch: Batch, start: int, stop: int) -> Batch:
    """Return the batch with its columns [start, stop) alone, in which all of its targets are.

    Where these are all columns it is `batch` itself: nothing is copied.

    Examples
    --------
    >>> import numpy as np
    >>> from typing import NamedTuple
    >>> class Tagged(NamedTuple):
    ...     ids: Array
    ...     at: Array
    >>> keep_columns(Tagged(np.array([[0, 7, 8], [0, 6, 0]]), np.array([2, 4])), 1, 3)
    Tagged(ids=array([[7, 8],
           [6, 0]]), at=array([1, 2]))
    """
    T = batch.ids.shape[-1]
    if start == 0 and stop >= T:
        return batch
    fields = batch._asdict()
    kept = {name: fields[name][..., start:stop] for name in WITH_COLUMNS if fields.get(name) is not None}
    if "at" in fields:
        kept["at"] = trim_targets(batch.at, T, start, stop)
    return batch._replace(**kept)
