"""The words of the referee: verdicts, what was found, and how large a difference is still rounding."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Verdict(Enum):
    """What is said of one gradient. The value is what it means, in words.

    The order is that of importance: where several hold, the first is the verdict and all are reported.

    Examples
    --------
    >>> Verdict.KINK.name, Verdict.KINK.words
    ('KINK', 'the function has a kink here: the slopes to the left and to the right differ')
    """

    NONDETERMINISTIC = "the same call gives different numbers"
    SHAPE = "the gradient does not have the shape of its input"
    NONFINITE = "the gradient is not finite where the numeric one is"
    WRONG = "the gradient differs from the numeric one"
    INPUT_MUTATED = "an input was changed in place"
    DOUT_MUTATED = "the backward changed dout in place"
    ALIASED = "the gradient shares its memory with another array"
    DTYPE = "the gradient does not have the dtype of its input"
    PRECISION = "the gradient is right to float32's accuracy only: float32 inside"
    CANNOT_TELL = "the numeric derivative is not good enough to judge"
    KINK = "the function has a kink here: the slopes to the left and to the right differ"
    OK = "the gradient agrees with the numeric one"

    @property
    def words(self) -> str:
        """What the verdict means."""
        return str(self.value)

    @property
    def rank(self) -> int:
        """0 for the gravest."""
        return list(Verdict).index(self)


@dataclass(frozen=True)
class Finding:
    """One observation, stated as a fact."""

    verdict: Verdict
    sentence: str
    passed: bool = False


@dataclass(frozen=True)
class Hypothesis:
    """What may have caused a wrong gradient.

    Parameters
    ----------
    identifier : str
        Stable, e.g. "mean-for-sum".
    fact : str
        The structure that was observed.
    cause : str
        What typically does it.
    share : float
        The part of the error it explains, 0 to 1.
    fix : str
        What to write in its place, in one line.
    step : str
        The step of the op's derivation it is in (the number on the backward's line), "" where none is known.
    """

    identifier: str
    fact: str
    cause: str
    share: float
    fix: str
    step: str = ""


@dataclass(frozen=True)
class Worst:
    """The entry where given and numeric differ most."""

    index: tuple[int, ...]
    given: float
    numeric: float
    error: float  # |given - numeric| over the scale of the tensor


@dataclass(frozen=True)
class BlindSpot:
    """Something that the checked point could not have shown.

    Parameters
    ----------
    identifier : str
        Stable, e.g. "equal-sizes".
    sentence : str
        The fact and what it hides.
    remedy : str
        A point that would show it.
    input : str
        The input it is about, or "".
    """

    identifier: str
    sentence: str
    remedy: str
    input: str = ""


@dataclass(frozen=True)
class Result:
    """What was found for one differentiable input."""

    name: str
    verdict: Verdict
    passed: bool
    findings: tuple[Finding, ...]
    shape: tuple[int, ...]
    method: str = ""  # of the reference: "complex step" or "9-point stencil"
    error: float = float("nan")  # of the worst entry
    tolerance: float = float("nan")  # allowed there; both over `scale`
    scale: float = float("nan")  # of the tensor
    worst: Worst | None = None
    given: Array | None = field(default=None, repr=False, compare=False)
    numeric: Array | None = field(default=None, repr=False, compare=False)
    numeric_error: Array | None = field(default=None, repr=False, compare=False)
    hypotheses: tuple[Hypothesis, ...] = ()

    @property
    def sentence(self) -> str:
        """Everything that was found, in one line."""
        return " ".join(finding.sentence for finding in self.findings)


@dataclass(frozen=True)
class Evidence:
    """What an expert gets to see of a failed check. Everything in it is a copy.

    Parameters
    ----------
    op : str or None
        What the check was told that the forward is.
    wrong : tuple of str
        The inputs whose gradient has wrong numbers (or another shape, or none).
    verdicts : mapping of str to Verdict
    given, numeric : mapping of str to ndarray
        Of every checked input; a given one may be None.
    inputs : mapping of str to anything
    out, dout, cache
        As the forward returned them and the backward got them.
    forward, backward : callable
    numeric_for : callable
        Returns the numeric gradient of one input, by name, for another cotangent.
    output_at : callable
        Returns the output, as one array, where some of the inputs are others; NaN where the forward fails.
    told_apart : bool
        Could the gradients be told apart? Otherwise none is given, though some were returned.
    """

    op: str | None
    wrong: tuple[str, ...]
    verdicts: Mapping[str, Verdict]
    given: Mapping[str, Array | None]
    numeric: Mapping[str, Array]
    inputs: Mapping[str, Any]
    out: Any
    dout: Any
    cache: Any
    forward: Callable[..., Any]
    backward: Callable[..., Any]
    numeric_for: Callable[[str, Array], Array]
    output_at: Callable[[Mapping[str, Any]], Array]
    told_apart: bool = True


Expert = Callable[[Evidence], Mapping[str, Sequence[Hypothesis]]]


@dataclass(frozen=True)
class Reference:
    """The numeric gradient of one input, and how far it can be trusted."""

    method: str
    gradient: Array
    error: Array  # estimate per entry
    low: Array  # at a kink the smallest slope that any side gives, else the gradient
    high: Array
    kinks: Array  # bool


# A right backward rounds too. In float64 a few thousand roundings are allowed, which is far less than any
# mistake in a formula does; the estimated error of the reference is added, with room for its own luck
# (measured: the true error of the stencil is at most four times its estimate).
EPS = 2.2e-16
BASE = {"complex step": 1e-12, "9-point stencil": 1e-11}
LUCK = 10.0
BASE_FLOAT32 = 2e-5
TOO_ROUGH = 1e-7  # a reference with a larger error of the scale cannot tell
TOO_ROUGH_FLOAT32 = 1e-4


LARGE = 1e3  # inputs larger than that (a mask of -1e9) excuse no more


def digits_lost(x: Array) -> float:
    """How much more than rounding is left of inputs of this size when their mean is taken off, at most."""
    size = np.abs(x)
    return min(max(1.0, float(np.max(size, initial=0.0, where=np.isfinite(size)))), LARGE)


def zero_like(reference: Reference, noise: float, eps: float) -> bool:
    """Is the numeric gradient no more than what rounding outputs of this size leaves of a zero?"""
    known = np.isfinite(reference.gradient)
    size = np.abs(reference.gradient[known])
    largest = float(np.max(size, initial=0.0))
    # (what a division by a small norm magnifies is more than that, but still within what the stencil knows)
    lost = largest <= 500 * eps * noise and bool((size <= reference.error[known]).all())
    return lost or largest <= 8 * eps * noise


def tolerances(reference: Reference, x: Array, scale: float, scale_all: float, noise: float) -> Array:
    """The difference that is allowed at every entry of one gradient.

    Parameters
    ----------
    reference : Reference
    x : ndarray
        The input as it was given: float32 is judged at float32's accuracy.
    scale : float
        max(max |numeric|, 1e-3 · scale_all).
    scale_all : float
        The largest |numeric| over all inputs.
    noise : float
        Norm of dout · out: what a gradient rounds like that is exactly zero (a key bias). Where the gradient
        is clearly not zero, it excuses little.

    Returns
    -------
    ndarray, shape of the gradient
    """
    if x.dtype.itemsize < 8:
        eps = float(np.finfo(x.dtype).eps)
        largest = float(np.max(np.abs(x), initial=0.0))
        of_zero = 4 * eps * noise if zero_like(reference, noise, eps) else min(4 * eps * noise, 1e-3 * scale)
        by_rounding = eps * (4 * largest * scale + 8 * scale_all) + of_zero
        return np.asarray(BASE_FLOAT32 * (eps / 1.2e-7) * scale + by_rounding + LUCK * reference.error)
    if reference.method == "9-point stencil":  # (what is left of large numbers has fewer digits)
        noise *= digits_lost(x)
    by_rounding = 64 * EPS * noise
    if zero_like(reference, noise, EPS):  # what is left of a zero says how much may be
        left = np.abs(reference.gradient[np.isfinite(reference.gradient)])
        by_rounding = max(by_rounding, 2 * float(np.max(left, initial=0.0)))
    else:  # (4: what a difference of numbers like the outputs leaves)
        by_rounding = max(min(by_rounding, 1e-9 * scale), min(4 * EPS * noise, 1e-2 * scale))
    if reference.method == "complex step":
        return np.asarray(
            BASE[reference.method] * scale + by_rounding + np.minimum(4 * reference.error, 1e-9 * scale)
        )
    return np.asarray(BASE[reference.method] * scale + by_rounding + LUCK * reference.error)
