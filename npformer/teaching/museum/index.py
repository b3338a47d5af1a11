"""The catalogue of wrong gradients: one line for each mistake, with the name it goes by.

The name is what the referee's first hypothesis has to say. It was written down before the referee could say
anything, so that the detectors follow the catalogue and not the other way round. An exhibit is addressed as
"op/name"; its number is its place in this list, which only grows at the end of an op.
"""

from __future__ import annotations

# op -> (name, what the wrong backward does)
INDEX: dict[str, tuple[tuple[str, str], ...]] = {
    "linear": (
        ("averaged-not-summed", "the bias gradient is the mean over the rows in place of the sum"),
        ("not-summed", "the bias gradient is dout itself, not summed over the rows"),
        ("summed-over-everything", "the bias gradient is the sum over rows and features"),
        ("keepdims-left-in", "the bias gradient keeps the summed axis as an axis of length 1"),
        ("transposed", "the weight gradient is dout.T @ x in place of x.T @ dout"),
        ("weight-not-transposed", "dx = dout @ W in place of dout @ W.T; W is square"),
        ("zero-gradient", "the path to x is never written: dx stays zero"),
        ("sign-flipped", "dW has the wrong sign"),
        ("upstream-ignored", "db is the number of rows: dout is taken for one"),
        ("float32-inside", "dW is computed in float32"),
        ("accumulated-twice", "dW is added to what the buffer already held: twice the gradient"),
    ),
    "relu": (
        ("mask-of-dout", "the mask is dout > 0 in place of x > 0"),
        ("mask-missing", "dout is passed on where x < 0 too"),
    ),
    "tanh": (
        ("derivative-of-the-output", "1 - tanh(y)² in place of 1 - y²"),
        ("input-for-output", "1 - x² in place of 1 - y²"),
        ("square-missing", "1 - y in place of 1 - y²"),
    ),
    "sigmoid": (
        ("derivative-of-the-output", "sigmoid'(y) in place of y (1 - y)"),
        ("input-for-output", "x (1 - x) in place of y (1 - y)"),
    ),
    "silu": (
        ("product-rule-missing", "only the factor σ(x): the derivative of σ is forgotten"),
        ("outer-factor-missing", "σ(x) + σ'(x): the factor x is forgotten"),
    ),
    "gelu": (
        ("tanh-form-for-erf-form", "the derivative of the tanh approximation for the exact form"),
        ("product-rule-missing", "Φ(x) alone: x φ(x) is forgotten"),
        ("inner-derivative-wrong", "φ without its 1/√2: the inner derivative of erf(x/√2) is forgotten"),
        ("factor-missing", "Φ(x) + φ(x): the factor x is forgotten"),
    ),
    "gelu_tanh": (
        ("erf-form-for-tanh-form", "the derivative of the exact form for the tanh approximation"),
        ("product-rule-missing", "½(1 + tanh u) alone"),
        ("inner-derivative-missing", "the factor u' is forgotten"),
        ("factor-3-missing", "u' = √(2/π)(1 + 0.044715 x²): the 3 is forgotten"),
    ),
    "swiglu": (
        ("gate-factor-forgotten", "dgate without the factor up"),
        ("silu-missing-in-dup", "dup = dout · gate in place of dout · silu(gate)"),
        ("sigmoid-for-silu-slope", "the derivative of the gate is σ(gate) alone"),
        ("swapped-gradients", "dgate and dup are returned in the wrong order"),
    ),
    "softmax": (
        ("sum-term-missing", "dx = p · dout: the term -p Σ p · dout is missing"),
        ("sum-term-sign", "dx = p · (dout + Σ p · dout)"),
        ("summed-over-everything", "Σ p · dout runs over all rows at once"),
        ("diagonal-only", "dx = dout · p (1 - p): only the diagonal of the Jacobian"),
        ("wrong-axis", "Σ p · dout runs over the other axis"),
        ("outer-p-forgotten", "dx = dout - Σ p · dout"),
        ("upstream-ignored", "dout is taken for one"),
    ),
    "log_softmax": (
        ("log-p-for-p", "dx = dout - log p · Σ dout"),
        ("p-inside-the-sum", "dx = dout - Σ p · dout: softmax's sum"),
        ("sum-term-missing", "dx = dout"),
    ),
    "cross_entropy": (
        ("mean-divisor-missing", "not divided by the number of targets"),
        ("mean-over-all-rows", "divided by all rows in place of the rows that count"),
        ("ignored-rows-get-a-gradient", "p - onehot also where the target is ignored"),
        ("one-hot-missing", "p in place of p - onehot"),
        ("upstream-ignored", "dout is taken for one"),
        ("sign-flipped", "onehot - p"),
    ),
    "binary_cross_entropy_with_logits": (
        ("mean-divisor-missing", "not divided by the number of elements"),
        ("logit-for-probability", "x - y in place of σ(x) - y"),
        ("sigmoid-slope-extra", "(σ - y) σ (1 - σ): the derivative of σ once too often"),
    ),
    "mse_loss": (
        ("factor-2-missing", "the 2 of the square is forgotten"),
        ("mean-divisor-missing", "not divided by the number of elements"),
        ("target-sign-missing", "dtarget = dinput in place of -dinput"),
    ),
    "info_nce": (
        ("temperature-missing", "not divided by the temperature"),
        ("normalisation-ignored", "the derivative of q / |q| is taken for 1 / |q|"),
        ("one-over-norm-missing", "projected, but not divided by |q|"),
        ("scores-not-transposed", "dk̂ = dS q̂ in place of dSᵀ q̂"),
    ),
    "layer_norm": (
        ("mean-term-missing", "the gradient through the mean is forgotten"),
        ("variance-term-missing", "the gradient through the variance is forgotten"),
        ("variance-term-sign", "the variance term is added in place of subtracted"),
        ("both-terms-missing", "dx = gamma · dout · rstd"),
        ("ddof-1", "the variance term is divided by d - 1 in place of d"),
        ("gamma-forgotten", "dx without gamma"),
        ("gamma-outside-the-sums", "gamma multiplies at the end, not inside the means"),
        ("eps-outside-the-root", "rstd = 1 / (sqrt(var) + eps) in the backward"),
        ("eps-missing", "rstd = 1 / sqrt(var) in the backward"),
        ("rstd-missing", "dx is not divided by the standard deviation"),
        ("x-for-x_hat", "dgamma = Σ dout · x in place of Σ dout · x_hat"),
        ("swapped-gradients", "dgamma and dbeta are returned in the wrong order"),
        ("summed-over-too-few-axes", "dgamma is summed over the first axis alone"),
        ("averaged-not-summed", "dbeta is the mean over the rows"),
    ),
    "rms_norm": (
        ("mean-square-term-missing", "the gradient through the root mean square is forgotten"),
        ("sum-for-mean", "Σ dx_hat · x_hat in place of its mean"),
        ("gamma-forgotten", "dx without gamma"),
        ("rrms-missing", "dx is not divided by the root mean square"),
        ("x-for-x_hat", "dgamma = Σ dout · x"),
        ("mean-subtracted", "layer norm's mean term, which RMSNorm has not"),
    ),
    "embedding": (
        ("overwritten-not-accumulated", "dtable[ids] = dout: a repeated id keeps its last row alone"),
        ("row-zeroed", "the row of id 0 is set to zero, as if it were padding"),
        ("averaged-not-summed", "rows of repeated ids are averaged"),
    ),
    "dropout": (
        ("keep-scale-missing", "not divided by 1 - p"),
        ("divided-by-p", "divided by p in place of 1 - p"),
        ("mask-not-applied", "dropped elements get a gradient"),
        ("mask-redrawn", "the backward draws another mask"),
        ("mask-inverted", "the dropped elements get the gradient of the kept ones"),
    ),
    "rotary": (
        ("sine-sign", "rotated forwards again: the sine keeps its sign"),
        ("halves-not-exchanged", "the sine multiplies the same half in place of the partner"),
        ("position-shifted", "positions counted from one in the backward"),
    ),
    "scaled_dot_product_attention": (
        ("scale-missing", "dq and dk without 1/√d_k"),
        ("scale-twice", "1/√d_k applied twice"),
        ("scale-missing-in-dk", "dk alone without 1/√d_k"),
        ("sum-term-missing", "dS = P · dP: the softmax's sum is missing"),
        ("diagonal-only", "dS = dP · P (1 - P)"),
        ("wrong-axis", "the softmax's sum runs over the queries"),
        ("outer-p-forgotten", "dS without the outer P"),
        ("weights-not-transposed", "dv = P @ dO in place of Pᵀ @ dO; T = S"),
        ("scores-not-transposed", "dk = dS @ q in place of dSᵀ @ q; T = S"),
        ("dp-for-ds", "the softmax backward is skipped: dP goes on as dS"),
        ("swapped-gradients", "dq and dk are returned in the wrong order; T = S"),
        ("pre-dropout-weights", "dv with the weights before dropout"),
        ("dropout-missing-in-dp", "dP does not pass through the dropout"),
        ("dropped-weights-in-softmax", "the softmax backward uses the weights after dropout"),
        ("not-finite-rows", "fully masked rows give NaN"),
        ("mask-ignored", "the weights are computed again without the mask"),
    ),
    "multi_head_attention": (
        ("heads-merged-without-transpose", "the heads' gradients are reshaped, not transposed back"),
        ("key-path-missing", "dx does not get what flows through the keys"),
        ("value-path-missing", "dx does not get what flows through the values"),
        ("scale-missing", "the scores' gradient without 1/√d_k"),
        ("full-width-scale", "1/√d_model in place of 1/√d_k"),
        ("sum-term-missing", "the softmax's sum is missing"),
        ("weight-not-transposed", "the output projection is not transposed on the way back"),
        ("input-for-joined-heads", "dW_o = xᵀ dout: the input in place of the joined heads"),
        ("key-bias-from-queries", "db_k is the sum of dQ"),
    ),
    "residual": (
        ("skip-missing", "y = x + x W: the gradient of the skip is forgotten"),
        ("skip-doubled", "the gradient of the skip is added twice"),
        ("branch-missing", "dx = dout: the gradient through the branch is forgotten"),
    ),
    "tied_embeddings": (
        ("embedding-path-missing", "the shared table gets the output's gradient alone"),
        ("output-path-missing", "the shared table gets the embedding's gradient alone"),
    ),
}

