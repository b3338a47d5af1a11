"""The whole encoder: two layers and the masked-LM loss, the gradient of every parameter by name.

    x = norm(token[ids] + position)
    for each layer (post-norm):   h = norm(x + attention(x)),   x = norm(h + linear₂(gelu(linear₁(h))))
    logits = x tokenᵀ + bias
    loss = cross entropy at the targets that are not -100

The token table is used twice: for the embedding and for the logits.
"""

from typing import Any

import numpy as np

from npformer.functional import (
    cross_entropy,
    cross_entropy_backward,
    embedding,
    embedding_backward,
    gelu,
    gelu_backward,
    layer_norm,
    layer_norm_backward,
    linear,
    linear_backward,
    multi_head_attention,
    multi_head_attention_backward,
)

Array = np.ndarray
ATTENTION = ("w_q", "w_k", "w_v", "w_o", "b_q", "b_k", "b_v", "b_o")


def layer_forward(x: Array, p: dict[str, Array], name: str, mask: Array, h: int) -> tuple[Array, Any]:
    """One layer, post-norm; its parameters begin with `name`. Given."""
    weights = [p[f"{name}.attention.{part}"] for part in ATTENTION]
    a, c_attention = multi_head_attention(x, None, *weights, n_heads=h, mask=mask)
    middle, c_norm1 = layer_norm(x + a, p[f"{name}.norm1.gamma"], p[f"{name}.norm1.beta"])
    f, c_up = linear(middle, p[f"{name}.up.w"], p[f"{name}.up.b"])
    g, c_gelu = gelu(f)
    out, c_down = linear(g, p[f"{name}.down.w"], p[f"{name}.down.b"])
    y, c_norm2 = layer_norm(middle + out, p[f"{name}.norm2.gamma"], p[f"{name}.norm2.beta"])
    return y, (c_attention, c_norm1, c_up, c_gelu, c_down, c_norm2)


def encoder_forward(
    params: dict[str, Array], ids: Array, mask: Array, targets: Array, n_layers: int = 2, h: int = 2
) -> tuple[Array, Any]:
    """Return the loss, a number, and the cache (c_token, c_norm, c_layers, x, c_loss). Given.

    ids and targets are (B, T), mask is (B, T) of bool, True = a real token. params are token (V, d),
    position (T_max, d), norm.gamma, norm.beta, bias (V,), and for layer i: "layer{i}.attention.w_q" (..w_k,
    ..w_v, ..w_o, ..b_q, ..b_k, ..b_v, ..b_o), "layer{i}.norm1.gamma" (.beta), "layer{i}.up.w" (.b),
    "layer{i}.down.w" (.b), "layer{i}.norm2.gamma" (.beta).
    """
    rows, c_token = embedding(ids, params["token"])
    x = rows + params["position"][: ids.shape[1]]
    x, c_norm = layer_norm(x, params["norm.gamma"], params["norm.beta"])
    c_layers = []
    for i in range(n_layers):
        x, cache = layer_forward(x, params, f"layer{i}", mask[:, None, None, :], h)
        c_layers.append(cache)
    logits = x @ params["token"].T + params["bias"]
    loss, c_loss = cross_entropy(logits, targets)
    return loss, (c_token, c_norm, c_layers, x, c_loss)


def encoder_backward(params: dict[str, Array], cache: Any) -> dict[str, Array]:
    """Return the gradient of the loss for every parameter: a dictionary with the names of params.

    position has rows that no token used: their gradient is 0. cross_entropy_backward(1.0, c_loss) gives
    dlogits (B, T, V). The functions with _backward return one gradient for each argument of the forward.
    """
    c_token, c_norm, c_layers, x, c_loss = cache
    grads: dict[str, Any] = {}
    dlogits = cross_entropy_backward(1.0, c_loss)
    rows = dlogits.reshape(-1, dlogits.shape[-1])
    grads["bias"] = rows.sum(axis=0)
    grads["token"] = rows.T @ x.reshape(len(rows), -1)
    dx = dlogits @ params["token"]
    for i in reversed(range(len(c_layers))):
        c_attention, c_norm1, c_up, c_gelu, c_down, c_norm2 = c_layers[i]
        layer = f"layer{i}"
        dsum, grads[f"{layer}.norm2.gamma"], grads[f"{layer}.norm2.beta"] = layer_norm_backward(dx, c_norm2)
        dg, grads[f"{layer}.down.w"], grads[f"{layer}.down.b"] = linear_backward(dsum, c_down)
        df = gelu_backward(dg, c_gelu)
        dmiddle, grads[f"{layer}.up.w"], grads[f"{layer}.up.b"] = linear_backward(df, c_up)
        dmiddle = dmiddle + dsum
        dsum, grads[f"{layer}.norm1.gamma"], grads[f"{layer}.norm1.beta"] = layer_norm_backward(
            dmiddle, c_norm1
        )
        dx, _, *of_attention = multi_head_attention_backward(dsum, c_attention)[:10]
        for part, gradient in zip(ATTENTION, of_attention, strict=True):
            grads[f"{layer}.attention.{part}"] = gradient
        dx = dx + dsum
    dx, grads["norm.gamma"], grads["norm.beta"] = layer_norm_backward(dx, c_norm)
    grads["position"] = np.zeros_like(params["position"])
    grads["position"][: dx.shape[1]] = dx.sum(axis=0)
    grads["token"] += embedding_backward(dx, c_token)
    return grads
