"""Ten ways in which people check a hand-written backward, each with the constants it is published with.

`kill_table.py` holds them against the catalogue of mistakes. A protocol looks at a `Student` and returns a
number, which passes if it is below the protocol's limit; NaN does not. Anything raised counts as caught.

Sources of the constants: the notes and assignments of Stanford's cs231n (neural-networks-3, gradient checks);
the defaults of torch.autograd.gradcheck and of autograd.test_util; for SciPy, whose check_grad leaves the
decision to its user, the loosest limit in its own tests.
"""

from __future__ import annotations

import copy
import functools
import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import npformer
from npformer.gradcheck import Report

Array = npt.NDArray[Any]
Function = Callable[..., Any]


class Student:
    """A forward and a backward at a point, as a function of the differentiable inputs alone."""

    def __init__(self, forward: Function, backward: Function, point: Mapping[str, Any], seed: int) -> None:
        self.point = dict(point)
        self.names = [n for n, x in point.items() if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
        self.arrays = [np.array(point[name]) for name in self.names]
        self.seed = seed
        self.calls = 0  # of the forward

        @functools.wraps(forward)
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            return forward(*args, **kwargs)

        self.forward, self.backward = counted, backward
        self.cotangent = self.rng().standard_normal(np.shape(forward(**copy.deepcopy(self.point))[0]))

    def rng(self, stream: int = 7) -> np.random.Generator:
        """Return the same Generator every time."""
        return np.random.default_rng([self.seed, stream])

    def run(self, *arrays: Array) -> tuple[Array, Any]:
        """Return output and cache: every call gets copies of everything, Generators included."""
        inputs = {**self.point, **dict(zip(self.names, arrays, strict=True))}
        out, cache = self.forward(**copy.deepcopy(inputs))
        return np.array(out), cache

    def gradients(self, dout: Array, *arrays: Array) -> list[Any]:
        """Return what the backward gives, as a list."""
        return self.back(dout, self.run(*(arrays or self.arrays))[1])

    def back(self, dout: Array, cache: Any) -> list[Any]:
        """Call the backward alone."""
        found = self.backward(np.array(dout), cache)
        return list(found) if isinstance(found, tuple) else [found]

    def slope(self, which: int, where: tuple[int, ...], dout: Array, h: float = 1e-5) -> float:
        """Return Σ dout · (f(x + h) - f(x - h)) / 2h for one entry of one input."""
        sides = []
        for step in (h, -h):
            arrays = [x.copy() for x in self.arrays]
            arrays[which][where] += step
            sides.append(self.run(*arrays)[0])
        return float(np.sum((sides[0] - sides[1]) * dout) / (2 * h))

    def numeric(self, dout: Array) -> list[Array]:
        """Return the central differences of every entry of every input, as in cs231n's assignments."""
        return [
            np.array([self.slope(i, at, dout) for at in np.ndindex(x.shape)]).reshape(x.shape)
            for i, x in enumerate(self.arrays)
        ]


def relative(a: Any, n: Any) -> float:
    """cs231n's error: max |a - n| / max(1e-8, |a| + |n|). It broadcasts, as theirs does."""
    return float(np.max(np.abs(a - n) / np.maximum(1e-8, np.abs(a) + np.abs(n))))


def worst(errors: list[float]) -> float:
    """Return the largest; NaN if one is."""
    return float(np.max(errors))


def shapes(student: Student) -> float:
    """1 if a gradient has not the shape of its input."""
    found = student.gradients(student.cotangent)
    return float([np.shape(g) for g in found] != [x.shape for x in student.arrays])


def not_none(student: Student) -> float:
    """1 if a gradient is missing."""
    found = student.gradients(student.cotangent)
    return float(len(found) != len(student.arrays) or any(g is None for g in found))


def ones(student: Student) -> float:
    """The largest absolute error where the loss is the sum of the outputs."""
    dout = np.ones_like(student.cotangent)
    pairs = zip(student.gradients(dout), student.numeric(dout), strict=True)
    return worst([float(np.max(np.abs(a - n))) for a, n in pairs])


def one_entry(student: Student) -> float:
    """The relative error of one random entry of every input."""
    rng, errors = student.rng(stream=8), []
    for i, a in enumerate(student.gradients(student.cotangent)):
        where = tuple(int(rng.integers(n)) for n in student.arrays[i].shape)
        errors.append(relative(a[where], student.slope(i, where, student.cotangent)))
    return worst(errors)


def cs231n(student: Student) -> float:
    """The relative error over all entries, with a random cotangent."""
    dout = student.cotangent
    return worst([relative(*p) for p in zip(student.gradients(dout), student.numeric(dout), strict=True)])


def scipy_check_grad(student: Student) -> float:
    """SciPy's number for the dot product of the output with a random cotangent."""
    from scipy.optimize import check_grad

    ends = np.cumsum([x.size for x in student.arrays])[:-1]

    def apart(flat: Array) -> list[Array]:
        return [p.reshape(x.shape) for p, x in zip(np.split(flat, ends), student.arrays, strict=True)]

    def value(flat: Array) -> float:
        return float(np.sum(student.run(*apart(flat))[0] * student.cotangent))

    def gradient(flat: Array) -> Array:
        return np.concatenate([np.ravel(g) for g in student.gradients(student.cotangent, *apart(flat))])

    return float(check_grad(value, gradient, np.concatenate([x.ravel() for x in student.arrays])))


@functools.cache
def _torch_function() -> Any:
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)

    def forward(ctx: Any, student: Student, *tensors: Any) -> Any:
        ctx.student = student
        out, ctx.kept = student.run(*(t.detach().numpy().copy() for t in tensors))
        return torch.from_numpy(out)

    def backward(ctx: Any, dout: Any) -> Any:
        found = ctx.student.back(dout.numpy(), ctx.kept)
        return None, *(torch.from_numpy(np.array(g)) for g in found)

    methods = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    return type("OfStudent", (torch.autograd.Function,), methods)


