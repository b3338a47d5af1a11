"""Assertions whose message is the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy.typing as npt

from ..diagnosis import check
from ..gradcheck import Report, check_params, check_value_and_grad

Array = npt.NDArray[Any]


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
