"""Parameters: dotted names, each a view of one flat vector."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Parameters(Mapping[str, Array]):
    """Named arrays that are views of one flat contiguous vector.

    What concerns every parameter alike (an optimizer's update, clipping, summing the gradients of
    several threads, sending them to another machine) is then one operation on `flat`; what
    concerns one parameter is a name.

    Parameters
    ----------
    arrays : mapping of str to array_like
        The values, which are copied; their order is the order in the vector.
    dtype : dtype
    frozen : collection of str
        Names that are not trained. They lie in `frozen_flat`, so that gradients and an optimizer's
        moments (`zeros_like`) exist for the others alone.
    transposed : collection of str
        Names of matrices that lie column after column in the vector; see `for_decoding`.

    Attributes
    ----------
    flat : ndarray, shape (n,)
        Every trainable parameter.
    frozen_flat : ndarray, shape (n_frozen,)
    layout : dict of str to slice
        Where each trainable parameter lies in `flat`.

    Raises
    ------
    ValueError
        If a frozen name is not among the arrays.

    Examples
    --------
    >>> params = Parameters({"linear.weight": np.ones((2, 3)), "linear.bias": np.zeros(3)})
    >>> params.flat.size, params.layout["linear.bias"]
    (9, slice(6, 9, None))
    >>> params.flat[6:] = 5.0
    >>> params["linear.bias"]
    array([5., 5., 5.])
    """

    def __init__(
        self,
        arrays: Mapping[str, npt.ArrayLike],
        dtype: npt.DTypeLike = np.float64,
        frozen: Collection[str] = (),
        transposed: Collection[str] = (),
    ) -> None:
        values = {name: np.asarray(value) for name, value in arrays.items()}
        self.frozen, self.transposed = frozenset(frozen), frozenset(transposed)
        for argument, names in (("frozen", self.frozen), ("transposed", self.transposed)):
            unknown = sorted(names - set(values))
            if unknown:
                raise ValueError(f"Parameters: {argument}: expected names of parameters, got {unknown[0]!r}")
        self.layout: dict[str, slice] = {}
        size = {True: 0, False: 0}
        places = {}
        for name, value in values.items():
            still = name in self.frozen
            places[name] = slice(size[still], size[still] + value.size)
            size[still] += value.size
            if not still:
                self.layout[name] = places[name]
        self.flat = np.empty(size[False], dtype)
        self.frozen_flat = np.empty(size[True], dtype)
        self._views: dict[str, Array] = {}
        for name, value in values.items():
            vector = self.frozen_flat if name in self.frozen else self.flat
            order: Literal["F", "C"] = "F" if name in self.transposed else "C"
            self._views[name] = vector[places[name]].reshape(value.shape, order=order)
            self._views[name][...] = value

    def __getitem__(self, name: str) -> Array:
        return self._views[name]

    def __setitem__(self, name: str, value: npt.ArrayLike) -> None:
        # Makes `params[name] += x` work; the value lands in the vector, whatever array it came in.
        view = self._views[name]
        if np.ndim(value) and np.shape(value) != view.shape:  # broadcasting would hide a wrong array
            raise ValueError(f"Parameters: {name}: expected shape {view.shape}, got {np.shape(value)}")
        view[...] = value

    def __contains__(self, name: object) -> bool:
        return name in self._views  # Mapping's own tries and catches, which takes longer

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)

    def __repr__(self) -> str:
        return f"Parameters({len(self)} arrays, {self.size} numbers, {self.flat.dtype})"

    @property
    def size(self) -> int:
        """How many numbers there are, trained and frozen."""
        return int(self.flat.size + self.frozen_flat.size)

    def astype(self, dtype: npt.DTypeLike) -> Parameters:
        """Return a copy in another dtype."""
        return Parameters(self._views, dtype, self.frozen, self.transposed)

    def copy(self) -> Parameters:
        """Return a copy that shares nothing with this one."""
        return self.astype(self.flat.dtype)

    def zeros_like(self) -> Parameters:
        """Return zeros in the layout of the trainable parameters: a place for their gradients."""
        trained = {name: np.zeros_like(view) for name, view in self._views.items() if name not in self.frozen}
        return Parameters(trained, self.flat.dtype, transposed=self.transposed - self.frozen)

    def for_decoding(self) -> Parameters:
        """Return a copy for decoding: the numbers that make one output of a matrix lie side by side.

        One row times a matrix (d_in, d_out) is all that a decoder does with one token after another, and
        BLAS's threads share the outputs. Where they are no more than the inputs, each thread would read a
        short piece of every row; transposed, it reads whole outputs, one after another. So that is how
        ``*.weight`` lie then. Shapes, names and values are the same, the order in `flat` is not: moments or a
        checkpoint's vector in the other order do not fit. The copy takes about 5 ns a number.

        Examples
        --------
        >>> params = Parameters({"linear.weight": [[1, 2], [3, 4], [5, 6]]}).for_decoding()
        >>> params["linear.weight"]
        array([[1., 2.],
               [3., 4.],
               [5., 6.]])
        >>> params.flat
        array([1., 3., 5., 2., 4., 6.])
        """
        matrices = {name: view for name, view in self._views.items() if name.endswith(".weight")}
        narrow = [name for name, view in matrices.items() if view.shape[1] <= view.shape[0]]
        return Parameters(self._views, self.flat.dtype, self.frozen, narrow)