def gradcheck(student: Student, fast_mode: bool = False) -> float:
    """1 if torch.autograd.gradcheck fails, the backward being that of an autograd.Function."""
    torch = importlib.import_module("torch")
    torch.manual_seed(student.seed)
    tensors = [torch.from_numpy(x.copy()).requires_grad_() for x in student.arrays]
    function = functools.partial(_torch_function().apply, student)
    return float(not torch.autograd.gradcheck(function, tensors, raise_exception=False, fast_mode=fast_mode))


def gradcheck_fast(student: Student) -> float:
    """The same with random projections in place of the Jacobian."""
    return gradcheck(student, fast_mode=True)


def hips(student: Student) -> float:
    """1 if autograd's check_grads fails, the backward being that of a primitive."""
    extend = importlib.import_module("autograd.extend")
    test_util = importlib.import_module("autograd.test_util")

    @extend.primitive
    def function(*arrays: Array) -> Array:
        return student.run(*arrays)[0]

    def pulled_back(argnums: Any, ans: Any, arrays: Any, kwargs: Any) -> Function:
        def vjp(dout: Array) -> Any:
            found = student.gradients(dout, *arrays)
            return tuple(np.asarray(found[i]) for i in argnums)

        return vjp

    extend.defvjp_argnums(function, pulled_back)
    np.random.seed(student.seed)  # noqa: NPY002 (autograd draws from the global generator)
    which = tuple(range(len(student.arrays)))
    test_util.check_grads(function, which, modes=["rev"], order=1)(*student.arrays)
    return 0.0


def report_of(student: Student) -> Report:
    """What this project's referee says."""
    return npformer.check(student.forward, student.backward, student.point, rng=student.rng())


@dataclass(frozen=True)
class Protocol:
    """A way of checking: what it is called, the limit that its number has to stay below, what it needs."""

    name: str
    constants: str
    number: Callable[[Student], float]
    limit: float
    needs: str = ""

    @property
    def missing(self) -> bool:
        """Is the package that it needs not there?"""
        return bool(self.needs) and importlib.util.find_spec(self.needs) is None


HAPPY = "central h = 1e-5, max abs(a - n) / max(1e-8, abs(a) + abs(n))"
PROTOCOLS = (
    Protocol("the shape", "equal", shapes, 0.5),
    Protocol("not None", "one for each input", not_none, 0.5),
    Protocol("dout of ones", "central h = 1e-5, absolute 1e-5", ones, 1e-5),
    Protocol("one random entry of each input", "central h = 1e-5, relative 1e-2", one_entry, 1e-2),
    Protocol("cs231n, probably wrong above 1e-2", HAPPY, cs231n, 1e-2),
    Protocol("cs231n, happy below 1e-7", HAPPY, cs231n, 1e-7),
    Protocol("torch gradcheck", "eps 1e-6, atol 1e-5, rtol 1e-3", gradcheck, 0.5, "torch"),
    Protocol("torch gradcheck, fast_mode", "eps 1e-6, atol 1e-5, rtol 1e-3", gradcheck_fast, 0.5, "torch"),
    Protocol("scipy check_grad", "forward 1.5e-8, norm < 5e-7", scipy_check_grad, 5e-7),
    Protocol("autograd check_grads", "central 1e-6, 1e-6 absolute or relative", hips, 0.5, "autograd"),
)
REFEREE = "npformer.check"
