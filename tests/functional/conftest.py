"""How a test proves an op: numbers for its gradients by two methods, and what arrays alone can show."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from functools import cached_property, partial
from typing import Any

import numpy as np
import pytest

from npformer.gradcheck import complex_step_gradient, directional_derivative, error_of, numeric_gradient

FINITE_DIFFERENCES = 1e-10
COMPLEX_STEP = 1e-13
FLOAT32 = 2e-6
DIRECTIONS = 3  # random ones: an entry that is wrong shows in some of them at about its own size


def largest(arrays: Iterable[np.ndarray]) -> float:
    return max((float(np.abs(x).max(initial=0.0)) for x in arrays), default=0.0)


class Proof:
    """An op at one point, with a random normal cotangent.

    `forward(**inputs)` returns (out, cache); every array in `inputs` is differentiated. `backward` may be
    replaced by a wrong one in `errors`, to show that the check would see it. Slopes are taken along random
    directions, through all entries at once: none of them can be wrong without its being seen. `every_entry`
    asks for each entry by itself, which costs a dozen calls of the forward or more.
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

    @cached_property
    def directions(self) -> dict[str, np.ndarray]:
        """Random directions of each input, with entries of about 1."""
        rng = np.random.default_rng(self.out.size)
        return {name: rng.standard_normal((DIRECTIONS, *x.shape)) for name, x in self.inputs.items()}

    @cached_property
    def exact_along(self) -> dict[str, np.ndarray]:
        """Slopes along the directions of each input by the complex step."""

        def slopes(name: str) -> np.ndarray:
            def moved(t: np.ndarray) -> np.ndarray:
                along = np.tensordot(t, self.directions[name], 1)
                return self.f(**{**self.inputs, name: self.inputs[name] + along})

            return complex_step_gradient(moved, {"t": np.zeros(DIRECTIONS)}, "t", self.dout)

        return {name: slopes(name) for name in self.inputs}

    def errors(self, backward: Callable | None = None) -> dict[str, float]:
        """Error of each gradient against the complex step, as every tolerance here means it."""
        given = self.gradients(backward=backward)
        if self.every_entry:
            scale = largest(self.exact.values())
            return {name: error_of(given[name], n, scale) for name, n in self.exact.items()}
        right = self.gradients()
        scale, errors = largest(right.values()), {}
        for name, n in self.exact_along.items():
            if given[name].shape != self.inputs[name].shape:
                raise ValueError(f"d{name}: expected the shape of {name}, got {given[name].shape}")
            slopes = self.directions[name].reshape(DIRECTIONS, -1) @ given[name].ravel()
            size = max(largest([right[name]]), 1e-3 * scale) or 1.0
            errors[name] = float(np.abs(slopes - n).max()) / size
        return errors

    def error_of_differences(self) -> dict[str, float]:
        """Error of the gradients against finite differences: along one direction of all inputs together.

        The complex step is sharper, and is right wherever it takes the path of real numbers: that is what
        differences are asked. With `every_entry` it is the error of each gradient in each entry.
        """
        given = self.gradients()
        if self.every_entry:
            n = {name: numeric_gradient(self.f, self.inputs, name, self.dout)[0] for name in self.inputs}
            scale = largest(n.values())
            return {name: error_of(given[name], n[name], scale) for name in self.inputs}
        u = {name: directions[0] for name, directions in self.directions.items()}
        length = np.sqrt(sum(np.vdot(x, x) for x in u.values())) or 1.0

        def s(t: np.ndarray) -> float:
            moved = {name: x + (t / length) * u[name] for name, x in self.inputs.items()}
            return float(np.vdot(self.f(**moved), self.dout))

        along, _ = directional_derivative(s, 0.0, 1.0)
        slope = sum(np.vdot(given[name], u[name]) for name in u) / length
        return {"all of them": abs(float(slope) - along) / (largest(given.values()) or 1.0)}

    def differentiates(self) -> None:
        """Every gradient agrees with the complex step, and with finite differences."""
        for name, error in self.errors().items():
            assert error <= COMPLEX_STEP, f"d{name}: {error:.1e} from the complex step"
        for name, error in self.error_of_differences().items():
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
