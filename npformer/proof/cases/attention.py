"""Cases of attention: masks, windows, biases, softcap, groups of heads, dropout, norms, rotation, ALiBi."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...functional import alibi as alibi_bias
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
        draw.case(op, "window 2", qkv(1, 2, 5, 4, 3, 2), window=2),
        draw.case(  # at positions 4 to 7, with keys 0 to 4: the last query sees nothing
            op,
            "causal, window 3, offset 4",
            qkv(2, 1, 4, 5, 3, 2),
            causal=True,
            window=3,
            query_offset=4,
        ),
        draw.case(
            op,
            "softcap 0.8, bias (h, T, S), fully masked row, dropout",
            {**qkv(1, 2, 4, 5, 3, 6), "bias": draw.normal(2, 4, 5)},
            softcap=0.8,
            mask=draw.mask(1, 2, 4, 5),
            dropout_p=0.3,
            dropout=True,
        ),
        draw.case(
            op,
            "everything at once, grouped heads",
            {**qkv(1, 4, 3, 6, 3, 2, h_kv=2), "bias": draw.normal(4, 1, 6)},
            causal=True,
            window=4,
            query_offset=2,
            softcap=1.5,
            scale=0.9,
            mask=draw.mask(1, 4, 1, 6, empty_row=False),
            dropout_p=0.3,
            dropout=True,
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
    """x_q (B, T, d_model), x_kv (B, S, d_kv_model). A key bias alone in its score has gradient zero."""
    op = "multi_head_attention"

    def make(
        variant: str,
        x: dict[str, Array],
        w: dict[str, Array],
        biases: bool,
        more: dict[str, Array] | None = None,
        **arguments: Any,
    ) -> Case:
        b = _biases(draw, w) if biases else {}
        more = more or {}
        moved = "positions_q" in arguments or "gamma_q" in more or "softcap" in arguments
        if "x_kv" not in x:
            arguments["x_kv"] = None
        zero = ("b_k",) if biases and not moved else ()
        return draw.case(op, variant, {**x, **w, **b, **more}, zero=zero, **arguments)

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
        make(
            "self, everything at once: query-key norm, interleaved rotation, ALiBi, window, softcap",
            {"x_q": draw.normal(2, 4, 3)},
            _projections(draw, 3, 4, 4, 1, h_kv=2),
            True,
            {
                "bias": alibi_bias(4, 4, 4) + draw.normal(1, 4, scale=0.3),
                "gamma_q": draw.gamma(4),
                "gamma_k": draw.gamma(4),
            },
            n_heads=4,
            causal=True,
            window=3,
            softcap=1.5,
            scale=0.4,
            positions_q=np.arange(4),
            positions_kv=np.arange(4),
            rotary_base=20.0,
            rotary_interleaved=True,
            norm_eps=1e-3,
            dropout_p=0.2,
            dropout=True,
        ),
        make(
            "cross, query-key norm, bias (B, 1, 1, S), padded",
            {"x_q": draw.normal(2, 4, 3), "x_kv": draw.normal(2, 5, 4)},
            _projections(draw, 3, 2, 3, 2, d_kv_model=4),
            True,
            {"bias": draw.normal(2, 1, 1, 5), "gamma_q": draw.gamma(3), "gamma_k": draw.gamma(3)},
            n_heads=2,
            mask=draw.mask(2, 1, 1, 5, empty_row=False),
        ),
    ]


def alibi(draw: Draw) -> list[Case]:
    """A constant: its values alone can be wrong."""
    return [
        draw.case("alibi", "8 heads", {}, n_heads=8, T=3, S=5, query_offset=2),
        draw.case("alibi", "12 heads", {}, n_heads=12, T=4, S=3),
    ]


CASES = {
    "scaled_dot_product_attention": scaled_dot_product_attention,
    "multi_head_attention": multi_head_attention,
    "alibi": alibi,
}
