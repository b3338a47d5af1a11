"""The wrong lines: for each mistake of the index, the text that is replaced in the right backward.

Each entry is (right, wrong, why it looks right). Where a mistake takes two lines, right and wrong hold them
in the same order, separated by "; ".
"""

from __future__ import annotations

from .lines_in_tiles import IN_TILES
from .lines_of_attention import FACTOR, OF_ATTENTION, SHAPES, SUMS, TRAINS, Lines
from .lines_of_objectives import OF_OBJECTIVES

LINES: dict[str, Lines] = {
    "linear": {
        "averaged-not-summed": ("dout.sum(axis=0)", "dout.mean(axis=0)", SUMS),
        "not-summed": (
            "db = dout.sum(axis=0)",
            "db = dout.copy()",
            "db broadcasts against b without complaint.",
        ),
        "summed-over-everything": ("dout.sum(axis=0)", "dout.sum()", "A number broadcasts against b."),
        "keepdims-left-in": (
            "dout.sum(axis=0)",
            "dout.sum(axis=0, keepdims=True)",
            "b - lr * db still works, and makes b a matrix of one row.",
        ),
        "transposed": ("x.T @ dout", "dout.T @ x", "Right for weights stored as (out, in), as PyTorch does."),
        "weight-not-transposed": ("dout @ w.T", "dout @ w", "A square weight lets the product pass."),
        "zero-gradient": (
            "dx = dout @ w.T",
            "dx = 0 * x",
            "Nothing fails: the layers below just do not learn.",
        ),
        "sign-flipped": ("dw = x.T @ dout", "dw = -x.T @ dout", "The norm is right, and so is every shape."),
        "upstream-ignored": (
            "db = dout.sum(axis=0)",
            "db = np.ones_like(dout).sum(axis=0)",
            "Right for a loss that is the sum of the outputs, which is what the test uses.",
        ),
        "float32-inside": (
            "dw = x.T @ dout",
            "dw = (x.astype(np.float32).T @ dout.astype(np.float32)).astype(float)",
            "Seven digits agree.",
        ),
        "accumulated-twice": ("dw = x.T @ dout", "dw = x.T @ dout; dw += x.T @ dout", TRAINS),
    },
    "relu": {
        "mask-of-dout": ("x > 0", "dout > 0", "Where the loss pulls up it is the same."),
        "mask-missing": ("dout * mask", "dout * 1.0", "Half of the entries are right."),
    },
    "tanh": {
        "derivative-of-the-output": (
            "1 - y**2",
            "1 - np.tanh(y) ** 2",
            "It is the derivative of tanh, of y.",
        ),
        "input-for-output": ("1 - y**2", "1 - x**2", "Near zero tanh(x) is x."),
        "square-missing": ("1 - y**2", "1 - y", "It is between 0 and 2, and right where y is 0 or 1."),
    },
    "sigmoid": {
        "derivative-of-the-output": (
            "y * (1 - y)",
            "sigmoid(y) * (1 - sigmoid(y))",
            "It is the derivative of the sigmoid, of y.",
        ),
        "input-for-output": ("y * (1 - y)", "x * (1 - x)", "The formula is remembered, its letter is not."),
    },
    "silu": {
        "product-rule-missing": ("slope = s + inner", "slope = s + 0 * inner", "For large x it is right."),
        "outer-factor-missing": ("inner = x * s * (1 - s)", "inner = s * (1 - s)", "At x = 1 it is right."),
    },
    "gelu": {
        "tanh-form-for-erf-form": (
            "slope = cdf + x * pdf",
            "u = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3); t = np.tanh(u); "
            "slope = 0.5 * (1 + t) + 0.5 * x * (1 - t**2) * math.sqrt(2 / math.pi)"
            " * (1 + 3 * 0.044715 * x**2)",
            "The two forms differ by 1e-3 at most.",
        ),
        "product-rule-missing": ("slope = cdf + x * pdf", "slope = cdf + 0 * pdf", TRAINS),
        "inner-derivative-wrong": (
            "pdf = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)",
            "pdf = np.exp(-(x**2) / 2) / math.sqrt(math.pi)",
            "erf' is 2/√π exp(-x²), and its argument x/√2 has a derivative too.",
        ),
        "factor-missing": ("cdf + x * pdf", "cdf + pdf", "At x = 1 it is right."),
    },
    "gelu_tanh": {
        "erf-form-for-tanh-form": (
            "slope = 0.5 * (1 + t) + 0.5 * x * (1 - t**2) * du",
            "slope = 0.5 * (1 + erf(x / math.sqrt(2))) + x * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)",
            "The two forms differ by 1e-3 at most.",
        ),
        "product-rule-missing": ("0.5 * (1 + t) + 0.5 * x * (1 - t**2) * du", "0.5 * (1 + t)", TRAINS),
        "inner-derivative-missing": ("(1 - t**2) * du", "(1 - t**2)", "u' is 0.8 at zero, not far from 1."),
        "factor-3-missing": ("1 + 3 * 0.044715", "1 + 0.044715", "It shows only where x is large."),
    },
    "swiglu": {
        "gate-factor-forgotten": ("dsilu = dout * up", "dsilu = dout", SHAPES),
        "silu-missing-in-dup": ("dup = dout * gate * s", "dup = dout * gate", "For large gates it is right."),
        "sigmoid-for-silu-slope": ("slope = s + gate * s * (1 - s)", "slope = s", TRAINS),
        "swapped-gradients": ("return dgate, dup", "return dup, dgate", "Both have the same shape."),
    },
    "softmax": {
        "sum-term-missing": (
            "inner = g - total",
            "inner = g + 0 * total",
            "p · dout is the first half of it.",
        ),
        "sum-term-sign": (
            "inner = g - total",
            "inner = g + total",
            "With a dout of mean zero it hardly shows.",
        ),
        "summed-over-everything": (
            "(p * g).sum(axis=-1, keepdims=True)",
            "(p * g).sum()",
            "With one row it is right.",
        ),
        "diagonal-only": (
            "inner = g - total",
            "inner = g * (1 - p)",
            "It is the derivative that books give for i = j.",
        ),
        "wrong-axis": ("(p * g).sum(axis=-1,", "(p * g).sum(axis=0,", "The shapes fit by broadcasting."),
        "outer-p-forgotten": ("return p * inner", "return inner.copy()", SHAPES),
        "upstream-ignored": ("g = dout", "g = np.ones_like(dout)", "A test with a dout of ones cannot tell."),
    },
    "log_softmax": {
        "log-p-for-p": ("p = np.exp(y)", "p = y", "The cache holds y, and y is called p in softmax."),
        "p-inside-the-sum": (
            "spread = p * dout.sum(axis=-1, keepdims=True)",
            "spread = (p * dout).sum(axis=-1, keepdims=True)",
            "It is softmax's sum.",
        ),
        "sum-term-missing": ("dout - spread", "dout - 0 * spread", SHAPES),
    },
    "cross_entropy": {
        "mean-divisor-missing": ("dlogits / valid.sum()", "dlogits / 1", SUMS),
        "mean-over-all-rows": (
            "dlogits / valid.sum()",
            "dlogits / N",
            "Without ignored targets it is right.",
        ),
        "ignored-rows-get-a-gradient": (
            "dlogits * valid[:, None]",
            "dlogits * 1.0",
            "The loss is right, since the forward masks it.",
        ),
        "one-hot-missing": (
            "dlogits = p - onehot",
            "dlogits = p - 0 * onehot",
            "All other entries are right.",
        ),
        "upstream-ignored": (
            "return dlogits * dout",
            "return dlogits * 1.0",
            "The loss is the end: dout is 1.",
        ),
        "sign-flipped": (
            "dlogits = p - onehot",
            "dlogits = onehot - p",
            "Target minus prediction, as for errors.",
        ),
    },
    "binary_cross_entropy_with_logits": {
        "mean-divisor-missing": ("upstream = dout / s.size", "upstream = dout", SUMS),
        "logit-for-probability": (
            "difference = s - targets",
            "difference = logits - targets",
            "Logits called p.",
        ),
        "sigmoid-slope-extra": (
            "difference = s - targets",
            "difference = (s - targets) * s * (1 - s)",
            "It is the gradient of the squared error.",
        ),
    },
    "mse_loss": {
        "factor-2-missing": ("upstream * 2 * d", "upstream * d", FACTOR),
        "mean-divisor-missing": ("upstream = dout / d.size", "upstream = dout", SUMS),
        "target-sign-missing": ("dtarget = -dinput", "dtarget = dinput", "Nobody differentiates the target."),
    },
    "info_nce": {
        "temperature-missing": ("dS = dS / temperature", "dS = dS / 1", FACTOR),
        "normalisation-ignored": (
            "dq = dq - q * (dq * q).sum(axis=1, keepdims=True); "
            "dk = dk - k * (dk * k).sum(axis=1, keepdims=True)",
            "dq = dq - 0 * q; dk = dk - 0 * k",
            "What is forgotten points along q, where the loss does not change.",
        ),
        "one-over-norm-missing": (
            "dq = dq / nq; dk = dk / nk",
            "dq = dq / 1; dk = dk / 1",
            "Right for unit vectors.",
        ),
        "scores-not-transposed": ("dk = dS.T @ q", "dk = dS @ q", "The scores are square."),
    },
    "layer_norm": {
        "mean-term-missing": (
            "through_mean = dxhat.mean(axis=-1, keepdims=True)",
            "through_mean = 0",
            "It is the derivative for a constant mean.",
        ),
        "variance-term-missing": (
            "through_var = xhat * ((dxhat * xhat).sum(axis=-1, keepdims=True) / D)",
            "through_var = 0",
            "It is the derivative for a constant variance.",
        ),
        "variance-term-sign": (
            "through_var = xhat * ((",
            "through_var = -xhat * ((",
            "One of the two minus signs of d(σ⁻¹) = -σ⁻² dσ is lost.",
        ),
        "both-terms-missing": (
            "inner = dxhat - through_mean - through_var",
            "inner = dxhat",
            "gamma · dout / std is what one writes down first.",
        ),
        "ddof-1": ("keepdims=True) / D)", "keepdims=True) / (D - 1))", "It is the unbiased variance."),
        "gamma-forgotten": ("dxhat = dout * gamma", "dxhat = dout", "gamma is one when the test runs."),
        "gamma-outside-the-sums": (
            "dxhat = dout * gamma; dx = inner / std",
            "dxhat = dout; dx = gamma * inner / std",
            "gamma is one when the test runs.",
        ),
        "eps-outside-the-root": (
            "std = np.sqrt(var + eps)",
            "std = np.sqrt(var) + eps",
            "With eps = 1e-5 four digits agree.",
        ),
        "eps-missing": (
            "std = np.sqrt(var + eps)",
            "std = np.sqrt(var)",
            "With eps = 1e-5 five digits agree.",
        ),
        "rstd-missing": ("dx = inner / std", "dx = inner * 1.0", "Rows of variance one are right."),
        "x-for-x_hat": (
            "(dout * xhat).sum(axis=axes)",
            "(dout * x).sum(axis=axes)",
            "Normal input looks normalised.",
        ),
        "swapped-gradients": (
            "return dx, dgamma, dbeta",
            "return dx, dbeta, dgamma",
            "Both have the same shape.",
        ),
        "summed-over-too-few-axes": (
            "dgamma = (dout * xhat).sum(axis=axes)",
            "dgamma = (dout * xhat).sum(axis=0)",
            "Right for two axes, and broadcasts for three.",
        ),
        "averaged-not-summed": ("dbeta = dout.sum(axis=axes)", "dbeta = dout.mean(axis=axes)", SUMS),
    },
    "rms_norm": {
        "mean-square-term-missing": ("inner = dxhat - xhat * along", "inner = dxhat - 0 * xhat", TRAINS),
        "sum-for-mean": (
            "along = (dxhat * xhat).mean(axis=-1, keepdims=True)",
            "along = (dxhat * xhat).sum(axis=-1, keepdims=True)",
            SHAPES,
        ),
        "gamma-forgotten": ("dxhat = dout * gamma", "dxhat = dout", "gamma is one when the test runs."),
        "rrms-missing": (
            "dx = inner / rms",
            "dx = inner * 1.0",
            "Normal input has a root mean square of one.",
        ),
        "x-for-x_hat": ("dgamma = (dout * xhat)", "dgamma = (dout * x)", "Normal input looks normalised."),
        "mean-subtracted": (
            "inner = dxhat - xhat * along",
            "inner = dxhat - dxhat.mean(axis=-1, keepdims=True) - xhat * along",
            "It is layer norm's line.",
        ),
    },
    "embedding": {
        "overwritten-not-accumulated": (
            "np.add.at(dtable, ids, dout)",
            "dtable[ids] += dout",
            "+= reads like adding up, and is, for ids without repeats.",
        ),
        "row-zeroed": ("return dtable", "dtable[0] = 0; return dtable", "Id 0 is padding, often."),
        "averaged-not-summed": (
            "return dtable",
            "return dtable / np.maximum(np.bincount(ids.ravel(), minlength=len(dtable)), 1)[:, None]",
            "Right for ids without repeats.",
        ),
    },
    "dropout": {
        "keep-scale-missing": ("return kept / (1 - p)", "return kept * 1.0", FACTOR),
        "divided-by-p": ("return kept / (1 - p)", "return kept / p", "Some libraries' p is what is kept."),
        "mask-not-applied": ("kept = dout * mask", "kept = dout * 1.0", "On average it is right."),
        "mask-redrawn": (
            "kept = dout * mask",
            "kept = dout * (np.random.default_rng(12345).random(mask.shape) >= p)",
            "On average it is right.",
        ),
        "mask-inverted": ("kept = dout * mask", "kept = dout * ~mask", "The mask is called drop elsewhere."),
    },
    "rotary": {
        "sine-sign": ("other1, other2 = d2, -d1", "other1, other2 = -d2, d1", "It is the forward once more."),
        "halves-not-exchanged": ("other1, other2 = d2, -d1", "other1, other2 = d1, -d2", SHAPES),
        "position-shifted": (
            "t = np.arange(0, T)",
            "t = np.arange(1, T + 1)",
            "Only differences of positions matter.",
        ),
        "other-pairs": (
            "d1, d2 = dout[..., : d // 2], dout[..., d // 2 :]; "
            "return np.concatenate([dx1, dx2], axis=-1)",
            "d1, d2 = dout[..., 0::2], dout[..., 1::2]; "
            "return np.stack([dx1, dx2], axis=-1).reshape(dout.shape)",
            "Both are called RoPE, and both turn the same angles.",
        ),
    },
    **OF_ATTENTION,
    "flash_attention": IN_TILES,
    "residual": {
        "skip-missing": ("skip = dout.copy()", "skip = 0 * dout", "The branch is right."),
        "skip-doubled": ("skip = dout.copy()", "skip = 2 * dout", "Added in the block and in its caller."),
        "branch-missing": ("through = dout @ w.T", "through = 0", "Deep residual networks train without it."),
    },
    "tied_embeddings": {
        "embedding-path-missing": (
            "np.add.at(dtable, ids, dh * (1 - h**2))",
            "pass",
            "Every row has a gradient.",
        ),
        "output-path-missing": (
            "dtable += dout.reshape(-1, dout.shape[-1]).T @ h.reshape(-1, h.shape[-1])",
            "pass",
            "It is the embedding's gradient, as in a model with two tables.",
        ),
    },
    "distillation": {
        "temperature-squared-missing": (
            "dK = dout * temperature**2",
            "dK = dout",
            "The loss still falls, but the larger τ, the less the teacher counts.",
        ),
        "temperature-missing": (
            "difference / temperature",
            "difference",
            "p - q is the gradient of the softened logits.",
        ),
        "mean-divisor-missing": ("dloss = dK / len(p)", "dloss = dK", SUMS),
        "soft-targets-missing": (
            "difference = p - q",
            "difference = p",
            "It is what log-sum-exp alone has for its gradient.",
        ),
        "sign-flipped": ("difference = p - q", "difference = q - p", "Teacher minus student looks natural."),
    },
    **OF_OBJECTIVES,
}
