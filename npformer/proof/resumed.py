"""A model's loss at many values of one parameter, in two ways cheaper than as many whole passes.

    before the block that reads the parameter    nothing can change: what one first pass gave is used again
    that block                                   is run once for each value
    behind it                                    all values go on as one batch, their copies of the sequences
                                                 one after the other, under the same dropout
    the loss                                     is the objective's, of the outputs of one copy at a time

Every block that is run is the model's own, through the objective and the model's own forward.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
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
        self.random = _Draws(point.random())
        self.name, self.values = "", np.empty(0)  # the parameter that is changed, and to what
        self.runs: list[_Run] = []  # of the first pass
        self.reading: _Run | None = None  # while a block is run in that pass
        self.hidden = self._forward(point.batch, _Reads(params, self))
        self.random.source = None

    def losses(self, name: str, values: Array) -> Array:
        """Return the loss at each of `values`, of shape (n, ...), in the place of one parameter."""
        before, n = self.params[name].copy(), len(values)
        self.name, self.values = name, values
        self.first = next((i for i, run in enumerate(self.runs) if name in run.reads), len(self.runs))
        self.number = 0
        if n == 0:
            return np.empty(0)
        hidden = self._forward(copies_of_batch(self.point.batch, n), self.params)
        losses = []
        for value, own in zip(values, hidden.reshape(n, *self.hidden.shape), strict=True):
            self.params[name] = value
            losses.append(self.point.loss(self.params, model=_Finished(self.model, own), random=self.random))
        self.params[name] = before
        return np.array(losses)

    def run(self, block: Any, params: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Run a block, or return what it returned in the first pass."""
        if self.random.source is not None:
            self.reading = run = _Run(arguments, options, len(self.random.drawn))
            self.runs.append(run)
            run.output, _ = block.forward(params, *arguments, **options)
            self.reading = None
            return run.output, None
        run, n = self.runs[self.number], len(self.values)
        self.number += 1
        if self.number <= self.first:
            return _copies(run.output, n), None
        if self.name not in run.reads:
            self.random.go_to(run.start, n)
            return block.forward(params, *arguments, **options)
        if not np.array_equal(arguments[0], _copies(run.arguments[0], n)):
            raise ValueError(f"{self.name} is read again by a block whose input depends on it")
        outputs = []
        for value in self.values:
            self.params[self.name] = value
            self.random.go_to(run.start, 1)
            outputs.append(block.forward(self.params, *run.arguments, **run.options)[0])
        return np.concatenate(outputs), None

    def _forward(self, batch: Any, params: Any) -> Array:
        hidden: Array
        hidden, _ = self.point.objective.forward(
            self.model, batch, keep=False, rng=self.random, params=params
        )
        return hidden


@dataclass
class _Run:
    """A block's run in the first pass."""

    arguments: tuple[Any, ...]
    options: dict[str, Any]
    start: int  # how many draws there had been before it
    reads: set[str] = field(default_factory=set)  # names of parameters
    output: Any = None


class _Block:
    """Stands for a block of the model."""

    def __init__(self, block: Any, resumed: Resumed) -> None:
        self.block, self.resumed = block, resumed

    def __getattr__(self, name: str) -> Any:
        return getattr(self.block, name)

    def forward(self, params: Any, *arguments: Any, **options: Any) -> Any:
        return self.resumed.run(self.block, params, arguments, options)


class _Finished:
    """Stands for the model where its output is known."""

    def __init__(self, model: Any, hidden: Array) -> None:
        self.model, self.hidden = model, hidden

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def forward(self, *arguments: Any, **options: Any) -> tuple[Array, None]:
        return self.hidden, None


class _Reads(Mapping[str, Array]):
    """Parameters that note by which block they are read."""

    def __init__(self, params: Any, resumed: Resumed) -> None:
        self.params, self.resumed = params, resumed

    def __getitem__(self, name: str) -> Array:
        if self.resumed.reading is None:
            raise ValueError(f"{name} is read outside of the blocks")
        self.resumed.reading.reads.add(name)
        value: Array = self.params[name]
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self.params)

    def __len__(self) -> int:
        return len(self.params)


class _Draws:
    """Uniform numbers of a source; without it, the same again for each copy of the batch."""

    def __init__(self, source: Any) -> None:
        self.source, self.drawn = source, source.drawn
        self.position, self.copies = 0, 1

    def go_to(self, position: int, copies: int) -> None:
        self.position, self.copies = position, copies

    def random(self, size: Any = None, dtype: Any = np.float64) -> Array:
        if self.source is not None:
            fresh: Array = self.source.random(size, dtype)
            return fresh
        u = _copies(self.drawn[self.position], self.copies)
        if u.shape != tuple(size) or u.dtype != dtype:
            raise ValueError(f"expected a draw of shape {u.shape} and {u.dtype}, got {size} and {dtype}")
        self.position += 1
        return u


def copies_of_batch(batch: Any, n: int) -> Any:
    """Return the sequences of `batch` n times, one copy after the other."""
    fields = {key: None if value is None else _copies(value, n) for key, value in batch._asdict().items()}
    if "at" in fields:
        grid = batch.ids.size  # positions are counted through the whole batch
        fields["at"] = (batch.at + grid * np.arange(n)[:, None]).reshape(-1)
    return type(batch)(**fields)


def _copies(x: Array, n: int) -> Array:
    return x if n == 1 else np.concatenate([x] * n)


def _places(model: Any) -> list[tuple[Any, str]]:
    """Return where the model's blocks are: (object, attribute)."""
    stacks = [getattr(model, name) for name in ("stack", "encoder", "decoder") if hasattr(model, name)]
    layers = [layer for stack in stacks for layer in stack.layers]
    found = [(layer, name) for layer in layers for name in BLOCKS if getattr(layer, name, None) is not None]
    norms = [(stack, "final_norm") for stack in stacks if stack.final_norm is not None]
    return [(model, "embeddings"), *found, *norms]
