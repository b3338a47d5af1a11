"""One layer of an encoder, pre-norm: every block reads a normalised copy and adds to the stream.

    h = x + attention(norm₁(x))
    y = h + linear₂(gelu(linear₁(norm₂(h))))

You have written the blocks: here they are npformer's. Their backwards return the gradients in the order of
the forward's arguments. A residual sum hands its gradient on twice: to the branch and past it.
"""

from typing import Any

import numpy as np

from npformer.functional import (
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


def encoder_layer_forward(x: Array, params: dict[str, Array], mask: Array, h: int = 2) -> tuple[Array, Any]:
    """Return y (B, T, d) and the cache: the six caches of the blocks, in order. Given.

    x is (B, T, d); mask is (B, 1, 1, T), True = a real token. params are norm1.gamma, norm1.beta,
    attention.w_q, ..w_k, ..w_v, ..w_o, ..b_q, ..b_k, ..b_v, ..b_o, norm2.gamma, norm2.beta, up.w, up.b,
    down.w, down.b.
    """
    p = params
    names = ("w_q", "w_k", "w_v", "w_o", "b_q", "b_k", "b_v", "b_o")
    u, c_norm1 = layer_norm(x, p["norm1.gamma"], p["norm1.beta"])
    a, c_attention = multi_head_attention(
        u, None, *(p[f"attention.{name}"] for name in names), n_heads=h, mask=mask
    )
    middle = x + a
    v, c_norm2 = layer_norm(middle, p["norm2.gamma"], p["norm2.beta"])
    f, c_up = linear(v, p["up.w"], p["up.b"])
    g, c_gelu = gelu(f)
    out, c_down = linear(g, p["down.w"], p["down.b"])
    return middle + out, (c_norm1, c_attention, c_norm2, c_up, c_gelu, c_down)


def encoder_layer_backward(dout: Array, cache: Any) -> tuple[Array, dict[str, Array]]:
    """Return dx (B, T, d) and the gradients of params: a dictionary with the same names.

    multi_head_attention_backward returns dx, None (there is no second input), dw_q, dw_k, dw_v, dw_o,
    db_q, db_k, db_v, db_o, and three more None (no bias of the scores, no norm of queries and keys).
    """
    c_norm1, c_attention, c_norm2, c_up, c_gelu, c_down = cache
    grads: dict[str, Any] = {}
    dg, grads["down.w"], grads["down.b"] = linear_backward(dout, c_down)
    df = gelu_backward(dg, c_gelu)
    dv, grads["up.w"], grads["up.b"] = linear_backward(df, c_up)
    dmiddle, grads["norm2.gamma"], grads["norm2.beta"] = layer_norm_backward(dv, c_norm2)
    dmiddle = dout + dmiddle
    du, _, *of_attention = multi_head_attention_backward(dmiddle, c_attention)[:10]
    names = ("w_q", "w_k", "w_v", "w_o", "b_q", "b_k", "b_v", "b_o")
    for name, gradient in zip(names, of_attention, strict=True):
        grads[f"attention.{name}"] = gradient
    dx, grads["norm1.gamma"], grads["norm1.beta"] = layer_norm_backward(du, c_norm1)
    return dmiddle + dx, grads
