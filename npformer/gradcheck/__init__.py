"""The referee's numeric half: is a hand-written gradient right, for every entry of every input?

`check` takes a forward, its backward and a point, `check_value_and_grad` a function that returns a loss and
its gradients, `check_params` a whole model. Each returns a `Report` with one `Verdict` for every
differentiable input. It works with any NumPy code, and needs nothing but NumPy.
"""

from .check import check
from .derivative import complex_step_gradient, directional_derivative, error_of, numeric_gradient
from .generic import generic_like
from .report import GradientError, Report
from .value_and_grad import check_params, check_value_and_grad
from .verdicts import BlindSpot, Evidence, Finding, Hypothesis, Result, Verdict, Worst

__all__ = [
    "BlindSpot",
    "Evidence",
    "Finding",
    "GradientError",
    "Hypothesis",
    "Report",
    "Result",
    "Verdict",
    "Worst",
    "check",
    "check_params",
    "check_value_and_grad",
    "complex_step_gradient",
    "directional_derivative",
    "error_of",
    "generic_like",
    "numeric_gradient",
]
