"""The mistakes that attention in tiles has of its own, in the terms of its textbook."""

from __future__ import annotations

P_AGAIN = "exp(Z - L)"
SIZES = range(1, 9)  # how many keys and queries a tile may have, for what depends on it

OF_TILES: dict[str, list[dict[str, str]]] = {
    "mask-ignored": [{"P": "exp(scale * (q @ T(k_each)) + bias - L)"}],
    "dout-for-out-in-D": [{"D": "sum_over(dout * dout, -1)"}],
    "logarithm-missing": [{"P": "exp(Z - (m + l))"}],
    "maximum-missing": [{"P": "exp(Z - log(l))"}],
    "denominator-missing": [{"P": "exp(Z - m)"}],
    "last-tile-ignored": [
        *({"P": f"without_last({P_AGAIN}, {n}, {axis})"} for axis in (-1, -2) for n in SIZES),
        *({"P": f"without_last(without_last({P_AGAIN}, {n}, -1), {n}, -2)"} for n in SIZES),
    ],
    "diagonal-tile-skipped": [{"P": f"before_own_tile({P_AGAIN}, {n})"} for n in SIZES],
    "tile-overwritten": [
        *({"dq": f"last_tile(dZ_q, {n}) @ k_each"} for n in SIZES),
        *({"dk_each": f"last_tile(T(dZ_k), {n}) @ q"} for n in SIZES),
        *({"dv_each": f"last_tile(T(weights), {n}) @ dout"} for n in SIZES),
    ],
}
