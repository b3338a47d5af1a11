"""The referee's numeric half: derivatives by numbers, verdicts and reports. NumPy alone."""

from .derivative import complex_step_gradient, directional_derivative, error_of, numeric_gradient

__all__ = ["complex_step_gradient", "directional_derivative", "error_of", "numeric_gradient"]
