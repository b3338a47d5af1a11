"""PyTorch's masks as npformer has them. This is the only place where one becomes the other.

                        torch.nn                                  npformer
    boolean             True = may NOT be attended to             True = may be attended to
    float               added to the scores; -inf forbids         `bias`, added to the scores; and `mask`
    padding             (B, S), or (S,) without a batch           (B, 1, 1, S)
    attention mask      (T, S), or (B · h, T, S)                  (1, 1, T, S), or (B, h, T, S)
    both                their sum                                 mask: "and"; bias: the sum
    nothing allowed     NaN or zeros, depending on the path       zeros, and zero gradients

A float mask is a constant: nobody gets its gradient. (`torch.nn.functional.scaled_dot_product_attention` has
booleans the other way round; this is about the modules.)
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .torch_arrays import Array, as_array


def scores_of_masks(
    op: str,
    shape: tuple[int, int, int, int],
    dtype: npt.DTypeLike,
    attention: tuple[str, Any],
    padding: tuple[str, Any],
) -> tuple[Array | None, Array | None]:
    """Translate an attention mask and a key padding mask.

    Parameters
    ----------
    op : str
        Who asks, for the messages.
    shape : (B, h, T, S)
        Of the scores.
    dtype : dtype
        Of the scores.
    attention, padding : (name of the argument, its value or None)

    Returns
    -------
    mask : ndarray of bool, broadcastable to (B, h, T, S), or None where everything is allowed
    bias : ndarray of `dtype`, broadcastable to (B, h, T, S), or None where nothing is added

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what was expected and what came.

    Examples
    --------
    >>> causal = np.triu(np.ones((3, 3), bool), 1)  # as torch.nn has it: True above the diagonal
    >>> mask, bias = scores_of_masks("op", (1, 2, 3, 3), float, ("src_mask", causal), ("padding", None))
    >>> mask[0, 0, 1], bias
    (array([ True,  True, False]), None)
    """
    B, h, T, S = shape
    allowed: list[Array] = []
    added: list[Array] = []
    for (name, value), shapes in (
        (attention, {(T, S): (1, 1, T, S), (B * h, T, S): (B, h, T, S)}),
        (padding, {(B, S): (B, 1, 1, S)} | ({(S,): (1, 1, 1, S)} if B == 1 else {})),
    ):
        if value is None:
            continue
        value = as_array(f"{op}: {name}", value, boolean=True)
        if value.shape not in shapes:
            raise ValueError(
                f"{op}: {name}: expected shape {' or '.join(map(str, shapes))}, got {value.shape}"
            )
        value = value.reshape(shapes[value.shape])
        if value.dtype == np.bool_:
            allowed.append(~value)
            continue
        if not (value < np.inf).all():
            raise ValueError(f"{op}: {name}: expected numbers or -inf, got NaN or +inf among them")
        may = value > -np.inf
        if not may.all():
            allowed.append(may)
        finite = np.where(may, value, 0.0).astype(dtype)
        if finite.any():
            added.append(finite)
    mask = None if not allowed else allowed[0] if len(allowed) == 1 else allowed[0] & allowed[1]
    bias = None if not added else added[0] if len(added) == 1 else added[0] + added[1]
    return mask, bias
