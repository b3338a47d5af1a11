"""The proof of whole models: a small one with its loss, every parameter by name.

The model is the one that trains, through the same objective and the same backward: two layers, dropout on,
padded sequences and one that is nothing but padding, outputs at the targets alone. What is particular to
each kind of model, its points, is in encoder.py, decoder.py, encoder_decoder.py and so on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..gradcheck import error_of
from ..gradcheck.slope import EPS, FIRST_STEP, HALVINGS, STENCIL, slope, wide_slope
from ..models.parameters import Parameters
from . import golden
from .cases import FixedRandom, KeepRandom
from .ops import largest, relative
from .resumed import Resumed
from .rows import Row
from .tolerances import COMPLEX_STEP_OF_A_MODEL

Array = npt.NDArray[Any]

COMPLEX_STEP = 1e-30  # its square is far below the rounding of 1
DIRECTIONS = 8  # random directions per parameter for the finite differences
CLEAR = 3e-11  # of the largest slope: a difference from the gradient that calls for a closer look
SHARPNESS = 0.7  # queries a little smaller than keys, so that attention is not nearly one-hot


@dataclass(frozen=True)
class Point:
    """A model with its objective, parameters and batch, and the source of its dropout.

    Attributes
    ----------
    model : Encoder, Decoder, EncoderDecoder or Electra
        Whose own parameters are not used.
    objective : MaskedLM, or any other
    params : Parameters
    batch : tuple
        The objective's.
    random : callable
        Makes the source of dropout of one pass, always in the same state.
    zero : frozenset of str
        Parameters whose gradient is known to be exactly zero.
    apart : frozenset of str
        Those of `zero` that the loss has nothing to do with: no derivative is taken.
    """

    model: Any
    objective: Any
    params: Parameters
    batch: Any
    random: Callable[[], Any]
    zero: frozenset[str] = frozenset()
    apart: frozenset[str] = frozenset()

    def loss(self, params: Any, *, model: Any = None, random: Any = None) -> Any:
        """Return the mean loss over the targets at `params`, real or complex, by the objective itself."""
        n = self.batch.n_targets
        model = self.model if model is None else model
        rng = self.random() if random is None else random
        metrics = self.objective.loss_and_grad(model, self.batch, None, normalizer=n, rng=rng, params=params)
        return np.sum(metrics.loss_sum / n)  # over the parts of an objective that has several

    def gradients(self, params: Parameters) -> tuple[float, Parameters]:
        """Return the mean loss at `params` and its gradient."""
        grads, n = params.zeros_like(), self.batch.n_targets
        metrics = self.objective.loss_and_grad(
            self.model, self.batch, grads, normalizer=n, rng=self.random(), params=params
        )
        return np.sum(metrics.loss_sum / n), grads


def generic_parameters(model: Any, rng: np.random.Generator) -> Parameters:
    """Return parameters far from initial ones: gamma in (0.5, 1.5), biases, outputs as large as inputs.

    What is frozen in the model stays so; a scale, which is one number, keeps its value.
    """
    values = {}
    for name, view in model.params.items():
        if view.ndim == 0:
            values[name] = view
        elif name.endswith(".gamma"):
            values[name] = rng.uniform(0.5, 1.5, view.shape)
        elif view.ndim == 1:
            values[name] = rng.standard_normal(view.shape) * 0.3
        else:
            fan_in = view.shape[1] if name.startswith("embeddings.") else view.shape[0]
            values[name] = rng.standard_normal(view.shape) * fan_in**-0.5
            if name.endswith(".query.weight"):
                values[name] *= SHARPNESS
    return Parameters(values, np.float64, model.params.frozen)


def draw_the_rest(
    rng: np.random.Generator, model: Any, objective: Any, batch: Any, rotated: bool = False
) -> Point:
    """Return the point with this model and batch: the seed of its dropout is drawn, then the parameters.

    A key bias shifts all scores of a query alike, so its gradient is 0; but not where keys are `rotated`.
    """
    random_seed = int(rng.integers(2**32))
    params = generic_parameters(model, rng)
    zero = frozenset(name for name in params if name.endswith(".key.bias") and not rotated)
    return Point(model, objective, params, batch, lambda: FixedRandom(random_seed), zero)


def of_the_model(sizes: Any) -> dict[str, Any]:
    """Return what a `Sizes` says of the model, by name: all but B, S and T, which are the batch's."""
    return {name: size for name, size in sizes._asdict().items() if name not in ("B", "S", "T")}


def prove_points(
    labels: Iterable[str],
    tiny: Callable[[str], Point],
    wide: Callable[[str], Point],
    seed: int,
    stored: dict[str, Array],
) -> list[Row]:
    """Check every parameter of the models of one kind that is trained.

    Parameters
    ----------
    labels : iterable of str
    tiny, wide : callable
        Give the point of a label: a tiny one, since derivatives are taken entry by entry, and a wider one for
        float32. (Few features can be nearly equal, and float32 has few digits of their norm then.)
    seed : int
        Draws the directions.
    stored : dict
        Values from PyTorch, below each label.

    Returns
    -------
    list of Row
        For each model the loss ("out") and each parameter.
    """
    rows: list[Row] = []
    for label in labels:
        point = tiny(label)
        mine = {name: Row(label, name) for name in ("out", *point.params.layout)}
        for row in mine.values():
            row.tolerances["complex"] = COMPLEX_STEP_OF_A_MODEL
        check_derivatives(point, mine, np.random.default_rng(seed))
        check_float32(wide(label), mine)
        compare_with_stored(point, mine, golden.part(stored, label))
        rows += mine.values()
    return rows


