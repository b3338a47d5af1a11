"""A case: one op at one point, ready to be differentiated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ... import functional
from ...functional.flash_attention import whole_keep

Array = npt.NDArray[Any]

# The differentiable inputs of each op, in the order in which its backward returns their gradients.
GRADIENTS: dict[str, tuple[str, ...]] = {
    "linear": ("x", "weight", "bias"),
    "relu": ("x",),
    "tanh": ("x",),
    "sigmoid": ("x",),
    "silu": ("x",),
    "gelu": ("x",),
    "swiglu": ("gate", "up"),
    "softmax": ("x",),
    "log_softmax": ("x",),
    "cross_entropy": ("logits",),
    "binary_cross_entropy_with_logits": ("logits",),
    "mse_loss": ("input", "target"),
    "info_nce": ("queries", "keys", "negatives"),
    "layer_norm": ("x", "gamma", "beta"),
    "rms_norm": ("x", "gamma"),
    "embedding": ("table",),
    "dropout": ("x",),
    "scaled_dot_product_attention": ("q", "k", "v", "bias"),
    "flash_attention": ("q", "k", "v", "bias"),
    "multi_head_attention": (
        *("x_q", "x_kv", "w_q", "w_k", "w_v", "w_o", "b_q", "b_k", "b_v", "b_o"),
        *("bias", "gamma_q", "gamma_k"),
    ),
    "rotary": ("x",),
    "sinusoidal_positions": (),
    "alibi": (),
}

# Ops that only make constants: an array comes back, no cache, and there is nothing to differentiate.
CONSTANTS = ("sinusoidal_positions", "alibi")


class FixedRandom:
    """A fresh Generator of a fixed seed that remembers which uniform numbers it was asked for."""

    def __init__(self, seed: int) -> None:
        self.generator = np.random.default_rng(seed)
        self.drawn: list[Array] = []

    def random(self, size: Any = None, dtype: Any = np.float64) -> Array:
        """Return uniform numbers in [0, 1) of shape `size`."""
        u = self.generator.random(size, dtype=dtype)
        self.drawn.append(u)
        return u


class KeepRandom:
    """Stands for a Generator and makes dropout keep exactly what stored masks kept."""

    def __init__(self, kept: list[Array]) -> None:
        self.kept = list(kept)
        self.drawn: list[Array] = []

    def random(self, size: Any = None, dtype: Any = np.float64) -> Array:
        """Return 0 where the next mask drops and the number just below 1 where it keeps."""
        keep = self.kept[len(self.drawn)]
        if np.empty(size).shape != keep.shape:
            raise ValueError(f"KeepRandom: size: expected {keep.shape}, the stored mask's shape, got {size}")
        u = np.where(keep, np.nextafter(dtype(1), dtype(0)), dtype(0)).astype(dtype)
        self.drawn.append(u)
        return u


class ReplayedRandom:
    """Stands for a Generator and gives stored uniform numbers, as they were drawn."""

    def __init__(self, stored: list[Array]) -> None:
        self.stored = list(stored)
        self.drawn: list[Array] = []

    def random(self, size: Any = None, dtype: Any = np.float64) -> Array:
        """Return the next stored numbers."""
        u = self.stored[len(self.drawn)]
        if np.empty(size).shape != u.shape or u.dtype != dtype:
            raise ValueError(f"ReplayedRandom: expected {u.dtype} {u.shape}, got {np.dtype(dtype)} {size}")
        self.drawn.append(u)
        return u


@dataclass(frozen=True)
class Case:
    """One op at one point.

    Attributes
    ----------
    op, variant : str
        Name in `npformer.functional`, and what is particular to this case.
    inputs : dict of str to float64 ndarray
        The differentiable inputs, in the order in which the backward returns gradients.
    dout : ndarray, shape of the output
        Random normal cotangent.
    arguments : dict
        Every other argument, by name.
    random : callable, optional
        Makes the fresh source of random numbers that each call of the forward gets, always in the same state.
    zero : tuple of str
        Inputs whose gradient is known to be exactly zero.
    """

    op: str
    variant: str
    inputs: dict[str, Array]
    dout: Array
    arguments: dict[str, Any] = field(default_factory=dict)
    random: Callable[[], Any] | None = None
    zero: tuple[str, ...] = ()

    def forward(self, **inputs: Array) -> tuple[Array, Any]:
        """Return (out, cache) at `inputs`, with every other argument bound."""
        arguments = dict(self.arguments)
        if self.random is not None:
            arguments["rng"] = self.random()
        op = getattr(functional, self.op)
        if self.op in CONSTANTS:
            return op(**inputs, **arguments), None
        out, cache = op(**inputs, **arguments)
        return out, cache

    def backward(
        self, dout: Array, cache: Any, intermediates: dict[str, Array] | None = None
    ) -> tuple[Array, ...]:
        """Return the gradients of `inputs`, in their order; raise if one is missing or one too many came."""
        if self.op in CONSTANTS:
            return ()
        op_backward = getattr(functional, f"{self.op}_backward")
        result = (
            op_backward(dout, cache) if intermediates is None else op_backward(dout, cache, intermediates)
        )
        names = GRADIENTS[self.op]
        gradients = dict(zip(names, result if isinstance(result, tuple) else (result,), strict=True))
        for name, gradient in gradients.items():
            if (gradient is None) != (name not in self.inputs):
                raise ValueError(
                    f"{self.op}_backward: d{name}: expected {'a gradient' if gradient is None else 'None'}, "
                    f"got {'None' if gradient is None else 'a gradient'} ({self.variant})"
                )
        return tuple(gradients[name] for name in self.inputs)

    def gradients(self) -> tuple[Array, dict[str, Array]]:
        """Return the output and the gradients by name, at the case's own point."""
        out, cache = self.forward(**self.inputs)
        return out, dict(zip(self.inputs, self.backward(self.dout, cache), strict=True))

    def kept(self) -> tuple[list[Array], list[Array]]:
        """Return what the forward draws, in order, and what dropout keeps: a mask for each time it drops."""
        if self.random is None:
            return [], []
        source = self.random()
        _, cache = replace(self, random=lambda: source).forward(**self.inputs)
        if self.op == "flash_attention":  # draws seeds
            keep = whole_keep(cache)
            return source.drawn, [] if keep is None else [keep]
        p = self.arguments.get("p", self.arguments.get("dropout_p"))
        return source.drawn, [u >= p for u in source.drawn]

    def astype(self, dtype: npt.DTypeLike) -> Case:
        """Return the same case with every real array in another dtype."""

        def cast(x: Any) -> Any:
            return x.astype(dtype) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x

        return replace(
            self,
            inputs={name: cast(x) for name, x in self.inputs.items()},
            dout=cast(self.dout),
            arguments={name: cast(x) for name, x in self.arguments.items()},
        )


