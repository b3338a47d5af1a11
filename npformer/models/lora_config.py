"""The configuration of a model's low-rank adapters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from . import _fields

HEAD = "task"  # the head of a fine-tuned model, which has nothing to begin with


@dataclass(frozen=True)
class LoraConfig:
    """Which weights are adapted, how, and what is trained beside the adapters.

    Parameters
    ----------
    r : int
        Rank of what is added to a weight.
    alpha : float
        It is added times alpha / r.
    targets : sequence of str
        Parts of the layers' names: a weight is adapted if one of them is a part of its name. "query" and
        "value" are those of every attention, "attention" is all four maps of every self-attention,
        "feed_forward" all of every feed-forward block, "cross_attention" what it says.
    trained : sequence of str
        Beginnings of the names of other parameters that are trained, whole parts between dots: "task" is the
        head of a task, where there is one.

    Raises
    ------
    ValueError, TypeError
        Naming the field, what was expected and what came.

    References
    ----------
    Hu et al.: LoRA: Low-Rank Adaptation of Large Language Models, arXiv:2106.09685, section 4.

    Examples
    --------
    >>> LoraConfig(r=0)
    Traceback (most recent call last):
    ...
    ValueError: LoraConfig: r: expected at least 1, got 0
    """

    r: int = 8
    alpha: float = 16.0
    targets: Sequence[str] = ("query", "value")
    trained: Sequence[str] = (HEAD,)

    def __post_init__(self) -> None:
        f = _fields.Fields(self)
        f.integers("r")
        f.number("alpha")
        f.strings("targets", "trained")
        if not self.targets:
            f.bad("targets", "at least one", "none")