# mistakes of an update, for check_optimizer: optimizer -> (name, what the wrong step does)
OPTIMIZER_INDEX: dict[str, tuple[tuple[str, str], ...]] = {
    "sgd": (
        ("momentum-damped", "the gradient enters the momentum with 1 - momentum"),
        ("update-before-momentum", "the step uses the momentum before this gradient entered it"),
        ("nesterov", "the step looks one gradient ahead: Nesterov's momentum"),
        ("ascent", "the parameters are moved up the gradient"),
    ),
    "adam": (
        ("bias-correction-missing", "the moments are used as they are"),
        ("bias-correction-of-m-missing", "the first moment is not corrected"),
        ("bias-correction-of-v-missing", "the second moment is not corrected"),
        ("bias-correction-late", "the correction counts steps from zero: one behind"),
        ("step-count-stuck", "t is 1 at every step, so the correction never fades"),
        ("eps-inside-the-root", "sqrt(v + eps) in place of sqrt(v) + eps"),
        ("eps-before-correction", "eps is added before the second moment is corrected"),
        ("ascent", "the parameters are moved up the gradient"),
        ("root-missing", "divided by v in place of its root"),
        ("second-moment-of-m", "the second moment is that of the first moment, not of the gradient"),
        ("update-before-moments", "the step uses the moments before this gradient entered them"),
        ("betas-swapped", "beta1 and beta2 are exchanged"),
    ),
    "adamw": (
        ("l2-for-decoupled-decay", "the decay is added to the gradient and goes through the moments"),
        ("decay-without-rate", "the decay is not multiplied by the rate"),
        ("decay-missing", "there is no weight decay"),
        ("decay-sign", "the decay makes the parameters grow"),
        ("decay-after-the-step", "the decay is taken of the parameter that was already moved"),
        ("eps-inside-the-root", "sqrt(v + eps) in place of sqrt(v) + eps"),
        ("root-missing", "divided by v in place of its root"),
        ("bias-correction-missing", "the moments are used as they are"),
        ("step-count-stuck", "t is 1 at every step, so the correction never fades"),
        ("ascent", "the parameters are moved up the gradient"),
    ),
}