class Draw:
    """Draws of the kinds that cases are made of."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def normal(self, *shape: int, scale: float = 1.0) -> Array:
        """N(0, scale²)."""
        return self.rng.standard_normal(shape) * scale

    def weight(self, d_in: int, d_out: int) -> Array:
        """N(0, 1/d_in), so that outputs are of the size of inputs."""
        return self.normal(d_in, d_out, scale=d_in**-0.5)

    def gamma(self, d: int) -> Array:
        """U(0.5, 1.5): positive, and nowhere 1."""
        return self.rng.uniform(0.5, 1.5, d)

    def away_from_zero(self, *shape: int) -> Array:
        """±U(0.3, 2): the stencil of the finite differences, 0.14 to a side, does not reach a kink at 0."""
        return self.rng.uniform(0.3, 2.0, shape) * np.where(self.rng.random(shape) < 0.5, -1.0, 1.0)

    def ids(self, n: int, *shape: int) -> Array:
        """Ids in [0, n), of which at least one comes twice: the last is the first again."""
        ids = self.rng.integers(0, n, shape)
        ids.flat[-1] = ids.flat[0]
        return ids

    def mask(self, *shape: int, empty_row: bool = True) -> Array:
        """Booleans whose every row keeps at least two and drops at least one; the last row keeps nothing.

        (A query with one key has attention weight 1 whatever happens: its scores have no gradient.)
        """
        mask = self.rng.random(shape) < 0.6
        rows = mask.reshape(-1, shape[-1])
        for row in rows:
            first, second, dropped = self.rng.choice(shape[-1], 3, replace=False)
            row[[first, second, dropped]] = True, True, False
        if empty_row:
            rows[-1] = False
        return mask

    def random(self) -> Callable[[], FixedRandom]:
        """Return a maker of one fixed source of uniform numbers."""
        seed = int(self.rng.integers(2**32))
        return lambda: FixedRandom(seed)

    def case(
        self,
        op: str,
        variant: str,
        inputs: Mapping[str, Array],
        *,
        dropout: bool = False,
        zero: tuple[str, ...] = (),
        **arguments: Any,
    ) -> Case:
        """Assemble a case; its cotangent has the shape of what the forward returns."""
        case = Case(
            op, variant, dict(inputs), np.empty(0), arguments, self.random() if dropout else None, zero
        )
        out, _ = case.forward(**inputs)
        dout = np.asarray(self.rng.standard_normal(out.shape))
        return Case(op, variant, case.inputs, dout, arguments, case.random, zero)
