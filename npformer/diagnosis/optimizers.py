"""The referee on an optimizer's step: is it the rule, and if not, which mistake is in it?

The rules are written a line for every quantity, as the textbook's ops are; a mistake is a line rewritten. The
given step is run for several steps on random gradients, some of them zero or tiny, and the parameters that
come out are compared with what the rule, and each mistake alone and in pairs, gives.
"""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import CodeType
from typing import Any

import numpy as np
import numpy.typing as npt

from ..gradcheck import GradientError

Array = npt.NDArray[Any]
MATCH = 1e-10  # of the way that the parameters went
ROUNDED, ROUNDED_WAY = 4.0, 1e-6  # roundings of a parameter for each step, up to this part of the way
SINGLE = 1e-4  # of it, for float32: a way is a part of the parameter

HYPERPARAMETERS = {
    "sgd": {"lr": 0.05, "momentum": 0.7},
    "adam": {"lr": 0.05, "beta1": 0.8, "beta2": 0.95, "eps": 1e-3},
    "adamw": {"lr": 0.05, "beta1": 0.8, "beta2": 0.95, "eps": 1e-3, "weight_decay": 0.1},
}
DECAYS = (0.1, 0.05, 0.01, 5e-3, 1e-3, 5e-4, 1e-4, 1e-5)  # customary where a rule has none
# what optimizers are given elsewhere, by default
CUSTOMARY: dict[str, tuple[float, ...]] = {
    "lr": (1e-3, 1e-2, 1e-1, 3e-4, 1e-4),
    "momentum": (0.9, 0.0),
    "beta1": (0.9,),
    "beta2": (0.999, 0.99, 0.98, 0.95),
    "eps": (1e-8, 1e-7, 1e-6, 1e-12),
    "weight_decay": (0.01, 0.0),
}
T_FROM_ZERO = (
    "step-count-from-zero: t counts from 1; with t = 0 the bias correction divides by 1 - beta^0 = 0."
)
FROM_ZERO = {"adam": T_FROM_ZERO, "adamw": T_FROM_ZERO}


def sgd(x: Array, g: Array, m: Array, v: Array, t: int, lr: float, momentum: float) -> Any:
    """Gradient descent with momentum, as PyTorch writes it."""
    m_new = momentum * m + g
    v_new = v
    m_used = m_new
    step = lr * m_used
    x_new = x - step
    return x_new, m_new, v_new


def adam(
    x: Array, g: Array, m: Array, v: Array, t: int, lr: float, beta1: float, beta2: float, eps: float
) -> Any:
    """Kingma, Ba: Adam, arXiv:1412.6980, algorithm 1."""
    g_used = g
    m_new = beta1 * m + (1 - beta1) * g_used
    squared = g_used * g_used
    v_new = beta2 * v + (1 - beta2) * squared
    m_used = m_new
    v_used = v_new
    t_used = t
    m_hat = m_used / (1 - beta1**t_used)
    v_hat = v_used / (1 - beta2**t_used)
    root = np.sqrt(v_hat) + eps
    step = lr * m_hat / root
    decay = 0 * x
    x_new = x - step - decay
    return x_new, m_new, v_new


def adamw(
    x: Array,
    g: Array,
    m: Array,
    v: Array,
    t: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
) -> Any:
    """Loshchilov, Hutter: Decoupled Weight Decay Regularization, arXiv:1711.05101, algorithm 2."""
    g_used = g
    m_new = beta1 * m + (1 - beta1) * g_used
    v_new = beta2 * v + (1 - beta2) * g_used * g_used
    t_used = t
    m_hat = m_new / (1 - beta1**t_used)
    v_hat = v_new / (1 - beta2**t_used)
    root = np.sqrt(v_hat) + eps
    step = lr * m_hat / root
    decay = lr * weight_decay * x
    x_new = x - step - decay
    return x_new, m_new, v_new


RULES: dict[str, Callable[..., Any]] = {"sgd": sgd, "adam": adam, "adamw": adamw}

