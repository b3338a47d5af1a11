"""Which part of the flat parameter vector has which learning rate and weight decay.

    θ = [ ... | segment: α · lr_scale, λ | ... ]

The optimizers work on one flat vector. What differs from one parameter to the next (no decay on biases and
norms, a smaller rate for some layers) is said by segments: neighbouring slices which together cover it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import NamedTuple

from .._threads import in_pieces
from ._arguments import bad_type, bad_value, require_count, require_number


class Segment(NamedTuple):
    """A slice [start, stop) of the flat vector and what is particular to it."""

    start: int
    stop: int
    lr_scale: float = 1.0  # the learning rate of each step is multiplied by this
    weight_decay: float | None = None  # None: the optimizer's own


def decays(name: str) -> bool:
    """Whether the parameter `name` customarily decays: biases do not, nor does anything of a norm.

    Examples
    --------
    >>> [decays(name) for name in ("ffn.weight", "ffn.bias", "final.gamma", "embedding.norm.scale")]
    [True, False, False, False]
    """
    return not name.endswith((".bias", ".beta", ".gamma")) and "norm" not in name


def make_segments(
    layout: Mapping[str, slice],
    *,
    decay: Callable[[str], bool],
    weight_decay: float,
    lr_scale: Callable[[str], float] | None = None,
) -> list[Segment]:
    """Segments for a flat vector whose parameters lie as `layout` says; neighbours that agree become one.

    Parameters
    ----------
    layout : mapping of names to slices
        Where each parameter lies. Together the slices cover the vector from 0 on, without gaps or overlaps.
    decay : callable, name -> bool
        Whether a parameter decays, e.g. `decays`.
    weight_decay : float
        The decay λ of those that do; the others get 0.
    lr_scale : callable, name -> float, optional
        Multiplies the learning rate of a parameter; 1 where it is not given.

    Returns
    -------
    list of Segment
        Ordered, covering the vector.

    Raises
    ------
    ValueError
        If the slices leave a gap or overlap, or a number is negative or not finite.
    TypeError
        If something in `layout` is no slice.

    Examples
    --------
    >>> layout = {"a.weight": slice(0, 6), "b.weight": slice(6, 10), "b.bias": slice(10, 12)}
    >>> for segment in make_segments(layout, decay=decays, weight_decay=0.1):
    ...     print(segment)
    Segment(start=0, stop=10, lr_scale=1.0, weight_decay=0.1)
    Segment(start=10, stop=12, lr_scale=1.0, weight_decay=0.0)
    """
    op = "make_segments"
    weight_decay = require_number(op, "weight_decay", weight_decay, 0.0)
    for name, where in layout.items():
        if not isinstance(where, slice):
            bad_type(op, f"layout[{name!r}]", "a slice", repr(where))
    segments: list[Segment] = []
    end = 0
    for name, where in sorted(layout.items(), key=lambda item: (item[1].start or 0, item[1].stop)):
        start = where.start or 0
        if where.step not in (None, 1) or start != end or where.stop is None or where.stop < start:
            bad_value(op, f"layout[{name!r}]", f"a slice that starts at {end}, where one ended", where)
        scale = 1.0 if lr_scale is None else require_number(op, f"lr_scale({name!r})", lr_scale(name), 0.0)
        here = Segment(start, where.stop, scale, weight_decay if decay(name) else 0.0)
        end = where.stop
        if segments and segments[-1][2:] == here[2:]:
            segments[-1] = segments[-1]._replace(stop=end)
        elif start < end:
            segments.append(here)
    return segments


def segments_within(segments: Sequence[Segment], start: int, stop: int) -> list[Segment]:
    """Segments of the part [start, stop) of the vector, counted from its start.

    Examples
    --------
    >>> segments_within([Segment(0, 10), Segment(10, 12, weight_decay=0.0)], 8, 11)[-1]
    Segment(start=2, stop=3, lr_scale=1.0, weight_decay=0.0)
    """
    return [
        segment._replace(start=max(segment.start, start) - start, stop=min(segment.stop, stop) - start)
        for segment in segments
        if segment.start < stop and segment.stop > start
    ]


def resolve_segments(
    op: str, segments: Sequence[Segment] | None, size: int, weight_decay: float
) -> list[tuple[slice, float, float]]:
    """(slice, lr_scale, weight_decay) of each segment, checked to cover `size` entries in order."""
    if segments is None:
        return [(slice(0, size), 1.0, weight_decay)]
    resolved: list[tuple[slice, float, float]] = []
    end = 0
    for i, segment in enumerate(segments):
        argument = f"segments[{i}]"
        if not isinstance(segment, Segment):
            bad_type(op, argument, "a Segment", repr(segment))
        start = require_count(op, f"{argument}.start", segment.start, 0)
        stop = require_count(op, f"{argument}.stop", segment.stop, 0)
        if start != end or stop <= start:
            bad_value(op, argument, f"a segment that starts at {end}, where the one before it ended", segment)
        scale = require_number(op, f"{argument}.lr_scale", segment.lr_scale, 0.0)
        own = segment.weight_decay
        own = weight_decay if own is None else require_number(op, f"{argument}.weight_decay", own, 0.0)
        resolved.append((slice(start, stop), scale, own))
        end = stop
    if end != size:
        bad_value(op, "segments", f"segments that cover all {size} parameters", f"an end at {end}")
    return resolved


def by_segments(
    update: Callable[[slice, float, float], None],
    segments: Sequence[tuple[slice, float, float]],
    executor: Executor | None,
) -> None:
    """Call update(where, lr_scale, weight_decay) for all of what `resolve_segments` gave, or parts of it.

    The threads of an `executor` share the vector; without one, each segment is one call.
    """

    def piece(start: int, stop: int) -> None:
        for where, lr_scale, weight_decay in segments:
            first, last = max(start, where.start), min(stop, where.stop)
            if first < last:
                update(slice(first, last), lr_scale, weight_decay)

    in_pieces(piece, segments[-1][0].stop if segments else 0, executor)
