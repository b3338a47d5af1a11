"""The proof of the whole encoder: a small one with its masked-LM loss, every parameter by name.

The model is the one that trains, through the same objective and the same backward: two layers, dropout on, a
padded sequence and one that is nothing but padding, outputs at the targets alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..gradcheck import complex_step_gradient, directional_derivative, error_of
from ..models import Encoder, EncoderConfig
from ..models.parameters import Parameters
from ..objectives import MaskedLM, MaskedLMBatch
from . import golden
from .cases import FixedRandom, KeepRandom
from .ops import largest, relative
from .rows import Row
from .tolerances import COMPLEX_STEP_OF_A_MODEL

Array = npt.NDArray[Any]

DIRECTIONS = 8  # random directions per parameter for the finite differences
SHARPNESS = 0.7  # queries a little smaller than keys, so that attention is not nearly one-hot
SPECIAL = 4  # ids 0 to 3 stand for [PAD], [CLS], [SEP] and [MASK]

MODELS: dict[str, dict[str, Any]] = {
    "encoder, post-norm, learned": {"norm": "post", "positions": "learned"},
    "encoder, pre-norm, rotary": {"norm": "pre", "positions": "rotary", "rotary_base": 10.0},
}


class Sizes(NamedTuple):
    """How large a model and its batch are."""

    vocab_size: int
    d_model: int
    n_heads: int
    d_ff: int
    max_positions: int
    B: int
    T: int


# Derivatives are taken entry by entry, so their model is tiny; T < max_positions leaves positions unused. Six
# features can be nearly equal, and float32 has few digits of their norm then: it is judged on more of them.
TINY = Sizes(vocab_size=13, d_model=6, n_heads=3, d_ff=7, max_positions=8, B=4, T=5)
WIDE = Sizes(vocab_size=61, d_model=48, n_heads=8, d_ff=80, max_positions=20, B=12, T=16)


@dataclass(frozen=True)
class Point:
    """A model, its parameters and batch, and the source of its dropout."""

    model: Encoder  # whose own parameters are not used
    params: Parameters
    batch: MaskedLMBatch
    random: Callable[[], Any]

    @property
    def objective(self) -> MaskedLM:
        """Masked LM over the small vocabulary."""
        return objective_of(self.model.config)

    def loss(self, params: Parameters) -> Any:
        """Return the mean loss over the targets at `params`, real or complex, by the objective itself."""
        n = self.batch.n_targets
        metrics = self.objective.loss_and_grad(
            self.model, self.batch, None, normalizer=n, rng=self.random(), params=params
        )
        return metrics.loss_sum / n

    def gradients(self, params: Parameters) -> tuple[float, Parameters]:
        """Return the mean loss at `params` and its gradient."""
        grads, n = params.zeros_like(), self.batch.n_targets
        metrics = self.objective.loss_and_grad(
            self.model, self.batch, grads, normalizer=n, rng=self.random(), params=params
        )
        return metrics.loss_sum / n, grads

    def known_zero(self, name: str) -> bool:
        """Whether a gradient is zero: a key bias, if not rotated, shifts all scores of a query alike."""
        return name.endswith(".key.bias") and self.model.config.positions != "rotary"


def objective_of(config: EncoderConfig) -> MaskedLM:
    """Return masked LM over the small vocabulary, with more targets than usual."""
    return MaskedLM(config.vocab_size, mask_id=SPECIAL - 1, special_ids=range(SPECIAL), rate=0.4)


def generic_parameters(model: Encoder, rng: np.random.Generator) -> Parameters:
    """Return parameters far from initial ones: gamma in (0.5, 1.5), biases, outputs as large as inputs."""
    values = {}
    for name, view in model.params.items():
        if name.endswith(".gamma"):
            values[name] = rng.uniform(0.5, 1.5, view.shape)
        elif view.ndim == 1:
            values[name] = rng.standard_normal(view.shape) * 0.3
        else:
            fan_in = view.shape[1] if name.startswith("embeddings.") else view.shape[0]
            values[name] = rng.standard_normal(view.shape) * fan_in**-0.5
            if name.endswith(".query.weight"):
                values[name] *= SHARPNESS
    return Parameters(values, np.float64)


def draw_point(label: str, seed: int, sizes: Sizes = TINY) -> Point:
    """Return the point of one of `MODELS` drawn from `seed`."""
    *of_the_model, B, T = sizes
    values: dict[str, Any] = dict(zip(Sizes._fields, of_the_model, strict=False))
    config = EncoderConfig(**values, **MODELS[label], n_layers=2, dropout=0.2)
    model = Encoder(config)
    rng = np.random.default_rng([seed, list(MODELS).index(label)])
    ids = rng.integers(SPECIAL, config.vocab_size, (B, T))
    ids[:, 0] = 1
    mask = np.ones((B, T), dtype=bool)
    mask[1, T // 2 + 1 :] = False
    mask[-1] = False
    ids[~mask] = 0
    segment_ids = np.where(np.arange(T) < T // 2 + 1, 0, 1) * np.ones((B, 1), dtype=int)
    chosen = rng.random((B, T)) < 0.4
    chosen[0, [1, 4]] = True  # never none
    how, which = rng.random((B, T)), rng.random((B, T))
    batch = objective_of(config).corrupt(ids, mask, chosen, how, which, segment_ids)
    random_seed = int(rng.integers(2**32))
    return Point(model, generic_parameters(model, rng), batch, lambda: FixedRandom(random_seed))


def prove_encoder(seed: int = 0, stored: dict[str, Array] | None = None) -> list[Row]:
    """Check every parameter of each of `MODELS`, at the point drawn from `seed`.

    Parameters
    ----------
    seed : int
    stored : dict, optional
        In place of the installed values from PyTorch, which belong to the points of seed 0.

    Returns
    -------
    list of Row
        For each model the loss ("out") and each parameter.
    """
    stored = golden.load("golden_encoder") if stored is None else stored
    rows: list[Row] = []
    for label in MODELS:
        point = draw_point(label, seed)
        mine = {name: Row(label, name) for name in ("out", *point.params)}
        for row in mine.values():
            row.tolerances["complex"] = COMPLEX_STEP_OF_A_MODEL
        check_derivatives(point, mine, np.random.default_rng(seed))
        check_float32(draw_point(label, seed, WIDE), mine)
        compare_with_stored(point, mine, golden.part(stored, label))
        rows += mine.values()
    return rows


def check_derivatives(point: Point, rows: dict[str, Row], rng: np.random.Generator) -> None:
    """Compare every gradient with finite differences and the complex step."""
    params = point.params.copy()
    loss, grads = point.gradients(params)
    as_complex = params.astype(np.complex128)

    def complex_loss(flat: Array) -> Array:
        as_complex.flat[...] = flat
        return np.asarray(point.loss(as_complex))

    exact = complex_step_gradient(complex_loss, {"flat": params.flat}, "flat", 1.0)
    rows["out"].complex = error_of(complex_loss(params.flat).real, loss)
    scale = float(np.abs(exact).max())
    for name, gradient in grads.items():
        row, zero = rows[name], point.known_zero(name)
        row.complex = relative(gradient, exact[params.layout[name]].reshape(gradient.shape), scale, zero, row)
        if zero:
            row.zero = relative(gradient, np.zeros_like(gradient), scale, True, row)
        numeric, along = directional_derivatives(point, params, name, gradient, rng)
        row.fd = relative(along, numeric, scale, zero, row)


def directional_derivatives(
    point: Point, params: Parameters, name: str, gradient: Array, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Return the loss's slopes along random unit directions, by differences and by `gradient`."""
    start = params[name].copy()

    def loss(value: Array) -> float:
        params[name] = value
        return float(point.loss(params))

    numeric, along = np.empty(DIRECTIONS), np.empty(DIRECTIONS)
    for i in range(DIRECTIONS):
        direction = rng.standard_normal(start.shape)
        direction /= np.sqrt((direction * direction).sum())
        numeric[i], _ = directional_derivative(loss, start, direction)
        along[i] = (gradient * direction).sum()
    params[name] = start
    return numeric, along


