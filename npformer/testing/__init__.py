"""For people's own test suites: assertions, strategies for hypothesis, and adapters for what is not NumPy.

    from npformer.testing import assert_gradients_match

    def test_my_layer_norm():
        assert_gradients_match(my_layer_norm, my_layer_norm_backward, {"x": x, "gamma": gamma, "beta": beta})

The message of a failed assertion is the whole report, with the name of the mistake.
`npformer.testing.strategies` needs hypothesis and is imported by its own name.
"""

from .assertions import assert_gradients_match, assert_params_match, assert_value_and_grad_match
from .jax_functions import from_jax
from .kernels import KernelReport, assert_vectors_match, check_vectors
from .torch_functions import from_torch

__all__ = [
    "KernelReport",
    "assert_gradients_match",
    "assert_params_match",
    "assert_value_and_grad_match",
    "assert_vectors_match",
    "check_vectors",
    "from_jax",
    "from_torch",
]
