"""The ops in PyTorch: what is differentiated is torch's own op wherever there is one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from ..cases import OPS, Case, cases
from ..golden import Array
from .flash import flash_attention

Tensor = torch.Tensor


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """torch keeps its weights as (d_out, d_in)."""
    return F.linear(x, weight.T, bias)


def swiglu(gate: Tensor, up: Tensor) -> Tensor:
    """No op of torch's; a product of two."""
    return F.silu(gate) * up


def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """torch says dim."""
    return torch.softmax(x, dim=axis)


def log_softmax(x: Tensor, axis: int = -1) -> Tensor:
    """torch says dim."""
    return torch.log_softmax(x, dim=axis)


def cross_entropy(
    logits: Tensor,
    targets: Tensor,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """torch has the classes on axis 1, and NaN for the mean over no target, which is 0 by convention here."""
    if reduction == "mean" and bool((targets == ignore_index).all()):
        return (logits * 0).sum()
    logits = logits.movedim(-1, 1) if logits.ndim > 2 else logits
    return F.cross_entropy(
        logits, targets, ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing
    )


def binary_cross_entropy_with_logits(
    logits: Tensor, targets: Tensor, weight: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """torch's own."""
    return F.binary_cross_entropy_with_logits(logits, targets, weight, reduction=reduction)


def mse_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """torch's own."""
    return F.mse_loss(input, target, reduction=reduction)


def info_nce(
    queries: Tensor, keys: Tensor, negatives: Tensor | None = None, temperature: float = 0.05
) -> Tensor:
    """No op of torch's: cosine similarities of all pairs, cross entropy on the diagonal."""
    keys = keys if negatives is None else torch.cat([keys, negatives])
    similarities = F.cosine_similarity(queries[:, None, :], keys[None, :, :], dim=-1)
    return F.cross_entropy(similarities / temperature, torch.arange(len(queries)))


def layer_norm(x: Tensor, gamma: Tensor, beta: Tensor, eps: float = 1e-5) -> Tensor:
    """torch's own."""
    return F.layer_norm(x, gamma.shape, gamma, beta, eps)


def rms_norm(x: Tensor, gamma: Tensor, eps: float = 1e-6) -> Tensor:
    """torch's own."""
    return F.rms_norm(x, gamma.shape, gamma, eps)


def embedding(ids: Tensor, table: Tensor) -> Tensor:
    """torch's own."""
    return F.embedding(ids, table)


def dropout(x: Tensor, p: float, kept: list[Tensor]) -> Tensor:
    """torch draws its own masks; here it is NumPy's."""
    return x * kept.pop(0) / (1 - p)


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    causal: bool = False,
    query_offset: int = 0,
    window: int | None = None,
    scale: float | None = None,
    softcap: float | None = None,
    dropout_p: float = 0.0,
    kept: list[Tensor] | None = None,
) -> Tensor:
    """Torch's own, or its softmax with softcap and NumPy's dropout. Fully masked rows give zeros."""
    T, S = q.shape[-2], k.shape[-2]
    allowed = torch.ones(T, S, dtype=torch.bool) if mask is None else mask
    if causal:
        allowed = allowed & (torch.arange(S) <= torch.arange(T)[:, None] + query_offset)
    if window is not None:
        position = torch.arange(query_offset, query_offset + T)[:, None]
        allowed = allowed & (torch.arange(S) > position - window) & (torch.arange(S) < position + window)
    if q.ndim == 4 and q.shape[1] != k.shape[1]:  # grouped heads: each key head serves that many in a row
        group = q.shape[1] // k.shape[1]
        k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
    alive = allowed.any(dim=-1, keepdim=True)
    allowed = allowed | ~alive  # a row without keys would be NaN: let it attend, and drop what it says
    additive = torch.zeros((), dtype=q.dtype).masked_fill(~allowed, -math.inf)
    if bias is not None:
        additive = additive + bias
    if dropout_p == 0.0 and softcap is None:
        additive = additive.expand(*q.shape[:-1], S)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=additive, scale=scale)
    else:
        scores = q @ k.transpose(-1, -2) * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
        if softcap is not None:
            scores = softcap * torch.tanh(scores / softcap)
        weights = torch.softmax(scores + additive, dim=-1)
        out = (weights if kept is None else dropout(weights, dropout_p, kept)) @ v
    return torch.where(alive, out, torch.zeros((), dtype=q.dtype))


