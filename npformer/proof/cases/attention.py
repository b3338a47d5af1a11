"""Cases of attention: masks, causality, biases, groups of heads, dropout, rotation, self and cross."""

from __future__ import annotations

from typing import Any

import numpy as np

from .case import Array, Case, Draw

# Queries are drawn this much smaller than keys. A row of weights that is nearly one-hot has a score gradient
# that is nearly zero, a difference of larger numbers: float32 has few digits of it, whatever the code.
SHARPNESS = 0.5


def scaled_dot_product_attention(draw: Draw) -> list[Case]:
    """q (B, h, T, d_k), k (B, h_kv, S, d_k), v (B, h_kv, S, d_v)."""
    op = "scaled_dot_product_attention"

    def qkv(B: int, h: int, T: int, S: int, d_k: int, d_v: int, h_kv: int | None = None) -> dict[str, Array]:
        h_kv = h_kv or h
        return {
            "q": draw.normal(B, h, T, d_k, scale=SHARPNESS),
            "k": draw.normal(B, h_kv, S, d_k),
            "v": draw.normal(B, h_kv, S, d_v),
        }

    padding = draw.mask(2, 1, 1, 6)  # (B, 1, 1, S): the second sequence is nothing but padding
    return [
        draw.case(op, "plain", qkv(1, 2, 3, 4, 5, 6)),
        draw.case(op, "fully masked sequence", qkv(2, 1, 4, 6, 3, 5), mask=padding),
        draw.case(
            op,
            "bias (h, 1, S), fully masked row, dropout",
            {**qkv(1, 2, 4, 5, 3, 6), "bias": draw.normal(2, 1, 5)},
            mask=draw.mask(1, 2, 4, 5),
            dropout_p=0.3,
            dropout=True,
        ),
        draw.case(op, "causal, scale 0.4", qkv(2, 1, 4, 4, 3, 2), causal=True, scale=0.4),
        draw.case(
            op,
            "causal, offset 2, bias (T, S)",
            {**qkv(1, 2, 3, 5, 4, 2), "bias": draw.normal(3, 5)},
            causal=True,
            query_offset=2,
        ),
        draw.case(op, "grouped heads, dropout", qkv(1, 4, 2, 3, 3, 2, h_kv=2), dropout_p=0.4, dropout=True),
        draw.case(op, "equal sizes", qkv(3, 3, 3, 3, 3, 3)),
        draw.case(
            op,
            "two axes",
            {"q": draw.normal(5, 2, scale=SHARPNESS), "k": draw.normal(4, 2), "v": draw.normal(4, 6)},
        ),
    ]


def _projections(
    draw: Draw,
    d_model: int,
    h: int,
    d_k: int,
    d_v: int,
    *,
    d_kv_model: int | None = None,
    d_out: int | None = None,
    h_kv: int | None = None,
) -> dict[str, Array]:
    d_kv_model, d_out, h_kv = d_kv_model or d_model, d_out or d_model, h_kv or h
    return {
        "w_q": draw.weight(d_model, h * d_k) * SHARPNESS,
        "w_k": draw.weight(d_kv_model, h_kv * d_k),
        "w_v": draw.weight(d_kv_model, h_kv * d_v),
        "w_o": draw.weight(h * d_v, d_out),
    }


def _biases(draw: Draw, weights: dict[str, Array]) -> dict[str, Array]:
    return {f"b_{name[2:]}": draw.normal(weight.shape[1], scale=0.3) for name, weight in weights.items()}


def multi_head_attention(draw: Draw) -> list[Case]:
    """x_q (B, T, d_model), x_kv (B, S, d_kv_model). A key bias has gradient zero unless rotated."""
    op = "multi_head_attention"

    def make(variant: str, x: dict[str, Array], w: dict[str, Array], biases: bool, **arguments: Any) -> Case:
        b = _biases(draw, w) if biases else {}
        rotated = "positions_q" in arguments
        if "x_kv" not in x:
            arguments["x_kv"] = None
        zero = ("b_k",) if biases and not rotated else ()
        return draw.case(op, variant, {**x, **w, **b}, zero=zero, **arguments)

    at = np.array([7, 0, 3, 9])  # flat positions b * T + t, in no order
    return [
        make(
            "self, fully masked row, dropout",
            {"x_q": draw.normal(2, 5, 4)},
            _projections(draw, 4, 2, 2, 3),
            True,
            n_heads=2,
            mask=draw.mask(2, 1, 5, 5),
            dropout_p=0.25,
            dropout=True,
        ),
        make(
            "cross, no bias, every width its own",
            {"x_q": draw.normal(1, 4, 3), "x_kv": draw.normal(1, 5, 6)},
            _projections(draw, 3, 2, 2, 4, d_kv_model=6, d_out=5),
            False,
            n_heads=2,
        ),
        make(
            "cross, padded, d_k = d_v",
            {"x_q": draw.normal(2, 4, 4), "x_kv": draw.normal(2, 5, 4)},
            _projections(draw, 4, 2, 2, 2),
            True,
            n_heads=2,
            mask=draw.mask(2, 1, 1, 5, empty_row=False),
        ),
        make(
            "self, rotated, at four positions, dropout",
            {"x_q": draw.normal(2, 5, 4)},
            _projections(draw, 4, 2, 2, 1),
            True,
            n_heads=2,
            positions_q=np.arange(5),
            positions_kv=np.arange(5),
            rotary_base=20.0,
            at=at,
            dropout_p=0.2,
            dropout=True,
        ),
        make(
            "cross, grouped heads, causal, rotated by sequence",
            {"x_q": draw.normal(2, 4, 4), "x_kv": draw.normal(2, 6, 4)},
            _projections(draw, 4, 4, 2, 3, h_kv=2),
            True,
            n_heads=4,
            causal=True,
            query_offset=2,
            positions_q=draw.ids(9, 2, 4),
            positions_kv=draw.ids(9, 2, 6),
            rotary_base=20.0,
        ),
        make(
            "self, causal, equal sizes",
            {"x_q": draw.normal(2, 4, 4)},
            _projections(draw, 4, 2, 2, 2),
            True,
            n_heads=2,
            causal=True,
        ),
    ]


CASES = {
    "scaled_dot_product_attention": scaled_dot_product_attention,
    "multi_head_attention": multi_head_attention,
}
