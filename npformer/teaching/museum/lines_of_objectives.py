"""The lines of objectives, and of what fine-tuning adds, that the museum exchanges."""

from __future__ import annotations

from .lines_of_attention import FACTOR, SHAPES, SUMS, TRAINS, Lines

OF_OBJECTIVES: dict[str, Lines] = {
    "hard_negatives": {
        "zero-gradient": (
            "return dq, dk, dn",
            "return dq, dk, 0 * n",
            "They are there to push the queries away, and they do.",
        ),
        "negative-path-missing": (
            "dq = dq + negative @ n",
            "dq = dq + 0",
            "The negatives have their gradient, and the line for pairs alone is right.",
        ),
        "negatives-as-positives": (
            "onehot = np.eye(N, N + M, 0, p.dtype)",
            "onehot = np.eye(N, N + M, 0, p.dtype) + np.eye(N, N + M, N, p.dtype)",
            "Row i of the negatives came with row i of the queries.",
        ),
        "temperature-missing-in-negatives": (
            "dn = negative.T @ q",
            "dn = dS[:, N:].T @ q",
            "The gradients of queries and keys are right, and this one looks like them.",
        ),
        "normalisation-ignored": (
            "dn = (dn - n * (dn * n).sum(axis=1, keepdims=True)) / nn",
            "dn = dn / nn",
            "What is forgotten points along n, where the loss does not change.",
        ),
        "swapped-gradients": ("return dq, dk, dn", "return dq, dn, dk", "Both have the same shape."),
    },
    "symmetric_info_nce": {
        "direction-missing": (
            "dS = (forth + back.T) / 2",
            "dS = (forth + 0 * back.T) / 2",
            TRAINS,
        ),
        "half-missing": ("dS = (forth + back.T) / 2", "dS = forth + back.T", FACTOR),
        "scores-not-transposed": ("back.T", "back", "The scores are square."),
        "one-hot-once": (
            "back = p2 - onehot",
            "back = p2",
            "The diagonal is the same in both directions, and was taken off already.",
        ),
    },
    "mean_pooling": {
        "padding-counted": (
            "share = dout / n",
            "share = dout / mask.shape[1]",
            "np.mean over the positions; right for texts that are all of one length.",
        ),
        "count-missing": ("share = dout / n", "share = dout", SUMS),
        "count-twice": ("share = dout / n", "share = dout / n / n", "The mask was kept divided already."),
        "padding-gets-a-gradient": (
            "share[:, None, :] * mask[:, :, None]",
            "share[:, None, :] * np.ones(mask.shape)[:, :, None]",
            "Every position gets the same share.",
        ),
        "first-token-alone": (
            "share[:, None, :] * mask[:, :, None]",
            "share[:, None, :] * (np.arange(mask.shape[1]) == 0)[:, None]",
            "It is the gradient of the other pooling.",
        ),
        "count-of-the-batch": (
            "share = dout / n",
            "share = dout / n.sum()",
            "The mean loss of a batch is divided like this.",
        ),
    },
    "weighted_cross_entropy": {
        "divided-by-the-count": ("total = w.sum()", "total = len(w)", "np.mean divides by it."),
        "class-weight-missing": (
            "share = w[:, None]",
            "share = np.ones_like(w)[:, None]",
            "The weights are about one on average, and the sum of them is the forward's.",
        ),
        "class-weight-twice": (
            "share = w[:, None]",
            "share = w[:, None] ** 2",
            "The weighted losses are differentiated, and weighted again.",
        ),
        "weight-of-every-class": ("share = w[:, None]", "share = class_weights", SHAPES),
        "mean-divisor-missing": ("total = w.sum()", "total = 1", SUMS),
        "weights-ignored": (
            "total = w.sum(); share = w[:, None]",
            "total = len(w); share = np.ones_like(w)[:, None]",
            "p - onehot is the gradient of cross entropy.",
        ),
    },
    "lora": {
        "adapter-scale-missing": (
            "da = scale * (x.T @ low); db = scale * ((x @ a).T @ dout)",
            "da = x.T @ low; db = (x @ a).T @ dout",
            FACTOR,
        ),
        "adapter-scale-missing-in-db": (
            "db = scale * ((x @ a).T @ dout)",
            "db = (x @ a).T @ dout",
            "The adapter as it was begun, with b of zeros, learns no worse.",
        ),
        "rank-not-divided": (
            "da = scale * (x.T @ low); db = scale * ((x @ a).T @ dout)",
            "da = alpha * (x.T @ low); db = alpha * ((x @ a).T @ dout)",
            "alpha is called the scale.",
        ),
        "adapter-path-missing": (
            "dx = dx + scale * (low @ a.T)",
            "dx = dx + 0",
            "With b of zeros it is right, and so it is at the first step.",
        ),
        "base-path-missing": (
            "dx = dout @ w.T",
            "dx = 0 * x",
            "w is frozen: it needs no gradient.",
        ),
        "weight-not-transposed": (
            "da = scale * (x.T @ low)",
            "da = scale * (x.T @ (dout @ b))",
            "A rank as large as the layer lets the product pass.",
        ),
        "swapped-gradients": (
            "return dx, x.T @ dout, da, db",
            "return dx, x.T @ dout, db, da",
            "The first is called the up projection as often as the down projection.",
        ),
    },
    "replaced_token_detection": {
        "loss-weight-missing": ("upstream = dout * weight", "upstream = dout", FACTOR),
        "loss-weight-twice": (
            "upstream = dout * weight",
            "upstream = dout * weight**2",
            "Once where the losses are added, once where this one is differentiated.",
        ),
        "padding-counted": ("each = upstream / n", "each = upstream / s.size", "np.mean divides by it."),
        "padding-gets-a-gradient": (
            "difference * mask * each",
            "difference * each",
            "The loss does not count padding, so its gradient will not.",
        ),
        "replaced-alone": (
            "difference * mask * each",
            "difference * (mask & (replaced == 1)) * each",
            "Masked LM learns from the masked places alone.",
        ),
        "labels-exchanged": (
            "difference = s - replaced",
            "difference = s - (1 - replaced)",
            "The discriminator says which tokens are real.",
        ),
        "sign-of-the-replaced": (
            "difference = s - replaced",
            "difference = abs(s - replaced)",
            "Tokens of the text are right, and they are most.",
        ),
    },
    "pooler": {
        "derivative-of-the-output": (
            "slope = 1 - y**2",
            "slope = 1 - np.tanh(y) ** 2",
            "It is the derivative of tanh, of y.",
        ),
        "local-derivative-missing": (
            "du = dout * slope",
            "du = dout * 1.0",
            "With the weights of an untrained model tanh(u) is u.",
        ),
        "slope-after-the-weight": (
            "du = dout * slope; dfirst = du @ w.T",
            "du = dout * 1.0; dfirst = (du @ w.T) * slope",
            SHAPES,
        ),
        "every-position-gets-a-gradient": (
            "dhidden[:, 0] = dfirst",
            "dhidden[:] = dfirst[:, None]",
            "Broadcasting fills the shape.",
        ),
        "pooled-as-a-mean": (
            "dhidden[:, 0] = dfirst",
            "dhidden[:] = dfirst[:, None] / shape[1]",
            "It is the gradient of the other pooling.",
        ),
        "last-token-for-first": (
            "dhidden[:, 0] = dfirst",
            "dhidden[:, -1] = dfirst",
            "A causal model is read at its last token.",
        ),
    },
    "cosine_similarity": {
        "normalisation-ignored": (
            "du = vh - cos * uh; dv = uh - cos * vh",
            "du = vh.copy(); dv = uh.copy()",
            "What is forgotten points along u, where the cosine does not change.",
        ),
        "one-over-norm-missing": (
            "du / nu, dv / nv",
            "du * 1, dv * 1",
            "Right for unit vectors.",
        ),
        "cosine-missing": (
            "du = vh - cos * uh; dv = uh - cos * vh",
            "du = vh - uh; dv = uh - vh",
            "It is the way from u to v, and zero where they are alike.",
        ),
        "other-vector-taken-out": (
            "du = vh - cos * uh; dv = uh - cos * vh",
            "du = vh - cos * vh; dv = uh - cos * uh",
            "Copied letter.",
        ),
        "norms-exchanged": (
            "du / nu, dv / nv",
            "du / nv, dv / nu",
            "Normal vectors are of much the same length.",
        ),
        "swapped-gradients": (
            "return dout[:, None] * du, dout[:, None] * dv",
            "return dout[:, None] * dv, dout[:, None] * du",
            "The cosine is symmetric.",
        ),
    },
}