ADAM: dict[str, dict[str, str]] = {
    "bias-correction-missing": {"m_hat": "m_used", "v_hat": "v_used"},
    "bias-correction-of-m-missing": {"m_hat": "m_used"},
    "bias-correction-of-v-missing": {"v_hat": "v_used"},
    "bias-correction-late": {
        "m_hat": "m_used / (1 - beta1 ** (t - 1)) if t > 1 else m_used",
        "v_hat": "v_used / (1 - beta2 ** (t - 1)) if t > 1 else v_used",
    },
    "step-count-stuck": {"t_used": "1"},
    "eps-inside-the-root": {"root": "np.sqrt(v_hat + eps)"},
    "eps-before-correction": {"root": "np.sqrt(v_hat) + eps / np.sqrt(1 - beta2 ** t_used)"},
    "ascent": {"x_new": "x + step - decay"},
    "root-missing": {"root": "v_hat + eps"},
    "second-moment-of-m": {"squared": "m_new * m_new"},
    "update-before-moments": {"m_used": "m", "v_used": "v"},
    "betas-swapped": {
        "m_new": "beta2 * m + (1 - beta2) * g_used",
        "v_new": "beta1 * v + (1 - beta1) * squared",
        "m_hat": "m_used / (1 - beta2 ** t_used)",
        "v_hat": "v_used / (1 - beta1 ** t_used)",
    },
}
MISTAKES: dict[str, dict[str, dict[str, str]]] = {
    "sgd": {
        "momentum-damped": {"m_new": "momentum * m + (1 - momentum) * g"},
        "update-before-momentum": {"m_used": "m"},
        "nesterov": {"m_used": "g + momentum * m_new"},
        "ascent": {"x_new": "x + step"},
    },
    "adam": ADAM,
    "adamw": {
        "l2-for-decoupled-decay": {"g_used": "g + weight_decay * x", "decay": "0 * x"},
        "decay-without-rate": {"decay": "weight_decay * x"},
        "decay-missing": {"decay": "0 * x"},
        "decay-sign": {"decay": "-lr * weight_decay * x"},
        "decay-after-the-step": {"decay": "lr * weight_decay * (x - step)"},
        "eps-inside-the-root": {"root": "np.sqrt(v_hat + eps)"},
        "root-missing": {"root": "v_hat + eps"},
        "bias-correction-missing": {"m_hat": "m_new", "v_hat": "v_new"},
        "step-count-stuck": {"t_used": "1"},
        "ascent": {"x_new": "x + step - decay"},
    },
}


@dataclass(frozen=True)
class OptimizerReport:
    """What came out: `names` are the mistakes that explain the difference, empty where none does."""

    reference: str
    passed: bool
    names: frozenset[str]
    sentence: str
    hyperparameters: Mapping[str, float]

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        outcome = "passed" if self.passed else "FAILED"
        values = _listed(self.hyperparameters)
        return f"optimizer check of {self.reference} with {values}: {outcome}\n\n{self.sentence}"

    def raise_if_failed(self) -> None:
        """Raise GradientError, an AssertionError, unless it passed."""
        if not self.passed:
            raise GradientError("\n" + str(self))


