"""The lines of attention, and of multi-head attention, that the museum exchanges."""

from __future__ import annotations

Lines = dict[str, tuple[str, str, str]]

SUMS = "np.mean and np.sum have the same shape, and a learning rate hides a constant factor."
FACTOR = "A constant factor changes no shape, and a learning rate hides it."
TRAINS = "The loss still goes down: the update points within 90 degrees of the gradient."
SHAPES = "Every shape fits."

OF_ATTENTION: dict[str, Lines] = {
    "scaled_dot_product_attention": {
        "scale-missing": ("dq = dq * scale; dk = dk * scale", "dq = dq * 1; dk = dk * 1", FACTOR),
        "scale-twice": (
            "dq = dq * scale; dk = dk * scale",
            "dq = dq * scale * scale; dk = dk * scale * scale",
            "q was scaled in the forward, so it is scaled here too.",
        ),
        "scale-missing-in-dk": ("dk = dk * scale", "dk = dk * 1.0", "dq is right, and dk looks like it."),
        "sum-term-missing": (
            "inner = dP - total",
            "inner = dP + 0 * total",
            "P · dP is the first half of it.",
        ),
        "diagonal-only": (
            "inner = dP - total",
            "inner = dP * (1 - p)",
            "The derivative that books give for i = j.",
        ),
        "wrong-axis": (
            "total = (p * dP).sum(axis=-1, keepdims=True)",
            "total = (p * dP).sum(axis=-2, keepdims=True)",
            "The shapes fit by broadcasting.",
        ),
        "outer-p-forgotten": ("dS = p * inner", "dS = inner * 1.0", SHAPES),
        "weights-not-transposed": (
            "dv = np.swapaxes(dropped, -1, -2) @ dout",
            "dv = dropped @ dout",
            "T = S.",
        ),
        "scores-not-transposed": ("dk = np.swapaxes(dS, -1, -2) @ q", "dk = dS @ q", "T = S."),
        "dp-for-ds": ("dS = p * inner", "dS = dP * 1.0", "The names differ in one letter."),
        "swapped-gradients": (
            "return dq, dk, dv",
            "return dk, dq, dv",
            "q and k have the same shape where T = S.",
        ),
        "pre-dropout-weights": ("dropped = P * keep", "dropped = P * 1.0", "Without dropout it is right."),
        "dropout-missing-in-dp": ("dP = dP * keep", "dP = dP * 1.0", "Without dropout it is right."),
        "dropped-weights-in-softmax": ("p = P", "p = P * keep", "Without dropout it is right."),
        "not-finite-rows": (
            "P = weights",
            "P = weights / weights.sum(axis=-1, keepdims=True)",
            "Weights sum to one anyway, except where there is nothing to sum.",
        ),
        "mask-ignored": (
            "P = weights",
            "P = masked_softmax(q @ np.swapaxes(k, -1, -2) * scale, np.ones_like(mask))",
            "Without masked keys it is right.",
        ),
    },
    "softcapped_attention": {
        "softcap-slope-missing": ("dZ = dS * slope", "dZ = dS * 1.0", "Small scores are as they were."),
        "softcap-not-divided": (
            "slope = 1 - (capped / softcap) ** 2",
            "slope = 1 - capped**2",
            "It is the slope of tanh, in terms of its output.",
        ),
        "inner-derivative-missing": (
            "slope = 1 - (capped / softcap) ** 2",
            "slope = softcap * (1 - (capped / softcap) ** 2)",
            "The factor in front of the tanh stays, as factors do.",
        ),
        "inner-division-missing": (
            "slope = 1 - (capped / softcap) ** 2",
            "slope = 1 - np.tanh(scores) ** 2",
            "With a softcap of one it is right.",
        ),
        "softcap-after-the-mask": (
            "P = weights",
            "z = softcap * np.tanh(np.where(seen, scores, -np.inf) / softcap); "
            "P = masked_softmax(z, np.ones_like(seen))",
            "Both are elementwise: they look as if they could change places.",
        ),
        "window-off-by-one": (
            "P = weights",
            "P = masked_softmax(capped, seen | mask & (age == window))",
            "A window of n keys to the left is n + 1 with the query's own.",
        ),
        "window-ignored": (
            "P = weights",
            "P = masked_softmax(capped, mask & (age >= 0))",
            "For sequences shorter than the window it is right.",
        ),
    },
    "multi_head_attention": {
        "heads-merged-without-transpose": (
            "dQ, dK, dV = join(dq), join(dk), join(dv)",
            "dQ, dK, dV = (g.reshape(x.shape[0], x.shape[1], -1) for g in (dq, dk, dv))",
            SHAPES,
        ),
        "key-path-missing": (
            "dx = dx + dK @ w_k.T",
            "dx = dx * 1.0",
            "In attention to another sequence it is right.",
        ),
        "value-path-missing": (
            "dx = dx + dV @ w_v.T",
            "dx = dx + 0.0",
            "In attention to another sequence it is right.",
        ),
        "scale-missing": ("dS = dS * scale", "dS = dS * 1.0", FACTOR),
        "full-width-scale": (
            "dS = dS * scale",
            "dS = dS / math.sqrt(w_q.shape[-1])",
            "d is called d_k elsewhere.",
        ),
        "sum-term-missing": ("dS = P * (dP - total)", "dS = P * (dP - 0 * total)", "The first half of it."),
        "weight-not-transposed": ("djoined = dout @ w_o.T", "djoined = dout @ w_o", "w_o is square."),
        "input-for-joined-heads": (
            "before_output = joined.reshape(-1, joined.shape[-1])",
            "before_output = rows",
            "Both are (B T, d_model).",
        ),
        "key-bias-from-queries": ("db_k = dK.sum(axis=(0, 1))", "db_k = dQ.sum(axis=(0, 1))", "Copied line."),
    },
    "query_key_norm_attention": {
        "mean-square-term-missing": (
            "inner = dn - unit * (dn * unit).mean(axis=-1, keepdims=True)",
            "inner = dn + 0 * unit",
            TRAINS,
        ),
        "gamma-forgotten": ("dn = dy * gamma", "dn = dy * 1.0", "gamma is one when the test runs."),
        "rrms-missing": ("return inner / rms, ", "return inner * 1.0, ", "Normal queries have one of one."),
        "swapped-gradients": (
            "return dx, dw_q, dw_k, dw_v, dw_o, dgamma_q, dgamma_k",
            "return dx, dw_q, dw_k, dw_v, dw_o, dgamma_k, dgamma_q",
            "Both have the same shape.",
        ),
    },
}
