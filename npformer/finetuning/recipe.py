"""The configuration of fine-tuning: every choice in one place, checked when it is made."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from ..models.task_heads import POOLINGS
from .kinds import KINDS

CLASS_WEIGHTS = ("none", "balanced")


@dataclass(frozen=True)
class Recipe:
    """What fine-tuning is; together with the model and the data, its every bit follows from this.

    Parameters
    ----------
    task : {"classify", "pair", "tag", "regress", "similarity", "seq2seq", "clm"}
    seed : int
    epochs : int
        At most; the model of the best one is kept.
    choose_by : str, optional
        The score that says which epoch is the best; default: the task's own.
    patience : int, optional
        End after so many epochs without a better score on the dev file; None: go through all of them.
    batch_size : int
    lr : float
        The highest rate, of the head. It rises over the share `warmup` of all steps and then falls to 0 on a
        line.
    warmup, weight_decay, clip : float
        As in pre-training.
    layer_decay : float
        Each layer below the head has so much of the rate of the one above it; 1 = all the same.
    freeze : int, optional
        Do not train the embeddings and so many of the lowest layers; None = train everything.
    lora : int
        Train two narrow matrices of this rank beside queries and values, and the head, in place of the
        model; 0 = the model itself.
    lora_alpha : float
        Their product counts lora_alpha / lora.
    class_weights : {"none", "balanced"}
        "balanced": a label counts inversely to how often it is there.
    dropout : float
        Of the model and of the head's input.
    pooling : {"mean", "cls", "pooler", "last"}
        What stands for a text; of a decoder "mean" or "last".
    max_len : int, optional
        Most tokens of a row; default: what the model reads.
    rouge_examples : int
        Where texts are written, which takes long: after each epoch ROUGE is of so many of the dev examples.
    from_scratch : bool
        Begin with fresh weights of the same model, to see what pre-training was good for.
    lanes : int
        As in pre-training.

    Raises
    ------
    ValueError
        Naming the field, what was expected and what came.

    Examples
    --------
    >>> Recipe("classify", epochs=0)
    Traceback (most recent call last):
    ...
    ValueError: epochs: expected a whole number of at least 1, got 0
    """

    task: str
    seed: int = 0
    epochs: int = 10
    choose_by: str | None = None
    patience: int | None = None
    batch_size: int = 16
    lr: float = 1e-3
    warmup: float = 0.1
    weight_decay: float = 0.01
    clip: float = 1.0
    layer_decay: float = 1.0
    freeze: int | None = None
    lora: int = 0
    lora_alpha: float = 16.0
    class_weights: str = "none"
    dropout: float = 0.1
    pooling: str = "mean"
    max_len: int | None = None
    rouge_examples: int = 200
    from_scratch: bool = False
    lanes: int = 2

    def __post_init__(self) -> None:
        for name, allowed in (
            ("task", tuple(KINDS)),
            ("class_weights", CLASS_WEIGHTS),
            ("pooling", POOLINGS),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}: expected one of {', '.join(allowed)}, got {getattr(self, name)!r}")
        least = {"seed": 0, "freeze": 0, "lora": 0, "max_len": 4}
        counts = ("seed", "epochs", "patience", "batch_size", "freeze", "lora", "max_len", "lanes")
        for name in (*counts, "rouge_examples"):
            value, low = getattr(self, name), least.get(name, 1)
            if value is None and name in ("patience", "freeze", "max_len"):
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise ValueError(f"{name}: expected a whole number of at least {low}, got {value}")
        for name, lower, high, open_low in (
            ("lr", 0.0, math.inf, True),
            ("warmup", 0.0, 1.0, False),
            ("weight_decay", 0.0, math.inf, False),
            ("clip", 0.0, math.inf, False),
            ("lora_alpha", 0.0, math.inf, True),
            ("dropout", 0.0, 1.0, False),
        ):
            value = getattr(self, name)
            inside = isinstance(value, (int, float)) and lower <= value < high  # never NaN
            if not inside or (open_low and value == lower):
                above = f"above {lower:g}" if open_low else f"of at least {lower:g}"
                below = f" and below {high:g}" if high < math.inf else ""
                raise ValueError(f"{name}: expected a finite number {above}{below}, got {value}")
        if not 0.0 < self.layer_decay <= 1.0:
            raise ValueError(f"layer_decay: expected a number in (0, 1], got {self.layer_decay}")
        kind = KINDS[self.task]
        if self.class_weights != "none" and kind.LABELS != "classes":
            raise ValueError(f"class_weights: the labels of {self.task} are {kind.LABELS}, not classes")
        if self.rouge_examples != Recipe.rouge_examples and kind.LABELS != "texts":
            raise ValueError(f"rouge_examples: the task {self.task} writes no texts")
        if kind.HEAD in ("tag", None) and self.pooling != "mean":
            raise ValueError(f"pooling: the task {self.task} has no use for it")
        if self.lora and self.freeze is not None:
            raise ValueError("freeze: with lora the whole model is frozen")
        if not self.lora and self.lora_alpha != Recipe.lora_alpha:
            raise ValueError("lora_alpha: without lora there is no use for it")
        if self.from_scratch and (self.lora or self.freeze is not None):
            name = "lora" if self.lora else "freeze"
            raise ValueError(f"{name}: weights that are fresh (from_scratch) must be trained, not frozen")

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values for JSON."""
        return asdict(self)
