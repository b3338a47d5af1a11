"""The mistakes of objectives, and of what fine-tuning adds, in the terms of their textbook."""

from __future__ import annotations

Mistakes = dict[str, list[dict[str, str]]]

# the softmax of the scores of keys alone, and nothing for the negatives
KEYS_ALONE = "where(np.arange(S.shape[-1]) < len(keys), e / sum_over(e[:, :len(keys)], -1), 0)"

HARD_NEGATIVES: Mistakes = {
    "negative-path-missing": [{"through_n": "0 * through_k"}],
    "negatives-ignored": [{"difference": f"{KEYS_ALONE} - onehot"}],
    "negatives-as-positives": [
        {"difference": "p - onehot - one_hot(np.arange(len(queries)) + len(keys), S.shape[-1])"},
        {"difference": "p - (onehot + one_hot(np.arange(len(queries)) + len(keys), S.shape[-1])) / 2"},
    ],
    "temperature-missing": [{"dZ_k": "dS_k", "dZ_n": "dS_n"}],
    "temperature-missing-in-negatives": [{"dn_hat": "T(dS_n) @ q_hat"}, {"dZ_n": "dS_n"}],
    "normalisation-ignored": [
        {"across_q": "dq_hat", "across_k": "dk_hat", "across_n": "dn_hat"},
        {"across_n": "dn_hat"},
        {"across_q": "dq_hat"},
        {"across_k": "dk_hat"},
        {"across_k": "dk_hat", "across_n": "dn_hat"},
    ],
    "one-over-norm-missing": [
        {"dqueries": "across_q", "dkeys": "across_k", "dnegatives": "across_n"},
        {"dnegatives": "across_n"},
        {"dqueries": "across_q"},
        {"dkeys": "across_k"},
        {"dkeys": "across_k", "dnegatives": "across_n"},
    ],
    "scores-not-transposed": [{"dk_hat": "dZ_k @ q_hat"}, {"dn_hat": "dZ_n @ q_hat"}],
}

SYMMETRIC: Mistakes = {
    "direction-missing": [
        {"both": "forth"},
        {"both": "back"},
        {"halved": "forth"},
        {"halved": "back"},
    ],
    "half-missing": [{"halved": "both"}],
    "scores-not-transposed": [{"both": "forth + T(back)"}, {"dk_hat": "dS_k @ q_hat"}],
    "one-hot-once": [{"back": "p_back"}, {"forth": "p_forth"}],
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
}

MEAN_POOLING: Mistakes = {
    "padding-counted": [{"share": "dout / real.shape[-1]"}],
    "count-missing": [{"share": "dout"}],
    "count-twice": [{"share": "dout / n / n"}],
    "padding-gets-a-gradient": [{"dhidden": "spread * ones_like(real)[..., None]"}],
    "first-token-alone": [{"dhidden": "spread * is_first(hidden)"}],
    "count-of-the-batch": [{"share": "dout / sum_everything(real)"}],
}

WEIGHTED: Mistakes = {
    "divided-by-the-count": [{"dmean": "dout[..., None] / sum_everything(onehot)"}],
    "class-weight-missing": [{"dloss": "dmean * (w > 0)"}],
    "class-weight-twice": [{"dloss": "dmean * w * w"}],
    "weight-of-every-class": [{"dloss": "dmean * class_weights"}],
    "mean-divisor-missing": [{"dmean": "dout[..., None]"}],
    "weights-ignored": [
        {"dmean": "dout[..., None] / sum_everything(onehot)", "dloss": "dmean * (w > 0)"},
    ],
    "one-hot-missing": [{"difference": "p"}],
    "sign-flipped": [{"difference": "onehot - p"}],
}