def rotary(x: Tensor, positions: Tensor, base: float = 10000.0, interleaved: bool = False) -> Tensor:
    """No op of torch's: pairs as complex numbers, times exp(i · angle)."""
    d = x.shape[-1]
    frequencies = base ** (-torch.arange(0, d, 2, dtype=torch.float64) / d)
    turn = torch.polar(torch.ones((), dtype=torch.float64), positions[..., None].double() * frequencies)
    if interleaved:
        return torch.view_as_real(torch.view_as_complex(x.reshape(*x.shape[:-1], d // 2, 2)) * turn).reshape(
            x.shape
        )
    pairs = torch.complex(x[..., : d // 2], x[..., d // 2 :]) * turn
    return torch.cat([pairs.real, pairs.imag], dim=-1)


def multi_head_attention(
    x_q: Tensor,
    x_kv: Tensor | None,
    w_q: Tensor,
    w_k: Tensor,
    w_v: Tensor,
    w_o: Tensor,
    b_q: Tensor | None = None,
    b_k: Tensor | None = None,
    b_v: Tensor | None = None,
    b_o: Tensor | None = None,
    bias: Tensor | None = None,
    gamma_q: Tensor | None = None,
    gamma_k: Tensor | None = None,
    *,
    n_heads: int,
    positions_q: Tensor | None = None,
    positions_kv: Tensor | None = None,
    rotary_base: float = 10000.0,
    rotary_interleaved: bool = False,
    norm_eps: float = 1e-6,
    at: Tensor | None = None,
    **attention: Any,
) -> Tensor:
    """Where torch's own fits (one width, every position, none of the options), that; else as `attend`."""
    x_kv = x_q if x_kv is None else x_kv
    d_model = x_q.shape[-1]
    plain = set(attention) <= {"mask"} and positions_q is None and at is None and b_q is not None
    plain = plain and bias is None and gamma_q is None
    if plain and all(w.shape == (d_model, d_model) for w in (w_q, w_k, w_v, w_o)):
        return _torchs_own(
            x_q, x_kv, (w_q, w_k, w_v, w_o), (b_q, b_k, b_v, b_o), n_heads, attention.get("mask")
        )

    d_k = w_q.shape[1] // n_heads
    h_kv = w_k.shape[1] // d_k

    def heads(
        x: Tensor, w: Tensor, b: Tensor | None, h: int, gamma: Tensor | None, positions: Tensor | None
    ) -> Tensor:
        y = linear(x, w, b).unflatten(-1, (h, -1)).transpose(1, 2)  # (B, h, T, d_k)
        if gamma is not None:
            y = rms_norm(y, gamma, norm_eps)
        if positions is None:
            return y
        positions = positions if positions.ndim == 1 else positions[:, None, :]
        return rotary(y, positions, rotary_base, rotary_interleaved)

    out = attend(
        heads(x_q, w_q, b_q, n_heads, gamma_q, positions_q),
        heads(x_kv, w_k, b_k, h_kv, gamma_k, positions_kv),
        heads(x_kv, w_v, b_v, h_kv, None, None),
        bias,
        **attention,
    )
    out = linear(out.transpose(1, 2).flatten(-2), w_o, b_o)
    return out if at is None else out.flatten(0, 1)[at]


def _torchs_own(
    x_q: Tensor, x_kv: Tensor, weights: Any, biases: Any, n_heads: int, mask: Tensor | None
) -> Tensor:
    w_q, w_k, w_v, w_o = weights
    b_q, b_k, b_v, b_o = biases
    padding = None if mask is None else ~mask[:, 0, 0, :]  # torch: True = is padding
    out, _ = F.multi_head_attention_forward(
        x_q.transpose(0, 1),
        x_kv.transpose(0, 1),
        x_kv.transpose(0, 1),
        x_q.shape[-1],
        n_heads,
        in_proj_weight=torch.cat([w_q.T, w_k.T, w_v.T]),
        in_proj_bias=torch.cat([b_q, b_k, b_v]),
        bias_k=None,
        bias_v=None,
        add_zero_attn=False,
        dropout_p=0.0,
        out_proj_weight=w_o.T,
        out_proj_bias=b_o,
        key_padding_mask=padding,
        need_weights=False,
    )
    return out.transpose(0, 1)


def sinusoidal_positions(length: int, d_model: int) -> Tensor:
    """No op of torch's; row t holds sin and cos of t / 10000^(2i / d_model), interleaved."""
    frequency = 10000.0 ** (-torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)
    angle = torch.arange(length, dtype=torch.float64)[:, None] * frequency
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2)


def alibi(n_heads: int, T: int, S: int, query_offset: int = 0) -> Tensor:
    """No op of torch's; the slopes by the recursion of the authors' code."""

    def slopes(n: int) -> list[float]:
        if math.log2(n).is_integer():
            return [2 ** (-8 * i / n) for i in range(1, n + 1)]
        lower = 2 ** math.floor(math.log2(n))
        return slopes(lower) + slopes(2 * lower)[::2][: n - lower]

    distance = (torch.arange(S) - torch.arange(query_offset, query_offset + T)[:, None]).abs()
    return -torch.tensor(slopes(n_heads), dtype=torch.float64)[:, None, None] * distance


TORCH: dict[str, Callable[..., Tensor]] = {
    "linear": linear,
    "relu": lambda x: F.relu(x),
    "tanh": lambda x: torch.tanh(x),
    "sigmoid": lambda x: torch.sigmoid(x),
    "silu": lambda x: F.silu(x),
    "gelu": lambda x, approximate: F.gelu(x, approximate=approximate),
    "swiglu": swiglu,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "cross_entropy": cross_entropy,
    "binary_cross_entropy_with_logits": binary_cross_entropy_with_logits,
    "mse_loss": mse_loss,
    "info_nce": info_nce,
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
    "embedding": embedding,
    "dropout": dropout,
    "scaled_dot_product_attention": attend,
    "flash_attention": flash_attention,
    "multi_head_attention": multi_head_attention,
    "rotary": rotary,
    "sinusoidal_positions": sinusoidal_positions,
    "alibi": alibi,
}


def tensor(x: Any) -> Any:
    """Return arrays as tensors of their own, everything else as it is."""
    if not isinstance(x, np.ndarray):
        return x
    return torch.tensor(x.astype(np.int64) if x.dtype.kind in "iu" else x)


def stored_op(case: Case) -> dict[str, Array]:
    """Return inputs, cotangent, output and gradients of one case, by PyTorch."""
    drawn, kept = case.kept()
    arrays = {name: x for name, x in case.arguments.items() if isinstance(x, np.ndarray)}
    arguments = {name: tensor(x) for name, x in case.arguments.items()}
    if case.random is not None:
        arguments["kept"] = [tensor(keep.astype(np.float64)) for keep in kept] or [torch.ones(())]
    leaves = {name: tensor(x).requires_grad_() for name, x in case.inputs.items()}
    out = TORCH[case.op](**leaves, **arguments)
    if case.op == "cross_entropy" and out.ndim:
        out = out.reshape(case.dout.shape)
    gradients = torch.autograd.grad(out, list(leaves.values()), tensor(case.dout)) if leaves else ()
    return {
        **{f"in/{name}": x for name, x in case.inputs.items()},
        **{f"arg/{name}": x for name, x in arrays.items()},
        **{f"kept/{i}": keep for i, keep in enumerate(kept)},
        **{f"drawn/{i}": u for i, u in enumerate(drawn) if case.op == "flash_attention"},
        "dout": case.dout,
        "out": out.detach().numpy(),
        **{f"grad/{name}": g.numpy() for name, g in zip(case.inputs, gradients, strict=True)},
    }


def make(ops: tuple[str, ...] = OPS) -> dict[str, Array]:
    """Return everything to be stored about the ops, at the points of seed 0."""
    return {
        f"{op}/{case.variant}/{key}": value
        for op in ops
        for case in cases(op, 0)
        for key, value in stored_op(case).items()
    }
