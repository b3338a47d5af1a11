"""Clipping by the global norm: a gradient that is too long is shortened, and keeps its direction.

    norm = √(Σ over all arrays and all entries of g²)
    g ← g · min(1, max_norm / (norm + 1e-6))

One norm for all parameters together, not one for each.
"""

import numpy as np

Array = np.ndarray


def clip_by_global_norm(grads: dict[str, Array], max_norm: float) -> tuple[dict[str, Array], float]:
    """Return new gradients by the same names, and the norm before clipping. Leave the given ones alone."""
    norm = float(np.sqrt(sum(float((g.astype(float) ** 2).sum()) for g in grads.values())))
    factor = min(1.0, max_norm / (norm + 1e-6))
    return {name: g * factor for name, g in grads.items()}, norm
