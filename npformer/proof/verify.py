"""Run the proof: each op, the whole models, the optimizers and training, one list of rows each."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from .cases import OPS
from .contrastive import prove_contrastive
from .decoder import prove_decoder
from .distillation import prove_distillation
from .electra import prove_electra
from .encoder import prove_encoder
from .encoder_decoder import prove_encoder_decoder
from .finetuning import prove_finetuning
from .finetuning_decoder import prove_finetuning_decoder
from .lora import prove_lora
from .ops import prove_op
from .optimizers import prove_optimizers
from .processes import in_processes
from .rows import Row
from .sentence_pairs import prove_sentence_pairs
from .training import prove_training

# Besides the ops: what is composed out of them. Those without a seed follow trajectories that are stored.
_WHOLES: dict[str, Callable[[int], list[Row]]] = {
    "encoder": prove_encoder,
    "decoder": prove_decoder,
    "encoder_decoder": prove_encoder_decoder,
    "lora": prove_lora,
    "finetuning": prove_finetuning,
    "finetuning_decoder": prove_finetuning_decoder,
    "sentence_pairs": prove_sentence_pairs,
    "electra": prove_electra,
    "contrastive": prove_contrastive,
    "distillation": prove_distillation,
    "optimizers": lambda seed: prove_optimizers(),
    "training": lambda seed: prove_training(),
}

TARGETS: tuple[str, ...] = (*OPS, *_WHOLES)

# Processes begin with the others, a second each at most, so that the table is seen to grow; then with these,
# the longest first, so that all end at about the same time.
LONGEST = (
    *("distillation", "finetuning_decoder", "finetuning", "electra", "encoder_decoder"),
    *("multi_head_attention", "flash_attention", "encoder", "decoder", "contrastive", "sentence_pairs"),
    *("lora", "training"),
    "scaled_dot_product_attention",
)


@dataclass(frozen=True)
class Report:
    """What `verify` found."""

    seed: int
    rows: list[Row]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether every row passed, and there was one."""
        return bool(self.rows) and all(row.passed for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "passed": self.passed,
            "seed": self.seed,
            "seconds": round(self.seconds, 2),
            "rows": [row.to_dict() for row in self.rows],
        }


def verify(
    targets: Iterable[str] = (),
    seed: int = 0,
    on_rows: Callable[[list[Row]], None] | None = None,
    processes: int = 1,
) -> Report:
    """Prove the ops, the models, the optimizers and training.

    Parameters
    ----------
    targets : iterable of str
        Some of `TARGETS`; none = all.
    seed : int
        Draws the points of ops and models, at least 0.
    on_rows : callable, optional
        Called with the rows of each target as soon as they are there, in the order of the targets.
    processes : int
        By how many processes of their own the targets are shared; 1 = none beside this one.

    Returns
    -------
    Report

    Raises
    ------
    ValueError
        If a target is unknown, the seed negative or `processes` not positive.

    Examples
    --------
    >>> report = verify(["relu", "softmax"])
    >>> report.passed, [row.input for row in report.rows]
    (True, ['out', 'x', 'out', 'x'])
    """
    wanted = list(dict.fromkeys(targets)) or list(TARGETS)
    for target in wanted:
        if target not in TARGETS:
            raise ValueError(f"unknown op {target!r}: expected some of {', '.join(TARGETS)}")
    if seed < 0:
        raise ValueError(f"seed: expected at least 0, got {seed}")
    if processes < 1:
        raise ValueError(f"processes: expected at least 1, got {processes}")
    start, rows = time.perf_counter(), []
    one = functools.partial(prove, seed=seed)
    results: Iterable[list[Row]] = map(one, wanted)
    if processes > 1:
        order = sorted(range(len(wanted)), key=lambda i: _rank(wanted[i]))
        results = in_processes(one, wanted, order, min(processes, len(wanted)))
    for found in results:
        rows += found
        if on_rows is not None:
            on_rows(found)
    return Report(seed, rows, time.perf_counter() - start)


def prove(target: str, seed: int) -> list[Row]:
    """Return the rows of one of `TARGETS`."""
    return _WHOLES[target](seed) if target in _WHOLES else prove_op(target, seed)


def _rank(target: str) -> int:
    return LONGEST.index(target) if target in LONGEST else -1
