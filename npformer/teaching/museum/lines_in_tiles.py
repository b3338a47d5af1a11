"""The lines of attention in tiles that the museum exchanges."""

from __future__ import annotations

Lines = dict[str, tuple[str, str, str]]

IN_TILES: Lines = {
    "dout-for-out-in-D": (
        "D = (dout * out).sum(axis=-1, keepdims=True)",
        "D = (dout * dout).sum(axis=-1, keepdims=True)",
        "Both have the shape of the output.",
    ),
    "sum-term-missing": (
        "dS = P * (dP - D[..., t, :])",
        "dS = P * dP",
        "It is a sum over all tiles, and a tile has no such sum.",
    ),
    "logarithm-missing": (
        "L = largest + np.log(total)",
        "L = largest + total",
        "Where one key has all the weight, l is 1 and P is off by a factor alone.",
    ),
    "maximum-missing": (
        "L = largest + np.log(total)",
        "L = np.log(total)",
        "It is the log-sum-exp of what was summed.",
    ),
    "last-tile-ignored": (
        "for i in range(0, n, size):",
        "for i in range(0, n - size + 1, size):",
        "Where size divides the length it is right.",
    ),
    "diagonal-tile-skipped": (
        "for j in range(0, min(i + size, n), size):",
        "for j in range(0, i, size):",
        "Keys before the query are in tiles before its own, but for those in its own.",
    ),
    "tile-overwritten": (
        "dq[..., t, :] += dS @ k[..., s, :]",
        "dq[..., t, :] = dS @ k[..., s, :]",
        "With a single tile it is right.",
    ),
    "scale-missing-in-dk": (
        "return dq * scale, dk * scale, dv",
        "return dq * scale, dk, dv",
        "dq is right, and dk looks like it.",
    ),
    "pre-dropout-weights": ("dropped = P * keep", "dropped = P * 1.0", "Without dropout it is right."),
    "dropout-missing-in-dp": ("dP = dP * keep", "dP = dP * 1.0", "Without dropout it is right."),
}
