"""Cases of attention in tiles: all that attention can be asked, with blocks that divide nothing."""

from __future__ import annotations

from .attention import SHARPNESS
from .case import Array, Case, Draw


def flash_attention(draw: Draw) -> list[Case]:
    """q (B, h, T, d_k), k (B, h_kv, S, d_k), v (B, h_kv, S, d_v)."""
    op = "flash_attention"

    def qkv(B: int, h: int, T: int, S: int, d_k: int, d_v: int, h_kv: int | None = None) -> dict[str, Array]:
        h_kv = h_kv or h
        return {
            "q": draw.normal(B, h, T, d_k, scale=SHARPNESS),
            "k": draw.normal(B, h_kv, S, d_k),
            "v": draw.normal(B, h_kv, S, d_v),
        }

    return [
        draw.case(op, "one tile", qkv(1, 2, 3, 4, 2, 3)),
        draw.case(op, "tiles of 2 x 3", qkv(1, 1, 5, 7, 2, 3), block_size=(2, 3)),
        draw.case(
            op, "fully masked sequence", qkv(2, 1, 3, 5, 2, 4), mask=draw.mask(2, 1, 1, 5), block_size=(2, 3)
        ),
        draw.case(
            op,
            "bias (h, 1, S), fully masked row, dropout",
            {**qkv(1, 2, 3, 5, 2, 4), "bias": draw.normal(2, 1, 5)},
            mask=draw.mask(1, 2, 3, 5),
            dropout_p=0.3,
            dropout=True,
            block_size=(2, 3),
        ),
        draw.case(op, "causal, scale 0.4", qkv(1, 1, 5, 5, 3, 2), causal=True, scale=0.4, block_size=2),
        draw.case(
            op,
            "causal, offset 2, bias (T, S)",
            {**qkv(1, 1, 3, 5, 4, 2), "bias": draw.normal(3, 5)},
            causal=True,
            query_offset=2,
            block_size=(2, 3),
        ),
        draw.case(
            op,
            "grouped heads, dropout",
            qkv(1, 4, 3, 5, 2, 1, h_kv=2),
            dropout_p=0.4,
            dropout=True,
            block_size=(2, 4),
        ),
        draw.case(op, "window 2", qkv(1, 1, 5, 7, 2, 3), window=2, query_offset=1, block_size=(3, 2)),
        draw.case(
            op,
            "causal, window 3, softcap 1.5, bias (1, 1, S)",
            {**qkv(1, 1, 6, 6, 3, 2), "bias": draw.normal(1, 1, 6)},
            causal=True,
            window=3,
            softcap=1.5,
            block_size=(4, 2),
        ),
        draw.case(op, "equal sizes", qkv(2, 2, 2, 2, 2, 2), block_size=1),
        draw.case(
            op,
            "two axes",
            {"q": draw.normal(4, 2, scale=SHARPNESS), "k": draw.normal(5, 2), "v": draw.normal(5, 3)},
            block_size=3,
        ),
    ]


CASES = {"flash_attention": flash_attention}
