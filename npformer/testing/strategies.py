"""Strategies for hypothesis: sizes, masks, ids, and numbers at a generic point.

    from hypothesis import given
    from npformer.testing.strategies import masks, normals, sizes

    @given(sizes("B T d"), st.data())
    def test_my_attention(n, data):
        q = data.draw(normals(n["B"], n["T"], n["d"]))
        mask = data.draw(masks(n["B"], n["T"], n["T"]))

Numbers are normal, drawn from a seed that hypothesis chooses: what it does by itself, zeros and equal values,
is where mistakes hide. What it shrinks are the sizes, the masks and the ids.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

try:
    from hypothesis import strategies as st
    from hypothesis.strategies import DrawFn, SearchStrategy
except ImportError as error:
    raise ImportError("npformer.testing.strategies: hypothesis is missing: pip install hypothesis") from error

Array = npt.NDArray[Any]

MASKS = ("random", "causal", "padding", "empty row", "everything", "nothing")


@st.composite
def sizes(draw: DrawFn, axes: str, low: int = 1, high: int = 6, different: bool = False) -> dict[str, int]:
    """Draw a size for every axis named in `axes`, e.g. "B T d_model".

    Parameters
    ----------
    axes : str
        Names, with spaces between.
    low, high : int
        The smallest and the largest size.
    different : bool
        No two sizes are equal, so that a transpose or a sum over the wrong axis changes the shape.

    Returns
    -------
    strategy of dict of str to int

    Examples
    --------
    >>> list(sizes("B T d").example())  # doctest: +SKIP
    ['B', 'T', 'd']
    """
    names = axes.split()
    size = st.integers(low, high)
    chosen = draw(st.lists(size, min_size=len(names), max_size=len(names), unique=different))
    return dict(zip(names, chosen, strict=True))


def normals(*shape: int, dtype: npt.DTypeLike = np.float64, scale: float = 1.0) -> SearchStrategy[Array]:
    """Draw normal numbers.

    Parameters
    ----------
    *shape : int
    dtype : dtype
    scale : float
        Standard deviation.

    Returns
    -------
    strategy of ndarray
    """
    return st.integers(0, 2**32 - 1).map(
        lambda seed: (scale * np.random.default_rng(seed).standard_normal(shape)).astype(dtype)
    )


@st.composite
def masks(draw: DrawFn, *shape: int, kinds: tuple[str, ...] = MASKS) -> Array:
    """Draw a boolean mask, True = may be attended to.

    Parameters
    ----------
    *shape : int
        (..., T, S).
    kinds : tuple of str
        Of "random"; "causal"; "padding", where each sequence has a length; "empty row", random with one row
        that has nothing to attend to; "everything" and "nothing".

    Returns
    -------
    strategy of ndarray of bool

    Raises
    ------
    ValueError
        If there is no such kind.
    """
    unknown = [kind for kind in kinds if kind not in MASKS]
    if unknown:
        raise ValueError(f"masks: kinds: expected some of {', '.join(MASKS)}, got {unknown[0]!r}")
    kind = draw(st.sampled_from(kinds))
    T, S = shape[-2:]
    if kind == "everything":
        return np.ones(shape, bool)
    if kind == "nothing":
        return np.zeros(shape, bool)
    if kind == "causal":
        return np.broadcast_to(np.tri(T, S, S - T, dtype=bool), shape).copy()
    if kind == "padding":
        lead = int(np.prod(shape[:-2], dtype=int))
        lengths = draw(st.lists(st.integers(0, S), min_size=lead, max_size=lead))
        row = np.arange(S) < np.array(lengths, int).reshape(*shape[:-2], 1, 1)
        return np.broadcast_to(row, shape).copy()
    size = int(np.prod(shape, dtype=int))
    mask = np.array(draw(st.lists(st.booleans(), min_size=size, max_size=size)), bool).reshape(shape)
    if kind == "empty row" and size:
        mask.reshape(-1, S)[draw(st.integers(0, size // S - 1))] = False
    return mask


@st.composite
def ids(draw: DrawFn, *shape: int, vocab_size: int, ignore_index: int | None = None) -> Array:
    """Draw ids, with one that comes twice wherever there is room.

    Parameters
    ----------
    *shape : int
    vocab_size : int
        Ids are below this.
    ignore_index : int, optional
        Some of the ids may be this one.

    Returns
    -------
    strategy of ndarray of int
    """
    size = int(np.prod(shape, dtype=int))
    one = st.integers(0, vocab_size - 1)
    if ignore_index is not None:
        one = one | st.just(ignore_index)
    drawn = np.array(draw(st.lists(one, min_size=size, max_size=size)), np.int64)
    if size > 1:
        drawn[-1] = drawn[0]
    return drawn.reshape(shape)