def check_optimizer(
    step: Callable[[Array, Array, Any], tuple[Array, Any]],
    reference: str = "adamw",
    *,
    steps: int = 6,
    rng: np.random.Generator | None = None,
    **hyperparameters: float,
) -> OptimizerReport:
    """Compare an optimizer's step with the rule, and name the mistake in it.

    Parameters
    ----------
    step : callable
        ``step(params, grads, state)`` returns the new parameters and the new state; the first state is None.
        It has to use the hyperparameters that are given here (or the defaults, `HYPERPARAMETERS`). Of an
        object with a state of its own: ``lambda p, g, state: (optimizer.step(p, g), None)``.
    reference : {"sgd", "adam", "adamw"}
    steps : int
    rng : numpy.random.Generator, optional
        Draws parameters and gradients; seeded with 0 by default.
    **hyperparameters
        lr, momentum; lr, beta1, beta2, eps, weight_decay.

    Returns
    -------
    OptimizerReport

    Raises
    ------
    ValueError
        If there is no such rule or hyperparameter.

    Examples
    --------
    >>> def adam_without_correction(x, g, state):
    ...     m, v = state or (0, 0)
    ...     m, v = 0.8 * m + 0.2 * g, 0.95 * v + 0.05 * g * g
    ...     return x - 0.05 * m / (np.sqrt(v) + 1e-3), (m, v)
    >>> sorted(check_optimizer(adam_without_correction, "adam").names)
    ['bias-correction-missing']
    """
    if steps < 1:
        raise ValueError(f"check_optimizer: steps: expected a positive number, got {steps}")
    if reference not in RULES:
        raise ValueError(f"check_optimizer: reference: expected one of {', '.join(RULES)}, got {reference!r}")
    for name in hyperparameters:
        if name not in HYPERPARAMETERS[reference]:
            expected = ", ".join(HYPERPARAMETERS[reference])
            raise ValueError(f"check_optimizer: {name}: expected one of {expected}, got {name!r}")
    values = {**HYPERPARAMETERS[reference], **hyperparameters}
    rng = rng if rng is not None else np.random.default_rng(0)
    x = rng.standard_normal(6)
    gradients = rng.standard_normal((steps, 6)) * [1, 1, 1e-3, 1e-6, 1, 1]  # eps shows where g is small
    gradients[:, 4] = 0

    def told(sentence: str, names: Iterable[str] = (), passed: bool = False) -> OptimizerReport:
        return OptimizerReport(reference, passed, frozenset(names), sentence, values)

    given, why = _run(step, x, gradients)
    right = _replay(reference, {}, x, gradients, values)
    way = float(np.max(np.abs(right - x)))
    rounding = ROUNDED * steps * float(np.finfo(np.float64).eps * np.max(np.abs(x)))
    # (x (1 - lr weight_decay) is rounded as x is, however small the rate)
    allowed = max(MATCH * way, min(rounding, ROUNDED_WAY * way))
    if why:
        counted = why.startswith("Step 1 gave") and "every entry" in why and reference in FROM_ZERO
        return told(f"{why} {FROM_ZERO[reference]}", ["step-count-from-zero"]) if counted else told(why)
    error = np.abs(given - right)
    if np.max(error) <= allowed:
        return told(f"{steps} steps agree with the rule.", passed=True)
    first = tuple(int(i) for i in np.argwhere(~(error <= allowed))[0])
    off = (
        f"Step {first[0] + 1} differs, first at entry {first[1]}: {given[first]:.6g} for {right[first]:.6g}."
    )
    if np.max(error) <= SINGLE * way and np.array_equal(given, given.astype(np.float32)):
        cause = (
            f"float32-inside: all {steps} steps are the rule's, rounded to float32. Keep the dtype of params."
        )
        return told(f"{off} {cause}", ["float32-inside"])
    known = MISTAKES[reference]
    for count in (1, 2):
        for names in itertools.combinations(known, count):
            rewrites: dict[str, str] = {}
            for name in names:
                rewrites |= known[name] if not rewrites.keys() & known[name].keys() else {}
            if sum(len(known[name]) for name in names) != len(rewrites):
                continue  # both rewrite one line
            wrong = _replay(reference, rewrites, x, gradients, values)
            if np.max(np.abs(wrong - given)) <= min(allowed, 1e-4 * float(np.max(error))):
                lines = " and ".join(f"`{target} = {text}`" for target, text in rewrites.items())
                instead = " and ".join(f"`{_line(reference, target)}`" for target in rewrites)
                cause = f"{' + '.join(names)}: all {steps} steps are those of {lines}, for {instead}."
                return told(f"{off} {cause}", names)
    for name, rewrites in _decays_added(reference):
        if np.max(np.abs(_replay(reference, rewrites, x, gradients, values) - given)) <= allowed:
            lines = " and ".join(f"`{target} = {text}`" for target, text in rewrites.items())
            cause = f"{name}: all {steps} steps are those of {lines}; {reference} has no weight decay."
            return told(f"{off} {cause}", [name])
    for other in _other_hyperparameters(reference, values):
        if np.max(np.abs(_replay(reference, {}, x, gradients, other) - given)) <= allowed:
            cause = (
                f"other-hyperparameters: all {steps} steps are those of the rule with {_listed(other)}. Give "
                "them to check_optimizer, or use those of the check."
            )
            return told(f"{off} {cause}", ["other-hyperparameters"])
    return told(f"{off} No known mistake gives these steps.")


