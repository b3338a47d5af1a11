"""How a test proves an op: numbers for its gradients by two methods, and what arrays alone can show."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import numpy as np
import pytest

from npformer.gradcheck import complex_step_gradient, directional_derivative, error_of, numeric_gradient

FINITE_DIFFERENCES = 1e-10
COMPLEX_STEP = 1e-13
FLOAT32 = 2e-6


class Proof:
    """An op at one point, with a random normal cotangent.

    `forward(**inputs)` returns (out, cache); every array in `inputs` is differentiated. `backward` may be
    replaced by a wrong one in `errors`, to show that the check would see it. `every_entry` asks for finite
    differences of every entry, which cost thirty calls of the forward each.
    """

    def __init__(
        self,
        forward: Callable,
        backward: Callable,
        inputs: dict[str, Any],
        rng: np.random.Generator,
        every_entry: bool = False,
    ):
        self.forward, self.backward, self.inputs = forward, backward, inputs
        self.every_entry = every_entry
        self.out, self.cache = forward(**inputs)
        self.dout = rng.standard_normal(self.out.shape)
        self.other_dout = rng.standard_normal(self.out.shape)

    def gradients(
        self, dout: np.ndarray | None = None, backward: Callable | None = None
    ) -> dict[str, np.ndarray]:
        got = (backward or self.backward)(self.dout if dout is None else dout, self.cache)
        got = got if isinstance(got, tuple) else (got,)
        return dict(zip(self.inputs, got, strict=True))

    def f(self, **inputs: Any) -> np.ndarray:
        return self.forward(**inputs)[0]

    @cached_property
    def exact(self) -> dict[str, np.ndarray]:
        """Every entry of every gradient by the complex step."""
        return {name: complex_step_gradient(self.f, self.inputs, name, self.dout) for name in self.inputs}

    @property
    def scale(self) -> float:
        return max((np.abs(g).max(initial=0.0) for g in self.exact.values()), default=0.0)

    def errors(self, backward: Callable | None = None) -> dict[str, float]:
        """Error of each gradient against the complex step, as every tolerance here means it."""
        given = self.gradients(backward=backward)
        return {name: error_of(given[name], n, self.scale) for name, n in self.exact.items()}

    def errors_of_differences(self) -> dict[str, float]:
        """Error of each gradient against finite differences: of every entry, or else along one direction.

        A random direction, through all entries at once: none of them can be wrong without its being seen.
        """
        errors = {}
        for name, given in self.gradients().items():
            if self.every_entry:
                n, _ = numeric_gradient(self.f, self.inputs, name, self.dout)
                errors[name] = error_of(given, n, self.scale)
                continue
            u = np.random.default_rng(given.size).standard_normal(given.shape)
            u /= np.linalg.norm(u) or 1.0

            def s(x: np.ndarray, name: str = name) -> float:
                return float(np.vdot(self.f(**{**self.inputs, name: x}), self.dout))

            along, _ = directional_derivative(s, self.inputs[name], u)
            size = max(np.abs(self.exact[name]).max(initial=0.0), 1e-3 * self.scale)
            errors[name] = abs(float(np.vdot(given, u)) - along) / (size or 1.0)
        return errors

    def differentiates(self) -> None:
        """Every gradient agrees with the complex step in each entry, and with finite differences."""
        for name, error in self.errors().items():
            assert error <= COMPLEX_STEP, f"d{name}: {error:.1e} from the complex step"
        for name, error in self.errors_of_differences().items():
            assert error <= FINITE_DIFFERENCES, f"d{name}: {error:.1e} from finite differences"

    def sees(self, wrong_backward: Callable) -> None:
        """The check tells a wrong backward from the right one by a wide margin."""
        assert max(self.errors(wrong_backward).values()) > 1e-3

    def keeps_float32(self) -> None:
        """float32 in, float32 out, as close to float64 as rounding allows."""
        narrow = {name: x.astype(np.float32) for name, x in self.inputs.items()}
        dout = self.dout.astype(np.float32)
        low = Proof(self.forward, self.backward, narrow, np.random.default_rng())
        wide = {name: x.astype(np.float64) for name, x in narrow.items()}
        high = Proof(self.forward, self.backward, wide, np.random.default_rng())
        a = {"out": low.out, **low.gradients(dout)}
        n = {"out": high.out, **high.gradients(dout.astype(np.float64))}
        scale = max(np.abs(n[name]).max(initial=0.0) for name in self.inputs)
        for name in a:
            assert a[name].dtype == np.float32, name
            error = error_of(a[name], n[name], scale if name != "out" else 0.0)
            assert error <= FLOAT32, f"{name}: {error:.1e} from float64"

    def is_pure(self) -> None:
        """Nothing is mutated, nothing aliases, and the backward is a linear function of its cotangent."""
        before = {name: x.copy() for name, x in self.inputs.items()}
        out, dout = self.out.copy(), self.dout.copy()
        got = self.gradients()
        again = self.gradients()
        arrays = [*self.inputs.values(), self.dout, self.out]
        for name, gradient in got.items():
            assert gradient.shape == self.inputs[name].shape, name
            assert gradient.dtype == self.inputs[name].dtype, name
            aliases = any(np.shares_memory(gradient, x) for x in arrays)
            assert not aliases, f"d{name} aliases an input, dout or out"
            np.testing.assert_array_equal(gradient, again[name], err_msg=f"d{name}: the second call differs")
        for (a, x), (b, y) in itertools.combinations(got.items(), 2):
            assert not np.shares_memory(x, y), f"d{a} and d{b} alias"
        assert not any(np.shares_memory(self.out, x) for x in self.inputs.values()), "out aliases an input"
        for name, x in self.inputs.items():
            np.testing.assert_array_equal(x, before[name], err_msg=f"{name} was mutated")
        np.testing.assert_array_equal(self.dout, dout, err_msg="dout was mutated")
        np.testing.assert_array_equal(self.out, out, err_msg="out was mutated by the backward")

        zero = self.gradients(np.zeros_like(dout))
        both = self.gradients(2 * dout - self.other_dout)
        other = self.gradients(self.other_dout)
        for name in got:
            assert not zero[name].any(), f"d{name} of a zero cotangent is not zero"
            scale = np.abs([got[name], other[name]]).max(initial=1e-300)
            np.testing.assert_allclose(both[name], 2 * got[name] - other[name], rtol=0, atol=1e-14 * scale)

    def holds(self) -> None:
        """All of the above."""
        self.differentiates()
        self.keeps_float32()
        self.is_pure()


@pytest.fixture(scope="session")
def proof(request: pytest.FixtureRequest) -> Callable[..., Proof]:
    return partial(Proof, every_entry=request.config.getoption("--thorough"))


@pytest.fixture(
    params=[
        0,
        *(pytest.param(s, marks=pytest.mark.thorough) for s in range(1, 6)),
        *(pytest.param(s, marks=pytest.mark.exhaustive) for s in range(6, 20)),
    ]
)
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """One seed by default; every proof holds at all twenty (tests/proof has twenty of its own, run by CI)."""
    return np.random.default_rng(request.param)


@pytest.fixture
def one_rng() -> np.random.Generator:
    """One seed, for what does not depend on luck."""
    return np.random.default_rng(7)


def assert_ulps(actual: Any, exact: Any, ulps: float) -> None:
    actual = np.asarray(actual)
    exact = np.asarray(exact, dtype=np.float64)
    eps = np.finfo(actual.dtype).eps
    error = np.abs(actual.astype(np.float64) - exact) / (np.abs(exact) * eps)
    assert np.all(error <= ulps), f"off by {error.max():.3g} ulp: {actual} for {exact}"


@pytest.fixture(scope="session")
def close_in_ulps() -> Callable[[Any, Any, float], None]:
    """assert_ulps(actual, exact, ulps): relative error in units of the dtype's eps, entry by entry.

    The exact values in these tests were computed with 60 digits.
    """
    return assert_ulps
