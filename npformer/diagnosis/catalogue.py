"""The catalogue's mistakes, in the textbook's terms: which lines they rewrite.

A mistake may be written in several ways; each is a dictionary of lines. What they are called was fixed before
(`npformer.teaching.museum.index`).
"""

from __future__ import annotations

import functools

from .causes import cause_of
from .mistakes_of_objectives import OF_OBJECTIVES
from .mistakes_of_tiles import OF_TILES
from .program import program
from .switches import Switch, from_text

Rewrites = dict[str, str]

SOFTMAX: dict[str, list[Rewrites]] = {
    "sum-term-missing": [{"centred": "dout"}],
    "sum-term-sign": [{"centred": "dout + along"}],
    "summed-over-everything": [{"along": "sum_everything(p_dout)"}],
    "diagonal-only": [{"along": "p_dout"}],
    "wrong-axis": [{"along": f"sum_over(p_dout, {axis})"} for axis in (0, 1, 2, -2, -1)],
    "outer-p-forgotten": [{"dx": "centred"}],
    "upstream-ignored": [{"dout": "ones_like(dout)"}],
}

ATTENTION: dict[str, list[Rewrites]] = {
    "scale-missing": [{"dZ_q": "dS", "dZ_k": "dS"}],
    "scale-twice": [{"dZ_q": "scale * scale * dS", "dZ_k": "scale * scale * dS"}],
    "scale-missing-in-dk": [{"dZ_k": "dS"}],
    "sum-term-missing": [{"centred": "dP"}],
    "diagonal-only": [{"centred": "dP * (1 - p_softmax)"}],
    "wrong-axis": [{"D": "sum_over(P_dP, -2)"}],
    "outer-p-forgotten": [{"dS": "centred"}],
    "weights-not-transposed": [{"dv_each": "weights @ dout"}],
    "scores-not-transposed": [{"dk_each": "dZ_k @ q"}],
    "dp-for-ds": [{"dS": "dP"}],
    "pre-dropout-weights": [{"weights": "P"}],
    "dropout-missing-in-dp": [{"dP": "dP_kept"}, {"centred": "dP_kept - D"}],
    "dropped-weights-in-softmax": [
        {"p_softmax": "P_kept"},
        {"p_softmax": "P * keep"},
    ],
    "not-finite-rows": [{"P": "e / total"}, {"e": "exp(Z - Z.max(-1, keepdims=True))", "P": "e / total"}],
    "mask-ignored": [{"Z": "scale * (q @ T(k_each)) + bias"}],
}

SOFTCAPPED: dict[str, list[Rewrites]] = {
    **ATTENTION,
    "scale-missing": [{"dZ_q": "dZ_0", "dZ_k": "dZ_0"}],
    "scale-twice": [{"dZ_q": "scale * scale * dZ_0", "dZ_k": "scale * scale * dZ_0"}],
    "scale-missing-in-dk": [{"dZ_k": "dZ_0"}],
    "mask-ignored": [{"Z": "Z_c + bias"}, {"Z": "Z_c + bias + neg_inf_where(~near)"}],
    "softcap-slope-missing": [{"dZ_0": "dS"}],
    "softcap-not-divided": [{"slope": "1 - Z_c ** 2"}],
    "inner-derivative-missing": [{"slope": "c * (1 - tanh(Z_0 / c) ** 2)"}],
    "inner-division-missing": [
        {"slope": "1 - tanh(Z_0) ** 2"},
        {"Z_c": "c * tanh(Z_0)", "slope": "1 - tanh(Z_0) ** 2"},
        {"Z_c": "c * tanh(Z_0)", "slope": "c * (1 - tanh(Z_0) ** 2)"},
        {"Z_c": "c * tanh(Z_0)"},
    ],
    "softcap-after-the-mask": [
        {"Z": "capped(Z_0 + bias + neg_inf_where(~(allowed & near)), c)"},
        {"Z": "capped(Z_0 + bias + neg_inf_where(~(allowed & near)), c)", "slope": "1 - (Z / c) ** 2"},
    ],
    "window-off-by-one": [{"near": f"within(q, k, window {change}, offset)"} for change in ("+ 1", "- 1")],
    "window-ignored": [{"near": "ones_like(near)"}],
}