def _decays_added(reference: str) -> Iterator[tuple[str, dict[str, str]]]:
    """A weight decay where the rule has none: in the gradient, or decoupled."""
    for rate in DECAYS if reference == "adam" else ():
        yield "l2-added", {"g_used": f"g + {rate:g} * x"}
        yield "decoupled-decay-added", {"decay": f"lr * {rate:g} * x"}


def _other_hyperparameters(reference: str, values: Mapping[str, float]) -> Iterator[dict[str, float]]:
    """What a step of somebody's may have by default."""
    names = list(values)
    choices = [dict.fromkeys([values[name], *CUSTOMARY[name]]) for name in names]
    for chosen in itertools.product(*choices):
        yield dict(zip(names, chosen, strict=True))


def _listed(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} = {value:g}" for name, value in values.items())


def _run(step: Callable[..., Any], x: Array, gradients: Array) -> tuple[Array, str]:
    """The parameters after each step, and what else was wrong, in a sentence."""
    current, state, path = x.copy(), None, []
    for t, g in enumerate(gradients, start=1):
        handed = g.copy()
        result = step(current, handed, state)
        if not (isinstance(result, tuple) and len(result) == 2):
            return x, f"Step {t} returned {type(result).__name__}, expected (params, state)."
        current, state = np.asarray(result[0]), result[1]
        if not np.array_equal(handed, g):
            return x, f"Step {t} changed the gradient in place: whoever uses it next gets other numbers."
        if current.shape != x.shape:
            return x, f"Step {t} returned parameters of shape {current.shape}, expected {x.shape}."
        if not np.isfinite(current).any():
            return x, f"Step {t} gave {current[0]} at every entry."
        if not np.isfinite(current).all():
            where = int(np.flatnonzero(~np.isfinite(current))[0])
            return x, f"Step {t} gave {current[where]} at entry {where}, where the gradient was {g[where]:g}."
        path.append(current.copy())
        current = current.copy()
    return np.stack(path), ""


def _replay(
    reference: str, rewrites: Mapping[str, str], x: Array, gradients: Array, values: Mapping[str, float]
) -> Array:
    """The parameters after each step of the rule with some lines rewritten."""
    m, v, path = np.zeros_like(x), np.zeros_like(x), []
    wrong = {target: compile(text, "<mistake>", "eval") for target, text in rewrites.items()}
    with np.errstate(all="ignore"):
        for t, g in enumerate(gradients, start=1):
            names: dict[str, Any] = {"x": x, "g": g, "m": m, "v": v, "t": t, **values}
            for target, (code, _) in _lines(reference).items():
                names[target] = eval(wrong.get(target, code), {"np": np}, names)
            x, m, v = names["x_new"], names["m_new"], names["v_new"]
            path.append(x)
    return np.stack(path)


@functools.cache
def _lines(reference: str) -> dict[str, tuple[CodeType, str]]:
    function = ast.parse(textwrap.dedent(inspect.getsource(RULES[reference]))).body[0]
    assert isinstance(function, ast.FunctionDef)
    found = {}
    for statement in function.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            code = compile(ast.Expression(statement.value), "<rule>", "eval")
            found[statement.targets[0].id] = (code, ast.unparse(statement))
    return found


def _line(reference: str, target: str) -> str:
    return _lines(reference)[target][1]
