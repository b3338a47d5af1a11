"""AdamW: Adam whose weight decay does not pass through the running averages.

θ ← θ - lr · λ · θ               decoupled: the gradient does not see it
then Adam's step with the gradient g as it is
"""

import numpy as np

Array = np.ndarray


def adamw_step(
    theta: Array,
    g: Array,
    m: Array,
    v: Array,
    t: int,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.01,
) -> tuple[Array, Array, Array]:
    """Return the new (theta, m, v), and leave the given ones as they are. Shapes as in Adam."""
    theta = theta - lr * weight_decay * theta
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    theta = theta - lr * m_hat / (np.sqrt(v_hat) + eps)
    return theta, m, v
