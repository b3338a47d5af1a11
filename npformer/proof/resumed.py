"""A model's loss at many values of one parameter, each time from the first block on that reads it.

What lies before that block cannot change: its outputs and its dropout are those of one pass that was made
beforehand. Every block that is run is the model's own, through the objective and the model's own forward.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

BLOCKS = ("attention", "cross_attention", "feed_forward")  # of a layer


class Resumed:
    """The loss of a point, resumed.

    Parameters
    ----------
    point : Point
    params : Parameters
        Real or complex; where the first pass is made.
    """

    def __init__(self, point: Any, params: Any) -> None:
        self.point, self.params = point, params
        self.model = copy.deepcopy(point.model)
        for owner, attribute in _places(self.model):
            setattr(owner, attribute, _Block(getattr(owner, attribute), self))
        self.outputs: list[
            tuple[Any, int]
        ] = []  # of each block's run, and how many draws there were after it
        self.reads: list[set[str]] = []  # names of the parameters of each block's run
        self.first, self.calls = 0, 0
        source = point.random()
        self.reading, self.random, self.drawn = True, source, []
        point.loss(_Reads(params, self), model=self.model, random=source)
        self.reading, self.drawn = False, source.drawn

    def loss(self, name: str, value: Array) -> Any:
        """Return the loss with `value` in the place of one parameter."""
        before = self.params[name].copy()
        self.params[name] = value
        self.first = next((i for i, names in enumerate(self.reads) if name in names), len(self.reads))
        self.calls, self.random = 0, _Replay(self.drawn)
        result = self.point.loss(self.params, model=self.model, random=self.random)
        self.params[name] = before
        return result

    def run(self, block: Any, params: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Run a block, or return what it returned in the first pass."""
        number, self.calls = self.calls, self.calls + 1
        if not self.reading and number < self.first:
            output, self.random.position = self.outputs[number]
            return output
        if self.reading:
            self.reads.append(set())
        output = block.forward(params, *arguments, **options)
        if self.reading:
            self.outputs.append((output, len(self.random.drawn)))
        return output


class _Block:
    """Stands for a block of the model."""

    def __init__(self, block: Any, resumed: Resumed) -> None:
        self.block, self.resumed = block, resumed

    def __getattr__(self, name: str) -> Any:
        return getattr(self.block, name)

    def forward(self, params: Any, *arguments: Any, **options: Any) -> Any:
        return self.resumed.run(self.block, params, arguments, options)


class _Reads(Mapping[str, Array]):
    """Parameters that note by whom they are read."""

    def __init__(self, params: Any, resumed: Resumed) -> None:
        self.params, self.resumed = params, resumed

    def __getitem__(self, name: str) -> Array:
        if self.resumed.reads:
            self.resumed.reads[-1].add(name)
        value: Array = self.params[name]
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self.params)

    def __len__(self) -> int:
        return len(self.params)


class _Replay:
    """Returns the draws of the first pass again, in order."""

    def __init__(self, drawn: list[Array]) -> None:
        self.drawn, self.position = drawn, 0

    def random(self, size: Any = None, dtype: Any = np.float64) -> Array:
        u = self.drawn[self.position]
        if u.shape != tuple(size) or u.dtype != dtype:
            raise ValueError(f"expected a draw of shape {u.shape} and {u.dtype}, got {size} and {dtype}")
        self.position += 1
        return u


def _places(model: Any) -> list[tuple[Any, str]]:
    """Return where the model's blocks are: (object, attribute)."""
    stacks = [getattr(model, name) for name in ("stack", "encoder", "decoder") if hasattr(model, name)]
    layers = [layer for stack in stacks for layer in stack.layers]
    found = [(layer, name) for layer in layers for name in BLOCKS if getattr(layer, name, None) is not None]
    return [(model, "embeddings"), *found]
