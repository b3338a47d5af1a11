"""Adam, with weight decay as an L2 penalty.

    1.  g_t = ∇f(θ_{t-1}) + λ · θ_{t-1}                 λ: weight decay, part of the gradient
    2.  m_t = β₁ · m_{t-1} + (1 - β₁) · g_t             m_0 = 0
    3.  v_t = β₂ · v_{t-1} + (1 - β₂) · g_t²            v_0 = 0
    4.  m̂_t = m_t / (1 - β₁ᵗ)                           m and v start at 0, which pulls them towards 0:
    5.  v̂_t = v_t / (1 - β₂ᵗ)                           E[m_t] = (1 - β₁ᵗ) · E[g], so dividing takes it out
    6.  θ_t = θ_{t-1} - α_t · m̂_t / (√v̂_t + ε)          α: learning rate; ε outside the root

In step 1 the decay passes through m and v, so that a parameter with large gradients decays less than λ says.
AdamW (adamw.py) keeps it out of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor

import numpy as np

from ._arguments import (
    Array,
    check_state,
    chunks,
    require_apart,
    require_betas,
    require_count,
    require_number,
    require_vector,
)
from .segments import Segment, by_segments, resolve_segments


def adam_step(
    theta: Array,
    g: Array,
    m: Array,
    v: Array,
    t: int,
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> None:
    """Make step number `t` of Adam, in place.

    Parameters
    ----------
    theta : ndarray, shape (n,)
        The parameters θ, float32 or float64; changed.
    g : ndarray, shape (n,)
        The gradient ∇f(θ); left as it is.
    m, v : ndarray, shape (n,)
        Running averages of g and g², zero before the first step; changed.
    t : int
        Number of this step, 1 for the first.
    lr, betas, eps, weight_decay : float
        α, (β₁, β₂) in [0, 1), ε and λ.

    Raises
    ------
    ValueError, TypeError
        If a vector is not contiguous, not float32 or float64 or of another size or dtype than `theta`, if two
        share memory, if `t` is below 1 or a number is out of range or not finite. Nothing is changed then.

    References
    ----------
    Kingma, Ba: Adam: A Method for Stochastic Optimization, arXiv:1412.6980, algorithm 1. Semantics of
    torch.optim.Adam.

    Examples
    --------
    >>> theta, m, v = np.array([1.0, -2.0]), np.zeros(2), np.zeros(2)
    >>> adam_step(theta, np.array([0.5, -30.0]), m, v, 1, lr=0.1)
    >>> theta.round(6)  # whatever the size of its gradient, each parameter moves by lr at first
    array([ 0.9, -1.9])
    """
    op = "adam_step"
    t = require_count(op, "t", t, 1)
    lr = require_number(op, "lr", lr, 0.0)
    beta1, beta2 = require_betas(op, betas)
    eps = require_number(op, "eps", eps, 0.0)
    weight_decay = require_number(op, "weight_decay", weight_decay, 0.0)
    require_vector(op, "theta", theta)
    require_vector(op, "g", g, theta, written=False)
    require_vector(op, "m", m, theta)
    require_vector(op, "v", v, theta)
    require_apart(op, {"theta": theta, "m": m, "v": v, "g": g})

    for piece in chunks(0, theta.size):
        theta_, g_, m_, v_ = theta[piece], g[piece], m[piece], v[piece]
        if weight_decay:
            g_ = g_ + weight_decay * theta_  # 1
        m_ *= beta1  # 2
        m_ += (1 - beta1) * g_
        v_ *= beta2  # 3
        g_squared = g_ * g_
        g_squared *= 1 - beta2
        v_ += g_squared
        v_hat = v_ / (1 - beta2**t)  # 5
        denominator = np.sqrt(v_hat, out=v_hat)
        denominator += eps
        step = m_ / denominator
        step *= lr / (1 - beta1**t)  # 4, 6: a number in place of every m̂
        theta_ -= step  # 6


class Adam:
    """Adam on one flat vector of parameters; see `adam_step` for the formula.

    Parameters
    ----------
    flat : ndarray, shape (n,)
        The parameters, float32 or float64; every `step` changes them in place.
    lr, betas, eps, weight_decay
        As in `adam_step`; the decay is an L2 penalty.
    segments : sequence of Segment, optional
        Rates and decay by parts of the vector; see `make_segments`.

    Raises
    ------
    ValueError, TypeError
        As `adam_step`, and if `segments` do not cover the vector.

    Examples
    --------
    >>> theta = np.array([1.0, -2.0])
    >>> optimizer = Adam(theta, lr=0.1)
    >>> for _ in range(100):  # f(θ) = Σ θ² / 2
    ...     optimizer.step(theta.copy())
    >>> bool(abs(theta).max() < 0.1)
    True
    """

    def __init__(
        self,
        flat: Array,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        segments: Sequence[Segment] | None = None,
    ) -> None:
        require_vector("Adam", "flat", flat)
        self.flat = flat
        self.lr = require_number("Adam", "lr", lr, 0.0)
        self.betas = require_betas("Adam", betas)
        self.eps = require_number("Adam", "eps", eps, 0.0)
        weight_decay = require_number("Adam", "weight_decay", weight_decay, 0.0)
        self.segments = resolve_segments("Adam", segments, flat.size, weight_decay)
        self.t = 0
        self.m = np.zeros_like(flat)
        self.v = np.zeros_like(flat)

    def step(self, grad: Array, lr: float | None = None, executor: Executor | None = None) -> None:
        """Update the parameters from `grad`; `lr`, where given, replaces the optimizer's own this time.

        The threads of an `executor` share the work; the bits are the same without one.
        """
        lr = self.lr if lr is None else require_number("Adam.step", "lr", lr, 0.0)
        require_vector("Adam.step", "grad", grad, self.flat, written=False)
        require_apart("Adam.step", {"flat": self.flat, "m": self.m, "v": self.v, "grad": grad})
        self.t += 1

        def update(where: slice, lr_scale: float, weight_decay: float) -> None:
            adam_step(
                self.flat[where],
                grad[where],
                self.m[where],
                self.v[where],
                self.t,
                lr=lr * lr_scale,
                betas=self.betas,
                eps=self.eps,
                weight_decay=weight_decay,
            )

        by_segments(update, self.segments, executor)

    def state_dict(self) -> dict[str, Array]:
        """Copies of what a resumed run needs: "step", "m" and "v"."""
        return {"step": np.array(self.t, dtype=np.int64), "m": self.m.copy(), "v": self.v.copy()}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Go on from what `state_dict` returned; raise, changing nothing, if names or sizes differ."""
        self.t = check_state("Adam.load_state_dict", state, {"m": self.m, "v": self.v})
        self.m[...] = state["m"]
        self.v[...] = state["v"]