IN_TILES: dict[str, list[Rewrites]] = {
    **{name: ways for name, ways in ATTENTION.items() if name not in ("wrong-axis", "not-finite-rows")},
    **OF_TILES,
}

MULTI_HEAD: dict[str, list[Rewrites]] = {
    "heads-merged-without-transpose": [
        {f"d{x.lower()}": f"d{x}.reshape(*d{x}.shape[:-3], d{x}.shape[-2], -1)" for x in "QKV"},
        {"dO": "djoined.reshape(*djoined.shape[:-2], h, djoined.shape[-2], -1)"},
        {"joined": "O.reshape(*O.shape[:-3], O.shape[-2], -1)"},
        {"dq": "dQ.reshape(*dQ.shape[:-3], dQ.shape[-2], -1)"},
        {"dk": "dK.reshape(*dK.shape[:-3], dK.shape[-2], -1)"},
        {"dv": "dV.reshape(*dV.shape[:-3], dV.shape[-2], -1)"},
    ],
    "key-path-missing": [{"through_k": "0 * through_q"}],
    "value-path-missing": [{"through_v": "0 * through_q"}],
    "scale-missing": [{"dZ": "dS"}],
    "full-width-scale": [{"dZ": "dS / sqrt(x.shape[-1])"}, {"dZ": "dS / sqrt(w_q.shape[-1])"}],
    "sum-term-missing": [{"centred": "dP"}],
    "weight-not-transposed": [{"djoined": "dout @ w_o"}],
    "input-for-joined-heads": [{"dw_o": "T(rows) @ dy"}],
    "key-bias-from-queries": [{"db_k": "sum_rows(dq)"}],
    "mask-ignored": [{"Z": "scale * (Q @ T(K))"}],
}

QUERY_KEY_NORM: dict[str, list[Rewrites]] = {
    **MULTI_HEAD,
    "mean-square-term-missing": [
        {"across_q": "dq_hat", "across_k": "dk_hat"},
        {"across_q": "dq_hat"},
        {"across_k": "dk_hat"},
    ],
    "gamma-forgotten": [
        {"dq_hat": "dQ_n", "dk_hat": "dK_n"},
        {"dq_hat": "dQ_n"},
        {"dk_hat": "dK_n"},
    ],
    "rrms-missing": [
        {"dQ": "across_q", "dK": "across_k"},
        {"dQ": "across_q"},
        {"dK": "across_k"},
    ],
    "sine-sign": [
        {"dQ_n": "turn(dQ_turned, base, interleaved)", "dK_n": "turn(dK_turned, base, interleaved)"},
        {"dQ_n": "turn(dQ_turned, base, interleaved)"},
        {"dK_n": "turn(dK_turned, base, interleaved)"},
    ],
    "other-pairs": [
        {
            "dQ_n": "turn(dQ_turned, base, not interleaved, -1)",
            "dK_n": "turn(dK_turned, base, not interleaved, -1)",
        },
        {"dQ_n": "turn(dQ_turned, base, not interleaved, -1)"},
        {"dK_n": "turn(dK_turned, base, not interleaved, -1)"},
    ],
}

