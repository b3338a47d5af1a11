"""Assertions for people's own test suites, and adapters for code that is not NumPy's.

    from npformer.testing import assert_gradients_match

    def test_my_layer_norm():
        assert_gradients_match(my_layer_norm, my_layer_norm_backward, {"x": x, "gamma": gamma, "beta": beta})

The message of a failed assertion is the whole report, with the name of the mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .diagnosis import check
from .gradcheck import Report, check_params, check_value_and_grad

Array = npt.NDArray[Any]

__all__ = ["assert_gradients_match", "assert_params_match", "assert_value_and_grad_match", "from_torch"]


def assert_gradients_match(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    inputs: Mapping[str, Any] | Sequence[Any],
    **options: Any,
) -> Report:
    """Fail unless every gradient is right.

    Parameters
    ----------
    forward, backward, inputs, **options
        As for `npformer.check` (`strict=True` fails at a point that could not show a mistake).

    Returns
    -------
    Report

    Raises
    ------
    AssertionError
        Its message is the report.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal(5)
    >>> assert_gradients_match(lambda x: (np.sin(x), x), lambda dout, x: dout * np.cos(x), [x]).passed
    True
    """
    __tracebackhide__ = True
    report = check(forward, backward, inputs, **options)
    report.raise_if_failed()
    return report


def assert_value_and_grad_match(f: Callable[..., Any], inputs: Any, **options: Any) -> Report:
    """Fail unless the gradients that `f` returns beside its loss are right.

    Parameters
    ----------
    f, inputs, **options
        As for `npformer.gradcheck.check_value_and_grad`.

    Returns
    -------
    Report

    Raises
    ------
    AssertionError
        Its message is the report.

    Examples
    --------
    >>> import numpy as np
    >>> assert_value_and_grad_match(lambda x: ((x**2).sum(), 2 * x), [np.array([1.0, -2.0])]).passed
    True
    """
    __tracebackhide__ = True
    report = check_value_and_grad(f, inputs, **options)
    report.raise_if_failed()
    return report


def assert_params_match(
    loss_and_grad: Callable[..., Any], params: Mapping[str, Array], **options: Any
) -> Report:
    """Fail unless the gradient of every parameter of a model is right.

    Parameters
    ----------
    loss_and_grad, params, **options
        As for `npformer.gradcheck.check_params`.

    Returns
    -------
    Report

    Raises
    ------
    AssertionError
        Its message is the report.

    Examples
    --------
    >>> import numpy as np
    >>> def loss_and_grad(params):
    ...     return (params["w"] ** 3).sum(), {"w": 3 * params["w"] ** 2}
    >>> assert_params_match(loss_and_grad, {"w": np.array([0.5, 2.0])}).passed
    True
    """
    __tracebackhide__ = True
    report = check_params(loss_and_grad, params, **options)
    report.raise_if_failed()
    return report


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

    def forward(*inputs: Any) -> tuple[Array, Any]:
        if any(isinstance(x, np.ndarray) and x.dtype.kind == "c" for x in inputs):
            raise TypeError("from_torch: expected real numbers, got complex ones")
        tensors = [tensor(x) for x in inputs]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            out = function(*tensors)
        return out.detach().numpy().copy(), (out, tensors)

    def backward(dout: Array, cache: Any) -> tuple[Array | None, ...]:
        out, tensors = cache
        wanted = [t for t in tensors if isinstance(t, torch.Tensor) and t.requires_grad]
        given = torch.from_numpy(np.array(dout))
        found = torch.autograd.grad(out, wanted, given, retain_graph=True, allow_unused=True)
        return tuple(
            np.zeros(t.shape) if g is None else g.numpy().copy() for t, g in zip(wanted, found, strict=True)
        )

    return forward, backward