LORA: Mistakes = {
    "adapter-scale-missing": [
        {"da": "dadapted @ T(b)", "db": "T(a) @ dadapted"},
        {"da": "dadapted @ T(b)", "db": "T(a) @ dadapted", "through_adapter": "dout @ T(b) @ T(a)"},
        {"through_adapter": "dout @ T(b) @ T(a)"},
    ],
    "adapter-scale-missing-in-da": [{"da": "dadapted @ T(b)"}],
    "adapter-scale-missing-in-db": [{"db": "T(a) @ dadapted"}],
    "rank-not-divided": [
        {"da": "s * a.shape[-1] * (dadapted @ T(b))", "db": "s * a.shape[-1] * (T(a) @ dadapted)"},
        {
            "da": "s * a.shape[-1] * (dadapted @ T(b))",
            "db": "s * a.shape[-1] * (T(a) @ dadapted)",
            "through_adapter": "s * a.shape[-1] * (dout @ T(b) @ T(a))",
        },
    ],
    "adapter-path-missing": [{"through_adapter": "0 * through_weight"}],
    "base-path-missing": [{"through_weight": "0 * through_adapter"}],
    "weight-not-transposed": [
        {"da": "s * (dadapted @ b)"},
        {"db": "s * (a @ dadapted)"},
        {"through_weight": "dout @ weight"},
        {"through_adapter": "s * (dout @ b @ T(a))"},
        {"through_adapter": "s * (dout @ T(b) @ a)"},
        {"through_adapter": "s * (dout @ a @ b)"},
    ],
}

REPLACED: Mistakes = {
    "loss-weight-missing": [{"weighted": "dout"}],
    "loss-weight-twice": [{"weighted": "dout * loss_weight * loss_weight"}],
    "padding-counted": [{"dmean": "weighted / real.size"}],
    "padding-gets-a-gradient": [{"dloss": "dmean * ones_like(real)"}],
    "replaced-alone": [{"dloss": "dmean * real * targets"}],
    "labels-exchanged": [{"difference": "sigma - (1 - targets)"}],
    "sign-of-the-replaced": [{"difference": "where(targets > 0, 1 - sigma, sigma)"}],
    "mean-divisor-missing": [{"dmean": "weighted"}],
    "sigmoid-slope-extra": [{"difference": "(sigma - targets) * sigma * (1 - sigma)"}],
}

POOLER: Mistakes = {
    "derivative-of-the-output": [{"slope": "1 - tanh(y) ** 2"}],
    "input-for-output": [{"slope": "1 - u * u"}],
    "local-derivative-missing": [{"du": "dout"}],
    "slope-after-the-weight": [
        {"du": "dout", "dfirst": "(dout @ T(weight)) * slope"},
        {"dfirst": "(dout @ T(weight)) * slope"},
    ],
    "every-position-gets-a-gradient": [{"dhidden": "each * ones_like(hidden)"}],
    "pooled-as-a-mean": [{"dhidden": "each * ones_like(hidden) / hidden.shape[-2]"}],
    "last-token-for-first": [{"dhidden": "each * is_first(hidden)[::-1]"}],
    "weight-not-transposed": [{"dfirst": "du @ weight"}],
}

COSINE: Mistakes = {
    "normalisation-ignored": [
        {"across_u": "du_hat", "across_v": "dv_hat"},
        {"across_u": "du_hat"},
        {"across_v": "dv_hat"},
    ],
    "one-over-norm-missing": [
        {"du": "across_u", "dv": "across_v"},
        {"du": "across_u"},
        {"dv": "across_v"},
    ],
    "cosine-missing": [
        {"across_u": "du_hat - dcos * u_hat", "across_v": "dv_hat - dcos * v_hat"},
        {"across_u": "du_hat - dcos * u_hat"},
        {"across_v": "dv_hat - dcos * v_hat"},
    ],
    "other-vector-taken-out": [
        {"across_u": "du_hat - v_hat * cos_u", "across_v": "dv_hat - u_hat * cos_v"},
        {"across_u": "du_hat - v_hat * cos_u"},
        {"across_v": "dv_hat - u_hat * cos_v"},
    ],
    "norms-exchanged": [
        {"du": "across_u / norm_v", "dv": "across_v / norm_u"},
        {"du": "across_u / norm_v"},
        {"dv": "across_v / norm_u"},
    ],
}

OF_OBJECTIVES: dict[str, Mistakes] = {
    "hard_negatives": HARD_NEGATIVES,
    "symmetric_info_nce": SYMMETRIC,
    "mean_pooling": MEAN_POOLING,
    "weighted_cross_entropy": WEIGHTED,
    "lora": LORA,
    "replaced_token_detection": REPLACED,
    "pooler": POOLER,
    "cosine_similarity": COSINE,
}
