"""Generic points for the ops: where a mistake shows, with sizes that differ, repeats, masks and dropout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

ACTIVATIONS = ("relu", "tanh", "sigmoid", "silu", "gelu", "gelu_tanh")

OBJECTIVES = (
    *("hard_negatives", "symmetric_info_nce", "mean_pooling", "weighted_cross_entropy"),
    *("lora", "replaced_token_detection", "pooler", "cosine_similarity"),
)

# the axes of each op, by the letters of its docstring, and how long they are unless told otherwise
SIZES: dict[str, dict[str, int]] = {
    "linear": {"N": 4, "d_in": 3, "d_out": 5},
    "residual": {"N": 5, "d": 4},
    **{op: {"N": 3, "d": 5} for op in ACTIVATIONS},
    "softmax": {"N": 16, "V": 5},  # enough rows that not all weights sum to 1 exactly
    "log_softmax": {"N": 16, "V": 5},
    "swiglu": {"N": 3, "d": 5},
    "cross_entropy": {"N": 6, "V": 4},
    "binary_cross_entropy_with_logits": {"N": 3, "V": 5},
    "mse_loss": {"N": 3, "d": 5},
    "info_nce": {"N": 4, "d": 6},
    "distillation": {"N": 5, "V": 6},
    "layer_norm": {"B": 2, "T": 3, "d": 5},
    "rms_norm": {"B": 2, "T": 3, "d": 5},
    "embedding": {"B": 2, "T": 4, "V": 6, "d": 3},
    "tied_embeddings": {"B": 2, "T": 4, "V": 6, "d": 3},
    "dropout": {"N": 4, "d": 6},
    "rotary": {"B": 2, "T": 3, "pairs": 3},
    "scaled_dot_product_attention": {"B": 2, "T": 4, "S": 6, "d_k": 3, "d_v": 5},
    "softcapped_attention": {"B": 2, "T": 4, "S": 6, "d_k": 3, "d_v": 5},
    "flash_attention": {"B": 2, "T": 5, "d_k": 3, "d_v": 4},
    "multi_head_attention": {"B": 2, "T": 3, "d_model": 5, "width": 4, "d_out": 6},
    "query_key_norm_attention": {"B": 2, "T": 3, "d_model": 5, "width": 6, "d_out": 4},
    "hard_negatives": {"N": 4, "M": 3, "d": 6},
    "symmetric_info_nce": {"N": 4, "d": 6},
    "mean_pooling": {"B": 3, "T": 4, "d": 5},
    "weighted_cross_entropy": {"N": 6, "V": 4},
    "lora": {"N": 6, "d_in": 5, "d_out": 4, "r": 3},
    "replaced_token_detection": {"B": 3, "T": 5},
    "pooler": {"B": 3, "T": 4, "d_model": 5, "d_out": 6},
    "cosine_similarity": {"N": 4, "d": 5},
}

# the same, with sizes equal that a transpose would exchange
EQUAL: dict[str, dict[str, int]] = {
    "linear": {"d_out": 3},
    "scaled_dot_product_attention": {"S": 4},
    "softcapped_attention": {"S": 4},
    "multi_head_attention": {"d_model": 4, "d_out": 4},
    "hard_negatives": {"M": 4},
    "lora": {"d_out": 5, "r": 5},
    "pooler": {"d_out": 5},
}


def sample_inputs(
    op: str, seed: int = 0, equal: bool = False, sizes: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """Return a generic point for an op, its arguments in order, by the short names of an exercise.

    Parameters
    ----------
    op : str
        One of `npformer.functional`, or "gelu_tanh", "softcapped_attention", "query_key_norm_attention",
        "residual", "tied_embeddings", "distillation", or one of `npformer.diagnosis.textbook.objectives`.
    seed : int
    equal : bool
        Make sizes equal that a transpose would exchange.
    sizes : mapping of str to int, optional
        Other lengths of the op's axes, e.g. ``{"N": 7}``; `npformer.diagnosis.samples.SIZES` has their names.

    Returns
    -------
    dict of str to anything
        Attention is self-attention with a mask; dropout has a Generator `rng`.

    Raises
    ------
    ValueError
        If there is no such op, or it has no such axis.

    Examples
    --------
    >>> {name: x.shape for name, x in sample_inputs("linear").items()}
    {'x': (4, 3), 'w': (3, 5), 'b': (5,)}
    >>> {name: x.shape for name, x in sample_inputs("linear", sizes={"N": 2}).items()}
    {'x': (2, 3), 'w': (3, 5), 'b': (5,)}
    """
    if op not in SIZES:
        raise ValueError(f"sample_inputs: op: expected an op of npformer.functional, got {op!r}")
    unknown = set(sizes or {}) - set(SIZES[op])
    if unknown:
        expected = ", ".join(SIZES[op])
        raise ValueError(
            f"sample_inputs: sizes: expected axes of {op}, {expected}, got {', '.join(sorted(unknown))}"
        )
    n = {**SIZES[op], **(EQUAL.get(op, {}) if equal else {}), **(sizes or {})}
    rng = np.random.default_rng([seed, len(op)])
    normal, uniform = rng.standard_normal, rng.uniform
    if op == "linear":
        return {
            "x": normal((n["N"], n["d_in"])),
            "w": normal((n["d_in"], n["d_out"])),
            "b": normal(n["d_out"]),
        }
    if op == "residual":
        return {"x": normal((n["N"], n["d"])), "w": normal((n["d"], n["d"])) / 2}
    if op in ACTIVATIONS:  # away from the kink that relu has at 0
        shape = (n["N"], n["d"])
        return {"x": uniform(0.3, 2.0, shape) * np.where(rng.random(shape) < 0.5, -1, 1)}
    if op in ("softmax", "log_softmax"):
        return {"x": normal((n["N"], n["V"]))}
    if op == "swiglu":
        return {"gate": normal((n["N"], n["d"])), "up": normal((n["N"], n["d"]))}
    if op == "cross_entropy":
        targets = rng.integers(0, n["V"], n["N"])
        targets[n["N"] // 3], targets[-1] = -100, targets[0]
        return {"logits": normal((n["N"], n["V"])), "targets": targets}
    if op == "binary_cross_entropy_with_logits":
        return {"logits": normal((n["N"], n["V"])), "targets": rng.integers(0, 2, (n["N"], n["V"]))}
    if op == "mse_loss":
        return {"input": normal((n["N"], n["d"])), "target": normal((n["N"], n["d"]))}
    if op == "info_nce":
        return {"queries": normal((n["N"], n["d"])), "keys": normal((n["N"], n["d"]))}
    if op == "distillation":  # whole numbers: the teacher is no variable
        teacher = rng.integers(-3, 4, (n["N"], n["V"]))
        return {"logits": normal((n["N"], n["V"])), "teacher_logits": teacher}
    if op in OBJECTIVES:
        return _of_objective(op, n, rng)
    if op == "layer_norm":
        x = normal((n["B"], n["T"], n["d"]))
        return {"x": x, "gamma": uniform(0.5, 1.5, n["d"]), "beta": normal(n["d"])}
    if op == "rms_norm":
        return {"x": normal((n["B"], n["T"], n["d"])), "gamma": uniform(0.5, 1.5, n["d"])}
    if op in ("embedding", "tied_embeddings"):
        ids = rng.integers(min(1, n["V"] - 1), n["V"], (n["B"], n["T"]))
        ids[0, 0], ids[-1, -1] = 0, ids[0, 1 % n["T"]]
        return {"ids": ids, "table": normal((n["V"], n["d"]))}
    if op == "dropout":
        return {"x": normal((n["N"], n["d"])), "rng": np.random.default_rng(seed)}
    if op == "rotary":
        return {"x": normal((n["B"], n["T"], 2 * n["pairs"]))}
    if op == "scaled_dot_product_attention":
        return _attention(n, rng, seed)
    if op == "softcapped_attention":
        return {name: x for name, x in _attention(n, rng, seed).items() if name != "rng"}
    if op == "flash_attention":
        q, k, v = (normal((n["B"], n["T"], n[d])) for d in ("d_k", "d_k", "d_v"))
        return {"q": q, "k": k, "v": v, "rng": np.random.default_rng(seed)}
    point = _multi_head_attention(n, rng)
    if op == "query_key_norm_attention":
        gammas = {f"gamma_{name}": uniform(0.5, 1.5, n["width"] // 2) for name in "qk"}
        point = {name: x for name, x in point.items() if name[0] in "xw"} | gammas | {"mask": point["mask"]}
    return point


def _attention(n: Mapping[str, int], rng: np.random.Generator, seed: int) -> dict[str, Any]:
    normal = rng.standard_normal
    B, T, S = n["B"], n["T"], n["S"]
    mask = rng.random((B, T, S)) < 0.7
    mask[:, :, :2] = True
    mask[0, 1 % T, 2 % S] = False
    mask[-1, T - 1] = False
    q, k, v = normal((B, T, n["d_k"])), normal((B, S, n["d_k"])), normal((B, S, n["d_v"]))
    return {"q": q, "k": k, "v": v, "mask": mask, "rng": np.random.default_rng(seed)}


def _multi_head_attention(n: Mapping[str, int], rng: np.random.Generator) -> dict[str, Any]:
    normal = rng.standard_normal
    B, T, d_model, width = n["B"], n["T"], n["d_model"], n["width"]
    mask = rng.random((B, 1, T, T)) < 0.7
    mask[:, :, :, 0] = True
    mask[0, 0, 1 % T] = False
    weights = {f"w_{name}": normal((d_model, width)) / 2 for name in "qkv"}
    weights["w_o"] = normal((width, n["d_out"])) / 2
    biases = {f"b_{name}": normal(weights[f"w_{name}"].shape[1]) for name in "qkvo"}
    return {"x": normal((B, T, d_model)), **weights, **biases, "mask": mask}


def _of_objective(op: str, n: Mapping[str, int], rng: np.random.Generator) -> dict[str, Any]:
    normal = rng.standard_normal
    if op in ("hard_negatives", "symmetric_info_nce"):
        point = {"queries": normal((n["N"], n["d"])), "keys": normal((n["N"], n["d"]))}
        return point if op == "symmetric_info_nce" else {**point, "negatives": normal((n["M"], n["d"]))}
    if op == "mean_pooling":
        return {"hidden": normal((n["B"], n["T"], n["d"])), "mask": _padding(n["B"], n["T"])}
    if op == "weighted_cross_entropy":  # whole numbers: the weights are no variables
        targets = rng.integers(0, n["V"], n["N"])
        targets[0], targets[-1] = 0, n["V"] - 1
        weights = 3 - 2 * np.arange(n["V"]) % 3  # 3, 1, 2, 3, ...
        return {"logits": normal((n["N"], n["V"])), "targets": targets, "class_weights": weights}
    if op == "lora":
        shapes = {"x": ("N", "d_in"), "w": ("d_in", "d_out"), "a": ("d_in", "r"), "b": ("r", "d_out")}
        return {name: normal((n[rows], n[columns])) for name, (rows, columns) in shapes.items()}
    if op == "replaced_token_detection":
        replaced = rng.integers(0, 2, (n["B"], n["T"]))
        replaced[:, 0], replaced[0, -1] = 0, 1
        return {"logits": normal((n["B"], n["T"])), "replaced": replaced, "mask": _padding(n["B"], n["T"])}
    if op == "pooler":
        weight = normal((n["d_model"], n["d_out"])) / 2
        return {"hidden": normal((n["B"], n["T"], n["d_model"])), "w": weight, "b": normal(n["d_out"])}
    return {"u": normal((n["N"], n["d"])), "v": normal((n["N"], n["d"]))}


def _padding(B: int, T: int) -> Any:
    """Return the mask (B, T) of texts of which each is shorter than the one before, down to one token."""
    return np.arange(T) < np.maximum(T - np.arange(B)[:, None], 1)
