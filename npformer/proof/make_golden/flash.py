"""Attention in PyTorch as the formula says it: every score at once, differentiated by autograd."""

from __future__ import annotations

import math

import torch

Tensor = torch.Tensor


def flash_attention(
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
    block_size: int | tuple[int, int] = 64,  # makes no difference
    kept: list[Tensor] | None = None,
) -> Tensor:
    """softmax over the keys that may be seen; a query that sees none gives zeros."""
    if q.ndim > 2 and q.shape[-3] != k.shape[-3]:  # each key head serves that many query heads in a row
        group = q.shape[-3] // k.shape[-3]
        k, v = k.repeat_interleave(group, dim=-3), v.repeat_interleave(group, dim=-3)
    T, S = q.shape[-2], k.shape[-2]
    ahead = torch.arange(S) - (torch.arange(T)[:, None] + query_offset)
    allowed = torch.ones(T, S, dtype=torch.bool) if mask is None else mask
    if causal:
        allowed = allowed & (ahead <= 0)
    if window is not None:
        allowed = allowed & (ahead.abs() < window)
    scores = q @ k.transpose(-1, -2) * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    if bias is not None:
        scores = scores + bias
    alive = allowed.any(dim=-1, keepdim=True)
    scores = scores.masked_fill(~(allowed | ~alive), -math.inf)  # a row without keys would be NaN
    P = torch.softmax(scores, dim=-1)
    if kept is not None:
        P = P * kept.pop(0) / (1 - dropout_p)
    return torch.where(alive, P @ v, torch.zeros((), dtype=q.dtype))
