"""The optimizers once more, as slow loops over single parameters, to compare the vectorised ones with."""

from __future__ import annotations

import math

import numpy as np
import pytest


def textbook_sgd(theta, gradients, *, lr, momentum=0.0, nesterov=False, weight_decay=0.0):
    theta = [float(x) for x in theta]
    velocity = [0.0] * len(theta)
    for gradient, rate in zip(gradients, lr, strict=True):
        for i in range(len(theta)):
            g = float(gradient[i]) + weight_decay * theta[i]
            velocity[i] = momentum * velocity[i] + g
            theta[i] -= rate * (g + momentum * velocity[i] if nesterov else velocity[i])
    return np.array(theta)


def textbook_adam(
    theta,
    gradients,
    *,
    lr,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=0.0,
    decoupled=False,
    corrected=True,
    eps_inside=False,
):
    """Adam and AdamW; `corrected` and `eps_inside` make two of the usual mistakes."""
    theta = [float(x) for x in theta]
    m, v = [0.0] * len(theta), [0.0] * len(theta)
    for t, (gradient, rate) in enumerate(zip(gradients, lr, strict=True), start=1):
        for i in range(len(theta)):
            before = theta[i]
            g = float(gradient[i]) + (0.0 if decoupled else weight_decay * before)
            m[i] = betas[0] * m[i] + (1 - betas[0]) * g
            v[i] = betas[1] * v[i] + (1 - betas[1]) * g * g
            m_hat = m[i] / (1 - betas[0] ** t) if corrected else m[i]
            v_hat = v[i] / (1 - betas[1] ** t) if corrected else v[i]
            root = math.sqrt(v_hat + eps) if eps_inside else math.sqrt(v_hat) + eps
            theta[i] = before - rate * m_hat / root - (rate * weight_decay * before if decoupled else 0.0)
    return np.array(theta)


@pytest.fixture
def loops():
    """The slow loops by name."""
    return {"sgd": textbook_sgd, "adam": textbook_adam}


@pytest.fixture(params=range(3))
def run(request):
    """Parameters, 50 gradients of very different sizes and 50 rates: nothing is zero, equal or constant."""
    rng = np.random.default_rng(request.param)
    n, steps = 23, 50
    size = 10.0 ** rng.uniform(-6, 2, n)  # small enough for eps to count in some entries
    return {
        "theta": rng.standard_normal(n),
        "gradients": rng.standard_normal((steps, n)) * size,
        "lr": rng.uniform(0.5e-2, 2e-2, steps).tolist(),
    }


def worst(a, b):
    return float(np.abs(np.asarray(a) - np.asarray(b)).max() / np.abs(b).max())


@pytest.fixture
def error():
    """The largest difference, relative to the largest entry of the second array."""
    return worst
