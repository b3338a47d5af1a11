"""What a call of somebody's forward offers to recognise it by: arrays, numbers, and what they are called."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .weights import kept_weights

Array = npt.NDArray[Any]


class Context:
    """What there is to take arguments from."""

    def __init__(
        self,
        inputs: Mapping[str, Any],
        out: Array,
        dout: Array,
        cache: Any,
        forward: Callable[..., Any],
        output_at: Callable[[Mapping[str, Any]], Array] | None = None,
    ) -> None:
        self.output_at = output_at
        self.kept: dict[str, list[Array]] = {}  # by which input is taken for the values
        self.floats = {
            k: wide(x) for k, x in inputs.items() if isinstance(x, np.ndarray) and x.dtype.kind == "f"
        }
        self.integers = {
            k: x for k, x in inputs.items() if isinstance(x, np.ndarray) and x.dtype.kind in "iu"
        }
        self.booleans = {
            k: x for k, x in inputs.items() if isinstance(x, np.ndarray) and x.dtype.kind == "b"
        }
        self.masks = list(self.booleans.values())
        self.narrow = out.dtype == np.float32 and any_float32(inputs)
        self.out, self.dout = wide(out), wide(dout)
        self.cached = list(_arrays_in(cache))
        self.named = {name.lower().replace("_", ""): s for name, s in _settings_of(forward, inputs).items()}
        self.scalars = list(
            dict.fromkeys([*_scalars_in(inputs.values()), *_defaults(forward), *_scalars_in([cache])])
        )

    def kept_of(self, v: Array | None) -> list[Array]:
        """What dropout keeps of the weights of `v`, one of the inputs, told by other values."""
        name = next((name for name, x in self.floats.items() if x is v), None)
        if self.output_at is None or v is None or name is None:
            return []
        if name not in self.kept:
            self.kept[name] = kept_weights(self.output_at, name, v)
        return self.kept[name]


def any_float32(inputs: Mapping[str, Any]) -> bool:
    return any(isinstance(x, np.ndarray) and x.dtype == np.float32 for x in inputs.values())


def wide(x: Array) -> Array:
    return np.asarray(x, np.float64)


def _scalars_in(values: Iterable[Any], depth: int = 0) -> Iterator[float]:
    for value in values:
        if isinstance(value, bool):
            continue
        if isinstance(value, (int, float, np.integer, np.floating)) or (
            isinstance(value, np.ndarray) and value.ndim == 0
        ):
            if np.asarray(value).dtype.kind in "iuf" and math.isfinite(float(value)):
                yield float(value)
        elif depth < 4 and isinstance(value, Mapping):
            yield from _scalars_in(value.values(), depth + 1)
        elif depth < 4 and isinstance(value, (tuple, list)):
            yield from _scalars_in(value, depth + 1)


def _arrays_in(value: Any, depth: int = 0) -> Iterator[Array]:
    if isinstance(value, np.ndarray):
        yield value
    elif depth < 4 and isinstance(value, Mapping):
        for item in value.values():
            yield from _arrays_in(item, depth + 1)
    elif depth < 4 and isinstance(value, (tuple, list)):
        for item in value:
            yield from _arrays_in(item, depth + 1)


def _settings_of(forward: Callable[..., Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What the forward is called with by name, arrays left out, and its defaults."""
    try:
        parameters = list(inspect.signature(forward).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    return {name: x for name, x in {**defaults, **inputs}.items() if not isinstance(x, np.ndarray)}


def _defaults(forward: Callable[..., Any]) -> Iterator[float]:
    try:
        parameters = inspect.signature(forward).parameters.values()
    except (TypeError, ValueError):
        return iter(())
    return _scalars_in([p.default for p in parameters if p.default is not p.empty])
