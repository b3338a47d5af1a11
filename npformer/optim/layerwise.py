"""Smaller learning rates for the layers nearer to the input.

    lr_scale = factor ** (L - i)      layer i of L, counted from 0: the last has the factor itself
    lr_scale = factor ** (L + 1)      embeddings
    lr_scale = 1                      what stands on the layers: the last norm, heads

Encoder and decoder of one model have each an L of its own; the embeddings are below the higher of the two.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from ._arguments import bad_value, require_count, require_number

LAYER = re.compile(r"(encoder|decoder)\.(\d+)\.")


def layerwise_decay(n_layers: int | Mapping[str, int], factor: float) -> Callable[[str], float]:
    """Return by what the learning rate of each parameter is multiplied, of its name; for `make_segments`.

    Parameters
    ----------
    n_layers : int or mapping
        L, of the encoder or the decoder; where a model has both, of each of the two, or {"encoder": L,
        "decoder": L} with their own.
    factor : float
        From one layer to the one below it, in (0, 1]: 1 / 2.6 in ULMFiT, 0.8 or 0.9 in ELECTRA.

    Returns
    -------
    callable, name -> float
        Raises ValueError for a layer that the model is said not to have.

    Raises
    ------
    ValueError, TypeError
        If a number is out of its range.

    References
    ----------
    Howard, Ruder: Universal Language Model Fine-tuning for Text Classification (ULMFiT), arXiv:1801.06146,
    section 3.2.
    Clark et al.: ELECTRA, arXiv:2003.10555, appendix B. (Its code has one factor more in every layer, which
    its authors call left over from a pooler that is no more.)

    Examples
    --------
    >>> lr_scale = layerwise_decay(n_layers=2, factor=0.5)
    >>> for name in ("embeddings.token", "encoder.0.attention.query.weight", "encoder.1.attention_norm.beta"):
    ...     print(lr_scale(name))
    0.125
    0.25
    0.5
    >>> lr_scale("encoder.norm.gamma"), lr_scale("task.weight")
    (1.0, 1.0)
    """
    op = "layerwise_decay"
    halves = n_layers if isinstance(n_layers, Mapping) else dict.fromkeys(("encoder", "decoder"), n_layers)
    depths = {half: require_count(op, "n_layers", L, 1) for half, L in halves.items()}
    if not depths or not depths.keys() <= {"encoder", "decoder"}:
        bad_value(op, "n_layers", "those of encoder, decoder or both", dict(depths))
    factor = require_number(op, "factor", factor, 0.0, 1.0, above=True)

    def lr_scale(name: str) -> float:
        if name.startswith("embeddings."):
            return factor ** (max(depths.values()) + 1)
        found = LAYER.match(name)
        if found is None:
            return 1.0
        L, i = depths.get(found[1], 0), int(found[2])
        if i >= L:
            bad_value(op, "n_layers", f"at least {i + 1}, as there is {name}", L)
        return factor ** (L - i)

    return lr_scale
