"""PyTorch's functions before the referee."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ._calls import call, named_as

Array = npt.NDArray[Any]


def from_torch(function: Callable[..., Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return the forward and the backward of a PyTorch function, as `npformer.check` takes them.

    Parameters
    ----------
    function : callable
        Takes and returns tensors: `MyFunction.apply` of a `torch.autograd.Function`, whose own backward is
        then judged, or a module in double precision.

    Returns
    -------
    forward, backward : callable
        Of arrays. Every call of the forward starts from the same state of PyTorch's random numbers.

    Raises
    ------
    ImportError
        If PyTorch is not installed.

    Examples
    --------
    >>> forward, backward = from_torch(MyGelu.apply)  # doctest: +SKIP
    >>> print(npformer.check(forward, backward, [x]))  # doctest: +SKIP
    """
    try:
        import torch
    except ImportError as error:
        raise ImportError("from_torch: PyTorch is missing: pip install torch") from error

    def tensor(x: Any) -> Any:
        if not isinstance(x, np.ndarray):
            return x
        return torch.from_numpy(np.array(x)).requires_grad_(x.dtype.kind == "f")

    def forward(*by_position: Any, **by_name: Any) -> tuple[Array, Any]:
        inputs = (*by_position, *by_name.values())
        if any(isinstance(x, np.ndarray) and x.dtype.kind == "c" for x in inputs):
            raise TypeError("from_torch: expected real numbers, got complex ones")
        tensors = [tensor(x) for x in inputs]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            out = call(function, tensors, tuple(by_name))
        return out.detach().numpy().copy(), (out, tensors)

    def backward(dout: Array, cache: Any) -> tuple[Array | None, ...]:
        out, tensors = cache
        wanted = [t for t in tensors if isinstance(t, torch.Tensor) and t.requires_grad]
        given = torch.from_numpy(np.array(dout))
        found = torch.autograd.grad(out, wanted, given, retain_graph=True, allow_unused=True)
        return tuple(
            (torch.zeros_like(t).detach() if g is None else g).numpy().copy()
            for t, g in zip(wanted, found, strict=True)
        )

    return named_as(forward, function), backward
