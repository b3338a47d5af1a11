"""What a point cannot show: read off the arrays alone.

A gradient check passes or fails at one point with one cotangent. Some points let mistakes through: gamma = 1
hides a forgotten gamma, a square weight a transpose, ids without repeats an overwriting scatter.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .verdicts import BlindSpot

Array = npt.NDArray[Any]

ZERO = 1e-14  # of the largest gradient
FAINT_BESIDE = 1e-3  # of the largest gradient: from there on, one is judged by the others' size
FAINT, FAINT_NARROW = 1e-6, 1e-2  # an error of this share must show; where the input is float32 or narrower
PROPORTIONAL = 1e-6  # of dout: what may be left of it beside a multiple of an input (float32 has 1e-7)
TINY_EPS = 1e-10  # of eps: at inputs of order 1, where it stands makes less than rounding does

PROBABILITIES = ("p", "p_drop", "drop_prob", "dropout", "dropout_p", "dropout_prob", "dropout_rate")
NEVER_LEARNED = ("eps", "epsilon", "smoothing", "label_smoothing", "base")
SWITCHES = ("training", "train", "is_training")


def of_inputs(inputs: Mapping[str, Any]) -> list[BlindSpot]:
    """What the inputs of a check hide.

    Parameters
    ----------
    inputs : mapping of str to anything

    Returns
    -------
    list of BlindSpot

    Examples
    --------
    >>> import numpy as np
    >>> point = {"gamma": np.ones(3), "w": np.eye(2), "ids": np.array([0, 2])}
    >>> [spot.identifier for spot in of_inputs(point)]
    ['constant-input', 'equal-sizes', 'ids-without-repeats']
    """
    spots: list[BlindSpot] = []
    for name, x in inputs.items():
        if not isinstance(x, np.ndarray):
            continue
        if x.dtype.kind == "f":
            spots += _of_floats(name, x)
        elif x.dtype.kind in "iu" and x.size and np.unique(x).size == x.size:
            sentence = (
                f"{name} has no value twice: a gradient that overwrites in place of adding up would pass."
            )
            spots.append(BlindSpot("ids-without-repeats", sentence, f"repeat a value in {name}", name))
        elif x.dtype.kind == "b" and x.size and x.all() == x.any():
            sentence = f"{name} is {bool(x.flat[0])} everywhere: a gradient that ignores it may pass."
            spots.append(BlindSpot("constant-mask", sentence, f"mix True and False in {name}", name))
    return spots


def _of_floats(name: str, x: Array) -> list[BlindSpot]:
    spots: list[BlindSpot] = []
    if x.size > 1 and not x.any():
        sentence = f"{name} is zero everywhere: any factor of {name} in a gradient is invisible."
        spots.append(BlindSpot("zero-input", sentence, f"draw {name} at random", name))
    elif x.size > 1 and (x == x.flat[0]).all():
        value = float(x.flat[0])
        hidden = f"a forgotten factor {name}, or one in the wrong place, would pass"
        if value != 1:
            hidden = f"a factor {name} taken at the wrong index would pass"
        sentence = f"{name} is {value:g} everywhere: {hidden}."
        spots.append(
            BlindSpot("constant-input", sentence, f"draw {name} at random, e.g. between 0.5 and 1.5", name)
        )
    if 1 in x.shape:
        sentence = f"{name} has shape {x.shape}: a sum, mean or softmax over an axis of size 1 shows nothing."
        spots.append(BlindSpot("size-1-axis", sentence, "make every axis longer than 1", name))
    sizes = [n for n in x.shape if n > 1]
    if len(set(sizes)) < len(sizes):
        sentence = f"{name} has shape {x.shape}: a transpose, or a sum over the wrong axis, keeps the shape."
        spots.append(BlindSpot("equal-sizes", sentence, "make all sizes different", name))
    return spots


def of_settings(forward: Callable[..., Any], inputs: Mapping[str, Any]) -> list[BlindSpot]:
    """What options of the forward that are off, or as good as off, hide.

    Parameters
    ----------
    forward : callable
        Its defaults are read where `inputs` says nothing.
    inputs : mapping of str to anything

    Returns
    -------
    list of BlindSpot

    Examples
    --------
    >>> def attention(q, k, v, mask=None, dropout_p=0.0):
    ...     ...
    >>> [spot.identifier for spot in of_settings(attention, {})]
    ['no-mask', 'dropout-off']
    """
    spots = []
    for name, value in (_defaults(forward) | dict(inputs)).items():
        if isinstance(value, np.ndarray) and value.ndim:
            continue
        if value is None and "mask" in name.lower():
            sentence = f"{name} is None: what a masked position does to the gradients was not run."
            spots.append(BlindSpot("no-mask", sentence, f"give a {name} that hides some positions", name))
        elif name in PROBABILITIES and not isinstance(value, str) and value is not None and value == 0:
            sentence = (
                f"{name} is 0: nothing is dropped, so a mask that is drawn again, forgotten, or not divided "
                "out would pass."
            )
            spots.append(BlindSpot("dropout-off", sentence, f"set {name} to 0.3 or so", name))
        elif name in SWITCHES and value is False:
            sentence = f"{name} is False: what is done in training alone (dropout) was not run."
            spots.append(BlindSpot("dropout-off", sentence, f"set {name} to True", name))
        elif name in ("eps", "epsilon") and isinstance(value, (int, float)) and 0 <= value <= TINY_EPS:
            sentence = f"{name} is {value:g}: whether it is there, and where it stands, is below rounding."
            spots.append(BlindSpot("tiny-eps", sentence, f"set {name} to 1e-3 for the check", name))
    return spots


def of_choice(inputs: Mapping[str, Any], wrt: Iterable[str]) -> list[BlindSpot]:
    """Differentiable inputs that are not among those to check.

    Returns
    -------
    list of BlindSpot
    """
    floats = [k for k, x in inputs.items() if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
    return [
        BlindSpot(
            "not-checked",
            f"The gradient of {name} was not checked: wrt leaves it out.",
            f"check {name} too, or make it a constant of the forward",
            name,
        )
        for name in floats
        if name not in set(wrt)
    ]


def of_numbers(inputs: Mapping[str, Any]) -> list[BlindSpot]:
    """Python floats, for which no gradient was returned; settings that nobody learns are left out.

    Returns
    -------
    list of BlindSpot

    Examples
    --------
    >>> [spot.input for spot in of_numbers({"temperature": 0.5, "eps": 1e-5, "n_heads": 2})]
    ['temperature']
    """
    return [
        BlindSpot(
            "not-checked",
            f"The gradient of {name} was not checked: it is a Python float, and the backward returned none.",
            f"give {name} as np.array({float(value)!r}), or make it a constant of the forward",
            name,
        )
        for name, value in inputs.items()
        if isinstance(value, float) and name not in (*PROBABILITIES, *NEVER_LEARNED)
    ]


def of_gradients(
    gradients: Mapping[str, Array], noise: float, allowed: Mapping[str, tuple[float, int]] | None = None
) -> list[BlindSpot]:
    """What true gradients that are zero, or small beside the others, hide.

    Parameters
    ----------
    gradients : mapping of str to ndarray
        The numeric ones.
    noise : float
        Norm of dout · out: the rounding of a zero is below a few eps of it.
    allowed : mapping of str to (float, int), optional
        The difference that was allowed, and how many bytes a number of the input has.

    Returns
    -------
    list of BlindSpot
    """
    scale = max((float(np.max(np.abs(g), initial=0.0)) for g in gradients.values()), default=0.0)
    spots = []
    for name, gradient in gradients.items():
        largest = float(np.max(np.abs(gradient), initial=0.0))
        tolerance, width = (allowed or {}).get(name, (0.0, 8))
        if gradient.size and largest <= max(ZERO * scale, 1e-13 * noise):
            sentence = (
                f"The true gradient of {name} is zero here: any factor in it could be wrong, or missing."
            )
            remedy = f"choose a point where {name} matters (if there is one)"
            spots.append(BlindSpot("zero-gradient", sentence, remedy, name))
        elif (
            largest < FAINT_BESIDE * max(scale, noise)
            and tolerance > (FAINT if width >= 8 else FAINT_NARROW) * largest
        ):
            sentence = (
                f"The true gradient of {name} is at most {largest:.0e}, beside {max(scale, noise):.0e} in "
                f"the others and the outputs: an error of {100 * tolerance / largest:.1g} % of it would pass."
            )
            remedy = "choose a point where the gradients are of one size (weights that are not small)"
            spots.append(BlindSpot("faint-gradient", sentence, remedy, name))
    return spots


def of_call(out: Array, dout: Array) -> list[BlindSpot]:
    """What the output and the cotangent hide; both joined to one array.

    Returns
    -------
    list of BlindSpot
    """
    spots = []
    if dout.size > 1 and (dout == dout.flat[0]).all():
        sentence = (
            f"dout is {float(dout.flat[0]):g} everywhere: terms that sum to zero over a row "
            "(softmax, layer norm) vanish, and a missing upstream factor would pass."
        )
        spots.append(BlindSpot("constant-cotangent", sentence, "draw dout at random"))
    if not np.isfinite(out).all():
        count = int(np.sum(~np.isfinite(out)))
        sentence = (
            f"{count} of {out.size} outputs are not finite: nothing that flows through them was checked."
        )
        spots.append(BlindSpot("non-finite-output", sentence, "choose a point where all outputs are finite"))
    return spots


def of_cotangent(inputs: Mapping[str, Any], douts: Iterable[Array]) -> list[BlindSpot]:
    """What a cotangent hides that is one of the inputs, or a multiple of it.

    Parameters
    ----------
    inputs : mapping of str to anything
    douts : iterable of ndarray
        One for each output.

    Returns
    -------
    list of BlindSpot

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([1.0, -2.0, 3.0])
    >>> [spot.identifier for spot in of_cotangent({"x": x}, [-2 * x])]
    ['cotangent-of-input']
    """
    spots = []
    for dout in douts:
        for name, x in inputs.items():
            if isinstance(x, np.ndarray) and x.dtype.kind == "f" and _proportional(dout, x):
                sentence = (
                    f"dout is a multiple of {name}: a gradient that takes one for the other would pass, "
                    "and that of a norm is zero."
                )
                remedy = "draw dout from another stream of random numbers than the inputs"
                spots.append(BlindSpot("cotangent-of-input", sentence, remedy, name))
    return spots


def _proportional(dout: Array, x: Array) -> bool:
    if dout.dtype.kind not in "fiu" or dout.size != x.size or x.size < 2:
        return False
    if not (np.isfinite(dout).all() and np.isfinite(x).all()):
        return False
    a, b = (y.ravel().astype(np.float64) / (float(np.max(np.abs(y))) or 1.0) for y in (dout, x))
    if not (a.any() and b.any()):
        return False
    left = a - b * float(a @ b) / float(b @ b)
    return bool(np.linalg.norm(left) <= PROPORTIONAL * np.linalg.norm(a))


def _defaults(forward: Callable[..., Any]) -> dict[str, Any]:
    try:
        parameters = inspect.signature(forward).parameters.values()
    except (TypeError, ValueError):
        return {}
    return {p.name: p.default for p in parameters if p.default is not p.empty}