LINES: dict[str, dict[str, list[Rewrites]]] = {
    "linear": {
        "averaged-not-summed": [{"dbias": "sum_rows(dout) / len(dy)"}, {"dbias": "dout.mean(0)"}],
        "not-summed": [{"dbias": "dout"}],
        "summed-over-too-few-axes": [{"dbias": "dout.sum(0)"}],
        "summed-over-everything": [{"dbias": "sum_everything(dout)"}],
        "keepdims-left-in": [{"dbias": "dout.sum(0, keepdims=True)"}, {"dbias": "sum_rows(dout)[None]"}],
        "transposed": [{"dweight": "T(dy) @ rows"}],
        "weight-not-transposed": [{"dx": "dout @ weight"}],
        "upstream-ignored": [{"dbias": "sum_rows(ones_like(dout))"}, {"dout": "ones_like(dout)"}],
    },
    "relu": {
        "mask-of-dout": [{"slope": "1.0 * (dout > 0)"}],
        "mask-missing": [{"slope": "ones_like(dout)"}],
    },
    "tanh": {
        "derivative-of-the-output": [{"slope": "1 - tanh(y) ** 2"}],
        "input-for-output": [{"slope": "1 - x * x"}],
        "square-missing": [{"slope": "1 - y"}],
    },
    "sigmoid": {
        "derivative-of-the-output": [{"slope": "1 / (1 + exp(-y)) * (1 - 1 / (1 + exp(-y)))"}],
        "input-for-output": [{"slope": "x * (1 - x)"}],
    },
    "silu": {
        "product-rule-missing": [{"slope": "s"}],
        "outer-factor-missing": [{"through_s": "ds"}],
    },
    "gelu": {
        "tanh-form-for-erf-form": [
            {
                "slope": "0.5 * (1 + tanh(sqrt(2 / PI) * (x + 0.044715 * x ** 3)))"
                " + 0.5 * x * (1 - tanh(sqrt(2 / PI) * (x + 0.044715 * x ** 3)) ** 2)"
                " * sqrt(2 / PI) * (1 + 3 * 0.044715 * x * x)"
            }
        ],
        "product-rule-missing": [{"slope": "Phi"}],
        "inner-derivative-wrong": [
            {"inner": "phi * sqrt(2)"},
            {"inner": "exp(-x * x / 2) / sqrt(PI)"},
            {"inner": "exp(-x * x) / sqrt(2 * PI)"},
            {"inner": "exp(-x * x / 2)"},
        ],
        "factor-missing": [{"through_Phi": "inner"}],
    },
    "gelu_tanh": {
        "erf-form-for-tanh-form": [
            {"slope": "0.5 * (1 + erf(x / sqrt(2))) + x * exp(-x * x / 2) / sqrt(2 * PI)"}
        ],
        "product-rule-missing": [{"slope": "0.5 * (1 + t)"}],
        "inner-derivative-missing": [{"du": "1.0"}],
        "factor-3-missing": [{"du": "sqrt(2 / PI) * (1 + 0.044715 * x * x)"}],
    },
    "swiglu": {
        "gate-factor-forgotten": [{"ds": "dout"}],
        "silu-missing-in-dup": [{"dup": "dout * gate"}],
        "sigmoid-for-silu-slope": [{"slope": "sigma"}],
    },
    "softmax": SOFTMAX,
    "log_softmax": {
        "log-p-for-p": [{"spread": "log_p * total"}],
        "p-inside-the-sum": [
            {"total": f"sum_over(dout * p, {axis})", "spread": "total"} for axis in ("axis",)
        ],
        "sum-term-missing": [{"dx": "dout"}],
    },
    "cross_entropy": {
        "mean-divisor-missing": [{"dloss": "masked"}],
        "mean-over-all-rows": [{"dloss": "masked / valid.size"}],
        "ignored-rows-get-a-gradient": [
            {"masked": "upstream"},
            {
                "masked": "upstream",
                "y": "(1 - smoothing) * one_hot(np.where(valid, targets, 0), V) + smoothing / V",
            },
            {"masked": "upstream", "y": "(1 - smoothing) * one_hot(targets % V, V) + smoothing / V"},
        ],
        "smoothing-ignored": [{"y": "one_hot(targets, V)"}],
        "one-hot-missing": [{"difference": "p"}],
        "gradient-of-the-probabilities": [{"difference": "-y / p"}],
        "upstream-ignored": [{"upstream": "ones_like(dout)[..., None]"}],
        "sign-flipped": [{"difference": "y - p"}],
    },
    "binary_cross_entropy_with_logits": {
        "mean-divisor-missing": [{"dloss": "dout"}],
        "logit-for-probability": [{"difference": "logits - targets"}],
        "sigmoid-slope-extra": [{"difference": "(sigma - targets) * sigma * (1 - sigma)"}],
    },
    "mse_loss": {
        "factor-2-missing": [{"dd": "dloss * d"}],
        "mean-divisor-missing": [{"dloss": "dout"}],
        "target-sign-missing": [{"dtarget": "dd"}],
    },
    "info_nce": {
        "temperature-missing": [{"dS_q": "dS", "dS_k": "dS"}],
        "normalisation-ignored": [
            {"across_q": "dq_hat", "across_k": "dk_hat"},
            {"across_q": "dq_hat"},
            {"across_k": "dk_hat"},
        ],
        "one-over-norm-missing": [
            {"dqueries": "across_q", "dkeys": "across_k"},
            {"dqueries": "across_q"},
            {"dkeys": "across_k"},
        ],
        "scores-not-transposed": [{"dk_hat": "dS_k @ q_hat"}],
    },
    "layer_norm": {
        "mean-term-missing": [{"through_mean": "0 * mean_dx_hat"}],
        "variance-term-missing": [{"through_var": "0 * x_hat"}],
        "variance-term-sign": [{"through_var": "-x_hat * mean_dx_hat_x_hat"}],
        "both-terms-missing": [{"centred": "dx_hat"}],
        "ddof-1": [
            {"mean_dx_hat_x_hat": "sum_over(dx_hat * x_hat, -1) / (x.shape[-1] - 1)"},
            {"rstd": "1 / sqrt(sum_over(d * d, -1) / (x.shape[-1] - 1) + eps)", "x_hat": "x_hat"},
        ],
        "gamma-forgotten": [{"dx_hat": "dout"}],
        "gamma-outside-the-sums": [{"dx_hat": "dout", "dx": "gamma * rstd * centred"}],
        "eps-outside-the-root": [
            {"dx": "centred / (sqrt(var) + eps)"},
            {"rstd": "1 / (sqrt(var) + eps)", "x_hat": "x_hat"},
            {"rstd": "1 / (sqrt(var) + eps)"},
        ],
        "eps-missing": [
            {"dx": "centred / sqrt(var)"},
            {"rstd": "1 / sqrt(var)", "x_hat": "x_hat"},
            {"rstd": "1 / sqrt(var)"},
        ],
        "rstd-missing": [{"dx": "centred"}],
        "x-for-x_hat": [{"dgamma": "sum_rows(dout * x)"}, {"through_var": "x * mean_over(dx_hat * x, -1)"}],
        "sum-for-mean": [
            {"mean_dx_hat": "sum_over(dx_hat, -1)", "mean_dx_hat_x_hat": "sum_over(dx_hat * x_hat, -1)"}
        ],
        "wrong-axis": [
            {"mean_dx_hat": "mean_over(dx_hat, 0)", "mean_dx_hat_x_hat": "mean_over(dx_hat * x_hat, 0)"}
        ],
        "summed-over-too-few-axes": [{"dgamma": "(dout * x_hat).sum(0)"}, {"dbeta": "dout.sum(0)"}],
        "averaged-not-summed": [
            {"dbeta": "sum_rows(dout) / (dout.size // dout.shape[-1])"},
            {"dbeta": "dout.mean(0)"},
        ],
    },
    "rms_norm": {
        "mean-square-term-missing": [{"centred": "dx_hat"}],
        "sum-for-mean": [{"mean_dx_hat_x_hat": "sum_over(dx_hat * x_hat, -1)"}],
        "gamma-forgotten": [{"dx_hat": "dout"}],
        "rrms-missing": [{"dx": "centred"}],
        "x-for-x_hat": [{"dgamma": "sum_rows(dout * x)"}, {"through_ms": "x * mean_over(dx_hat * x, -1)"}],
        "mean-subtracted": [
            {"through_ms": "x_hat * mean_dx_hat_x_hat + mean_over(dx_hat, -1)"},
        ],
    },
    "embedding": {
        "overwritten-not-accumulated": [{"summed": "overwrite(dout, ids, table)"}],
        "averaged-not-summed": [{"dtable": "summed / occurrences(ids, table)"}],
    },
    "dropout": {
        "keep-scale-missing": [{"scale": "1.0"}],
        "divided-by-p": [{"scale": "1 / p"}],
        "mask-not-applied": [{"kept": "dout"}],
        "mask-inverted": [{"kept": "dout * (1 - keep)"}],
    },
    "rotary": {
        "sine-sign": [{"dx": "straight + crossed"}],
        "halves-not-exchanged": [
            {"crossed": "dout * sine"},
            {"crossed": "dout * pairs(sin(angle), sin(angle), interleaved)"},
            {"crossed": "-dout * pairs(sin(angle), sin(angle), interleaved)"},
        ],
        "position-shifted": [{"angle": "(positions + 1)[..., None] * theta"}],
        "other-pairs": [
            {
                "straight": "dout * pairs(cos(angle), cos(angle), not interleaved)",
                "crossed": "partner(dout, not interleaved) * pairs(-sin(angle), sin(angle), not interleaved)",
            },
            {"crossed": "partner(dout, not interleaved) * sine"},
        ],
    },
    "scaled_dot_product_attention": ATTENTION,
    "softcapped_attention": SOFTCAPPED,
    "flash_attention": IN_TILES,
    "scaled_dot_product_attention, in tiles": IN_TILES,
    "multi_head_attention": MULTI_HEAD,
    "query_key_norm_attention": QUERY_KEY_NORM,
    "residual": {
        "skip-missing": [{"skip": "0 * dout"}],
        "skip-doubled": [{"skip": "2 * dout"}],
        "branch-missing": [{"branch": "0 * dout"}],
    },
    "tied_embeddings": {
        "embedding-path-missing": [{"from_input": "0 * table"}],
        "output-path-missing": [{"from_output": "0 * table"}],
    },
    "distillation": {
        "temperature-squared-missing": [{"dK": "dout"}],
        "temperature-missing": [{"dlogits": "du"}],
        "mean-divisor-missing": [{"dloss": "dK"}],
        "soft-targets-missing": [{"difference": "p"}],
        "sign-flipped": [{"difference": "q - p"}],
    },
    **OF_OBJECTIVES,
}

