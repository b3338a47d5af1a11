"""Generic points for the ops: where a mistake shows, with sizes that differ, repeats, masks and dropout."""

from __future__ import annotations

from typing import Any

import numpy as np


def sample_inputs(op: str, seed: int = 0, equal: bool = False) -> dict[str, Any]:
    """Return a generic point for an op, its arguments in order, by the short names of an exercise.

    Parameters
    ----------
    op : str
        One of `npformer.functional`, "gelu_tanh", "residual" or "tied_embeddings".
    seed : int
    equal : bool
        Make sizes equal that a transpose would exchange.

    Returns
    -------
    dict of str to anything
        Attention is self-attention with a mask; dropout has a Generator `rng`.

    Raises
    ------
    ValueError
        If there is no such op.

    Examples
    --------
    >>> {name: x.shape for name, x in sample_inputs("linear").items()}
    {'x': (4, 3), 'w': (3, 5), 'b': (5,)}
    """
    rng = np.random.default_rng([seed, len(op)])
    normal, uniform = rng.standard_normal, rng.uniform
    if op == "linear":
        d = 3 if equal else 5
        return {"x": normal((4, 3)), "w": normal((3, d)), "b": normal(d)}
    if op == "residual":
        return {"x": normal((5, 4)), "w": normal((4, 4)) / 2}
    if op in ("relu", "tanh", "sigmoid", "silu", "gelu", "gelu_tanh"):
        x = uniform(0.3, 2.0, (3, 5)) * np.where(rng.random((3, 5)) < 0.5, -1, 1)
        return {"x": x}
    if op in ("softmax", "log_softmax"):  # enough rows that not all weights sum to 1 exactly
        return {"x": normal((16, 5))}
    if op == "swiglu":
        return {"gate": normal((3, 5)), "up": normal((3, 5))}
    if op == "cross_entropy":
        targets = rng.integers(0, 4, 6)
        targets[[2, 5]] = -100, targets[0]
        return {"logits": normal((6, 4)), "targets": targets}
    if op == "binary_cross_entropy_with_logits":
        return {"logits": normal((3, 5)), "targets": rng.integers(0, 2, (3, 5))}
    if op == "mse_loss":
        return {"input": normal((3, 5)), "target": normal((3, 5))}
    if op == "info_nce":
        return {"queries": normal((4, 6)), "keys": normal((4, 6))}
    if op == "layer_norm":
        return {"x": normal((2, 3, 5)), "gamma": uniform(0.5, 1.5, 5), "beta": normal(5)}
    if op == "rms_norm":
        return {"x": normal((2, 3, 5)), "gamma": uniform(0.5, 1.5, 5)}
    if op in ("embedding", "tied_embeddings"):
        ids = rng.integers(1, 6, (2, 4))
        ids[0, 0], ids[1, 3] = 0, ids[0, 1]
        return {"ids": ids, "table": normal((6, 3))}
    if op == "dropout":
        return {"x": normal((4, 6)), "rng": np.random.default_rng(seed)}
    if op == "rotary":
        return {"x": normal((2, 3, 6))}
    return _attention(op, rng, seed, equal)


def _attention(op: str, rng: np.random.Generator, seed: int, equal: bool) -> dict[str, Any]:
    normal = rng.standard_normal
    if op == "scaled_dot_product_attention":
        T, S = (4, 4) if equal else (4, 6)
        mask = rng.random((2, T, S)) < 0.7
        mask[:, :, :2] = True
        mask[0, 1, 2] = False
        mask[1, T - 1] = False
        q, k, v = normal((2, T, 3)), normal((2, S, 3)), normal((2, S, 5))
        return {"q": q, "k": k, "v": v, "mask": mask, "rng": np.random.default_rng(seed)}
    if op != "multi_head_attention":
        raise ValueError(f"sample_inputs: op: expected an op of npformer.functional, got {op!r}")
    B, T, d, width = (2, 3, 4, 4) if equal else (2, 3, 5, 4)
    mask = rng.random((B, 1, T, T)) < 0.7
    mask[:, :, :, 0] = True
    mask[0, 0, 1] = False
    weights = {f"w_{n}": normal((d, width)) / 2 for n in "qkv"}
    out = d if equal else 6
    weights["w_o"] = normal((width, out)) / 2
    biases = {f"b_{n}": normal(weights[f"w_{n}"].shape[1]) for n in "qkvo"}
    return {"x": normal((B, T, d)), **weights, **biases, "mask": mask}
