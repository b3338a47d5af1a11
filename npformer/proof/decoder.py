"""The proof of the decoder: the points at which it is done, with causal LM."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..models import Decoder, DecoderConfig
from ..objectives import CausalLM
from . import golden
from .models import Array, Point, draw_the_rest, prove_points
from .rows import Row

MODELS: dict[str, dict[str, Any]] = {
    "decoder, GPT-2 form": {},
    "decoder, Llama form": {
        "positions": "rotary",
        "rotary_base": 10.0,
        "norm_type": "rms_norm",
        "activation": "swiglu",
        "bias": False,
        "tied": False,
    },
    "decoder, ALiBi, window, soft caps, query-key norm": {
        "positions": "alibi",
        "norm": "post",
        "activation": "silu",
        "window": 3,
        "softcap": 2.0,
        "logit_softcap": 3.0,
        "qk_norm": True,
        "bias": False,
    },
}
GPT2, LLAMA, MODERN = MODELS

# What the batches have beside a sequence padded on the right and one that is nothing but padding.
LEFT_PADDED = (GPT2, LLAMA)
PREFIXED = (LLAMA,)


class Sizes(NamedTuple):
    """How large a model and its batch are."""

    config: dict[str, Any]
    B: int
    T: int


# T < max_positions leaves positions unused.
TINY = {
    GPT2: Sizes({"vocab_size": 11, "d_model": 6, "n_heads": 3, "d_ff": 7, "max_positions": 9}, B=4, T=5),
    LLAMA: Sizes(
        {
            "vocab_size": 11,
            "d_model": 6,
            "n_heads": 4,
            "n_kv_heads": 2,
            "d_head": 2,
            "d_ff": 7,
            "max_positions": 9,
        },
        B=5,
        T=8,
    ),
    MODERN: Sizes(
        {"vocab_size": 11, "d_model": 5, "n_heads": 2, "d_head": 3, "d_ff": 7, "max_positions": 9}, B=4, T=8
    ),
}
_WIDE = {"vocab_size": 61, "d_model": 48, "n_heads": 8, "d_ff": 80, "max_positions": 20}
WIDE = {
    GPT2: Sizes(_WIDE, B=12, T=16),
    LLAMA: Sizes({**_WIDE, "n_heads": 6, "n_kv_heads": 2}, B=12, T=16),  # heads of more features than six
    MODERN: Sizes({**_WIDE, "n_heads": 3}, B=12, T=16),  # queries and keys are normalised: more features each
}


def draw_point(label: str, seed: int, wide: bool = False) -> Point:
    """Return the point of one of `MODELS` drawn from `seed`."""
    sizes, B, T = (WIDE if wide else TINY)[label]
    config = DecoderConfig(**sizes, **MODELS[label], n_layers=2, dropout=0.2)
    model, objective = Decoder(config), CausalLM()
    rng = np.random.default_rng([seed, list(MODELS).index(label)])
    ids = rng.integers(1, config.vocab_size, (B, T + 1))  # the input and, one place on, the targets
    ids[0, 2] = ids[0, 0]
    mask = np.ones(ids.shape, dtype=bool)
    mask[1, T // 2 + 2 :] = False
    if label in LEFT_PADDED:
        mask[2, : T // 3 + 1] = False
    mask[-1] = False
    ids[~mask] = 0
    prefix = rng.integers(2, T // 2 + 1, B) if label in PREFIXED else None
    batch = objective.make_batch(ids, mask, prefix=prefix)
    # The forms that turn scores, or bend them on the way, have no key bias.
    return draw_the_rest(rng, model, objective, batch)


def prove_decoder(seed: int = 0, stored: dict[str, Array] | None = None) -> list[Row]:
    """Check every parameter of each of `MODELS`; parameters and result are those of `prove_encoder`."""
    return prove_points(
        MODELS,
        lambda label: draw_point(label, seed),
        lambda label: draw_point(label, seed, wide=True),
        seed,
        golden.load("golden_decoder") if stored is None else stored,
    )