def check_derivatives(
    point: Point, rows: dict[str, Row], rng: np.random.Generator, names: Iterable[str] | None = None
) -> None:
    """Compare the gradient of every parameter, or of those named, with differences and the complex step."""
    loss, grads = point.gradients(point.params)
    as_real = Resumed(point, point.params.copy())
    as_complex = Resumed(point, point.params.astype(np.complex128))
    rows["out"].complex = error_of(point.loss(as_complex.params).real, loss)
    wanted = grads if names is None else names
    exact = {name: entry_by_entry(as_complex, name) for name in wanted if name not in point.apart}
    scale = largest(grads) if names is not None else largest(exact)
    for name in exact:
        gradient, row, zero = grads[name], rows[name], name in point.zero
        row.complex = relative(gradient, exact[name], scale, zero, row)
        if zero:
            row.zero = relative(gradient, np.zeros_like(gradient), scale, True, row)
        numeric, along = directional_derivatives(as_real, name, gradient, rng)
        row.fd = relative(along, numeric, scale, zero, row)
    for name in point.apart.intersection(wanted):
        rows[name].zero = relative(grads[name], np.zeros_like(grads[name]), scale, True, rows[name])


def entry_by_entry(resumed: Resumed, name: str) -> Array:
    """Return the loss's gradient by the complex step: each of its values has moved in one entry."""
    start = resumed.params[name]
    values = np.repeat(start[None], start.size, axis=0)
    values.reshape(start.size, start.size).flat[:: start.size + 1] += 1j * COMPLEX_STEP
    return resumed.losses(name, values).imag.reshape(start.shape) / COMPLEX_STEP


def directional_derivatives(
    resumed: Resumed, name: str, gradient: Array, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Return the loss's slopes along random unit directions, by differences and by `gradient`.

    The step is chosen along the first two of them. The others take half of the narrower one, since the loss
    may bend more there: half the step leaves 1/256 of the truncation and doubles the rounding. Where that is
    not clearly the gradient's slope, a step is searched in this direction as well: the differences have to be
    right before anything is said of the gradient.
    """
    start = resumed.params[name].copy()
    directions = rng.standard_normal((DIRECTIONS, start.size))
    directions /= np.sqrt((directions * directions).sum(axis=1, keepdims=True))
    middle = float(resumed.losses(name, start[None])[0])

    def changes(directions: Array, steps: list[float]) -> list[Callable[[float], float]]:
        """Return t -> loss(start + t · direction) - loss(start) for each direction; all `steps` at once."""
        moves = np.multiply.outer(directions, steps).swapaxes(1, 2)  # (directions, steps, entries)
        losses = resumed.losses(name, start + moves.reshape(-1, *start.shape))
        known = losses.reshape(len(directions), len(steps)) - middle

        def change(direction: Array, at: dict[float, float]) -> Callable[[float], float]:
            def of(t: float) -> float:
                if t not in at:  # the search goes on beyond those steps
                    value = start + t * direction.reshape(start.shape)
                    at[t] = float(resumed.losses(name, value[None])[0]) - middle
                return at[t]

            return of

        at_steps = (dict(zip(steps, row, strict=True)) for row in known.tolist())
        return [change(*each) for each in zip(directions, at_steps, strict=True)]

    steps = {k * FIRST_STEP / 2**i for i in range(HALVINGS) for k in STENCIL}
    found = [slope(s, EPS * abs(middle)) for s in changes(directions[:2], sorted(steps))]
    step = min(each.step for each in found) / 2
    along = directions @ gradient.reshape(-1)
    size = CLEAR * float(abs(along).max())
    others = []
    for s, expected in zip(changes(directions[2:], [k * step for k in STENCIL]), along[2:], strict=True):
        value = wide_slope(s, step)
        others.append(value if abs(value - expected) <= size else slope(s, EPS * abs(middle)).value)
    return np.array([*(each.value for each in found), *others]), along


def check_float32(point: Point, rows: dict[str, Row]) -> None:
    """Compare float32 with float64 at the same parameters: those of the point, rounded to float32."""
    narrow = point.params.astype(np.float32)
    loss, grads = point.gradients(narrow)
    exact_loss, exact = point.gradients(narrow.astype(np.float64))
    rows["out"].float32 = error_of(loss, exact_loss)
    scale = largest(exact)
    for name, gradient in grads.items():
        rows[name].float32 = relative(gradient, exact[name], scale, name in point.zero, rows[name])


def compare_with_stored(point: Point, rows: dict[str, Row], stored: dict[str, Array]) -> None:
    """Compare loss and gradients with those stored from PyTorch at the same point."""
    wanted = ["loss"]
    for name in point.params:
        wanted += [f"param/{name}", *([f"grad/{name}"] if name in point.params.layout else [])]
    missing = [key for key in wanted if key not in stored]
    if missing:
        rows["out"].torch = np.inf
        rows["out"].notes.append(f"nothing stored from PyTorch for {missing[0]!r}")
        return
    kept = [stored[f"kept/{i}"] for i in range(len(golden.part(stored, "kept")))]
    absent = dict.fromkeys(point.batch._fields)
    batch = type(point.batch)(**{**absent, **golden.part(stored, "batch")})
    params = Parameters(golden.part(stored, "param"), np.float64, point.params.frozen)
    at_it = replace(point, params=params, batch=batch, random=lambda: KeepRandom(kept))
    loss, grads = at_it.gradients(params)
    reference = golden.part(stored, "grad")
    rows["out"].torch = error_of(loss, stored["loss"])
    scale = largest(reference)
    for name, gradient in grads.items():
        rows[name].torch = relative(gradient, reference[name], scale, name in point.zero, rows[name])