# gradients returned in each other's place, by op
SWAPS = {
    "layer_norm": ("gamma", "beta"),
    "swiglu": ("gate", "up"),
    "scaled_dot_product_attention": ("q", "k"),
    "softcapped_attention": ("q", "k"),
    "flash_attention": ("q", "k"),
    "query_key_norm_attention": ("gamma_q", "gamma_k"),
    "mse_loss": ("input", "target"),
    "info_nce": ("queries", "keys"),
    "symmetric_info_nce": ("queries", "keys"),
    "hard_negatives": ("keys", "negatives"),
    "lora": ("a", "b"),
    "cosine_similarity": ("u", "v"),
}


@functools.cache
def catalogue(op: str) -> tuple[Switch, ...]:
    """Return the switches of the catalogue's mistakes of an op, and of a whole gradient gone wrong.

    Examples
    --------
    >>> [switch.identifier for switch in catalogue("relu")][:3]
    ['mask-of-dout', 'mask-missing', 'zero-gradient']
    """
    found = [
        from_text(op, identifier, rewrites, {}, cause_of(identifier))
        for identifier, ways in LINES.get(op, {}).items()
        for rewrites in ways
    ]
    gradients = program(op).gradients
    if op in SWAPS:
        one, other = SWAPS[op]
        swapped = {one: gradients[other], other: gradients[one]}
        found.append(from_text(op, "swapped-gradients", {}, swapped, cause_of("swapped-gradients")))
    for name, target in gradients.items():
        if op == "embedding":
            for row in range(4):
                text = f"without_row({target}, {row})"
                found.append(from_text(op, "row-zeroed", {}, {name: text}, cause_of("row-zeroed")))
        for identifier, text in (
            ("zero-gradient", f"0 * {target}"),
            ("sign-flipped", f"-{target}"),
            ("accumulated-twice", f"2 * {target}"),
            ("float32-inside", f"{target}.astype(np.float32).astype(np.float64)"),
            ("transposed", f"{target}.T"),
        ):
            found.append(from_text(op, identifier, {}, {name: text}, cause_of(identifier), rank=1))
    return tuple(found)