def check_float32(point: Point, rows: dict[str, Row]) -> None:
    """Compare float32 with float64 at the same parameters: those of the point, rounded to float32."""
    narrow = point.params.astype(np.float32)
    loss, grads = point.gradients(narrow)
    exact_loss, exact = point.gradients(narrow.astype(np.float64))
    rows["out"].float32 = error_of(loss, exact_loss)
    scale = largest(exact)
    for name, gradient in grads.items():
        rows[name].float32 = relative(gradient, exact[name], scale, point.known_zero(name), rows[name])


def compare_with_stored(point: Point, rows: dict[str, Row], stored: dict[str, Array]) -> None:
    """Compare loss and gradients with those stored from PyTorch at the same point."""
    wanted = ["loss", *(f"{kind}/{name}" for name in point.params for kind in ("param", "grad"))]
    missing = [key for key in wanted if key not in stored]
    if missing:
        rows["out"].torch = np.inf
        rows["out"].notes.append(f"nothing stored from PyTorch for {missing[0]!r}")
        return
    kept = [stored[f"kept/{i}"] for i in range(len(golden.part(stored, "kept")))]
    batch = MaskedLMBatch(**golden.part(stored, "batch"))
    params = Parameters(golden.part(stored, "param"), np.float64)
    loss, grads = Point(point.model, params, batch, lambda: KeepRandom(kept)).gradients(params)
    reference = golden.part(stored, "grad")
    rows["out"].torch = error_of(loss, stored["loss"])
    scale = largest(reference)
    for name, gradient in grads.items():
        rows[name].torch = relative(gradient, reference[name], scale, point.known_zero(name), rows[name])
