"""The proof of low-rank adapters: they and the masked-LM head are trained, the encoder itself is frozen."""

from __future__ import annotations

from typing import Any

from ..models import LoraConfig
from . import encoder, golden
from .encoder import TINY, WIDE, Sizes
from .models import Array, Point, prove_points
from .rows import Row

# r is no width of the model and alpha / r not 1; with a smaller r, float32 has few numbers to average over.
LORA = LoraConfig(r=4, alpha=2, targets=("query", "value", "feed_forward"), trained=("mlm",))
MODELS: dict[str, dict[str, Any]] = {
    "encoder with LoRA": {"norm": "post", "positions": "learned", "lora": LORA}
}


def draw_point(label: str, seed: int, sizes: Sizes = TINY) -> Point:
    """Return the point of one of `MODELS` drawn from `seed`; A and B are both random."""
    return encoder.draw_point(label, seed, sizes, MODELS)


def prove_lora(seed: int = 0, stored: dict[str, Array] | None = None) -> list[Row]:
    """Check every parameter that is trained, at the point drawn from `seed`.

    Parameters
    ----------
    seed, stored
        As in `prove_encoder`.

    Returns
    -------
    list of Row
        For each model the loss ("out"), each A and B, and the head.
    """
    return prove_points(
        MODELS,
        lambda label: draw_point(label, seed),
        lambda label: draw_point(label, seed, WIDE),
        seed,
        golden.load("golden_lora") if stored is None else stored,
    )
