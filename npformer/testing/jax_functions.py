"""JAX's functions before the referee."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ._calls import call, named_as

Array = npt.NDArray[Any]


def from_jax(function: Callable[..., Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return the forward and the backward of a JAX function, as `npformer.check` takes them.

    Parameters
    ----------
    function : callable
        Takes and returns arrays. Of one with a `jax.custom_vjp` its own backward is judged. It runs in
        double precision.

    Returns
    -------
    forward, backward : callable
        Of NumPy arrays.

    Raises
    ------
    ImportError
        If JAX is not installed.

    Examples
    --------
    >>> forward, backward = from_jax(my_gelu)  # doctest: +SKIP
    >>> print(npformer.check(forward, backward, [x]))  # doctest: +SKIP
    """
    try:
        import jax
    except ImportError as error:
        raise ImportError("from_jax: JAX is missing: pip install jax") from error

    def forward(*by_position: Any, **by_name: Any) -> tuple[Array, Any]:
        inputs, names = (*by_position, *by_name.values()), tuple(by_name)
        if any(isinstance(x, np.ndarray) and x.dtype.kind == "c" for x in inputs):
            raise TypeError("from_jax: expected real numbers, got complex ones")
        with jax.enable_x64(True):
            given = [jax.numpy.asarray(x) if isinstance(x, np.ndarray) else x for x in inputs]
            places = [i for i, x in enumerate(given) if isinstance(x, jax.Array) and x.dtype.kind == "f"]

            def of_floats(*floats: Any) -> Any:
                arguments = dict(zip(places, floats, strict=True))
                return call(function, [arguments.get(i, x) for i, x in enumerate(given)], names)

            out, pull_back = jax.vjp(of_floats, *(given[i] for i in places))
        return np.array(out), pull_back

    def backward(dout: Array, pull_back: Any) -> tuple[Array, ...]:
        with jax.enable_x64(True):
            return tuple(np.array(g) for g in pull_back(jax.numpy.asarray(dout)))

    return named_as(forward, function), backward
