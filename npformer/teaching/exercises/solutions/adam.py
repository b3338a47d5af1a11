"""Adam: each parameter moves by about lr, whatever the size of its gradient.

m ← β₁ m + (1 - β₁) g            v ← β₂ v + (1 - β₂) g²
m̂ = m / (1 - β₁ᵗ)                v̂ = v / (1 - β₂ᵗ)          they began at 0: this makes up for it
θ ← θ - lr · m̂ / (√v̂ + ε)
"""

import numpy as np

Array = np.ndarray


def adam_step(
    theta: Array,
    g: Array,
    m: Array,
    v: Array,
    t: int,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
) -> tuple[Array, Array, Array]:
    """Return the new (theta, m, v), and leave the given ones as they are.

    theta, g, m, v are (n,): the parameters, their gradient, the running averages. t is the number of this
    step, 1 for the first.
    """
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    theta = theta - lr * m_hat / (np.sqrt(v_hat) + eps)
    return theta, m, v
