"""Stochastic gradient descent, with momentum and Nesterov's momentum.

    1.  g_t = ∇f(θ_{t-1}) + λ · θ_{t-1}        λ: weight decay (L2)
    2.  b_t = μ · b_{t-1} + g_t                b_0 = 0; μ: momentum
    3.  d_t = b_t                              plain momentum
        d_t = g_t + μ · b_t                    Nesterov
    4.  θ_t = θ_{t-1} - α_t · d_t              α: learning rate

Sutskever et al. write the rate inside the velocity, v_t = μ · v_{t-1} - α · g_t and θ_t = θ_{t-1} + v_t, and
Nesterov's form with the gradient taken at θ + μ · v. With v = -α · b, and θ standing for that looked-ahead
point, that is the form above as long as α stays the same; where α changes, the form above, as in PyTorch,
applies the new α to all of b.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor

import numpy as np

from ._arguments import (
    Array,
    bad_value,
    check_state,
    chunks,
    require_apart,
    require_number,
    require_vector,
)
from .segments import Segment, by_segments, resolve_segments


def sgd_step(
    theta: Array,
    g: Array,
    b: Array | None = None,
    *,
    lr: float,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> None:
    """Make one step of gradient descent, in place.

    Parameters
    ----------
    theta : ndarray, shape (n,)
        The parameters θ, float32 or float64; changed.
    g : ndarray, shape (n,)
        The gradient ∇f(θ); left as it is.
    b : ndarray, shape (n,), optional
        The velocity, zero before the first step; changed. Needed if `momentum` is not 0.
    lr, momentum, weight_decay : float
        α, μ in [0, 1] and λ.
    nesterov : bool
        Use Nesterov's momentum.

    Raises
    ------
    ValueError, TypeError
        If a vector is not contiguous, not float32 or float64 or of another size or dtype than `theta`, if two
        share memory, if a number is out of range or not finite, or if `nesterov` comes without a momentum.
        Nothing is changed then.

    References
    ----------
    Sutskever, Martens, Dahl, Hinton: On the importance of initialization and momentum in deep learning,
    ICML 2013, equations 1 to 4. Semantics of torch.optim.SGD with dampening 0.

    Examples
    --------
    >>> theta, b = np.array([1.0, -2.0]), np.zeros(2)
    >>> sgd_step(theta, np.array([0.5, 0.5]), b, lr=0.1, momentum=0.9)
    >>> sgd_step(theta, np.array([0.5, 0.5]), b, lr=0.1, momentum=0.9)
    >>> theta  # 0.05 in the first step, 0.05 · (1 + 0.9) in the second
    array([ 0.855, -2.145])
    """
    op = "sgd_step"
    lr = require_number(op, "lr", lr, 0.0)
    momentum = require_number(op, "momentum", momentum, 0.0, 1.0)
    weight_decay = require_number(op, "weight_decay", weight_decay, 0.0)
    if nesterov and momentum == 0:
        bad_value(op, "nesterov", "False where momentum is 0", nesterov)
    require_vector(op, "theta", theta)
    require_vector(op, "g", g, theta, written=False)
    vectors = {"theta": theta, "g": g}
    if momentum:
        if b is None:
            bad_value(op, "b", "a velocity, since momentum is not 0", None)
        require_vector(op, "b", b, theta)
        vectors["b"] = b
    require_apart(op, vectors)

    for piece in chunks(0, theta.size):
        theta_, g_ = theta[piece], g[piece]
        if weight_decay:
            g_ = g_ + weight_decay * theta_  # 1
        d = g_
        if momentum:
            assert b is not None
            b_ = b[piece]
            b_ *= momentum  # 2
            b_ += g_
            d = g_ + momentum * b_ if nesterov else b_  # 3
        theta_ -= lr * d  # 4


class SGD:
    """Stochastic gradient descent on one flat vector of parameters; see `sgd_step` for the formula.

    Parameters
    ----------
    flat : ndarray, shape (n,)
        The parameters, float32 or float64; every `step` changes them in place.
    lr, momentum, nesterov, weight_decay
        As in `sgd_step`.
    segments : sequence of Segment, optional
        Rates and decay by parts of the vector; see `make_segments`.

    Raises
    ------
    ValueError, TypeError
        As `sgd_step`, and if `segments` do not cover the vector.

    Examples
    --------
    >>> theta = np.array([1.0, 1.0])
    >>> optimizer = SGD(theta, lr=0.5, segments=[Segment(0, 1), Segment(1, 2, lr_scale=0.1)])
    >>> optimizer.step(np.array([1.0, 1.0]))
    >>> theta
    array([0.5 , 0.95])
    """

    def __init__(
        self,
        flat: Array,
        lr: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        segments: Sequence[Segment] | None = None,
    ) -> None:
        require_vector("SGD", "flat", flat)
        self.flat = flat
        self.lr = require_number("SGD", "lr", lr, 0.0)
        self.momentum = require_number("SGD", "momentum", momentum, 0.0, 1.0)
        self.nesterov = nesterov
        if nesterov and self.momentum == 0:
            bad_value("SGD", "nesterov", "False where momentum is 0", nesterov)
        weight_decay = require_number("SGD", "weight_decay", weight_decay, 0.0)
        self.segments = resolve_segments("SGD", segments, flat.size, weight_decay)
        self.t = 0
        self.velocity = np.zeros_like(flat) if self.momentum else None

    def step(self, grad: Array, lr: float | None = None, executor: Executor | None = None) -> None:
        """Update the parameters from `grad`; `lr`, where given, replaces the optimizer's own this time.

        The threads of an `executor` share the work; the bits are the same without one.
        """
        lr = self.lr if lr is None else require_number("SGD.step", "lr", lr, 0.0)
        require_vector("SGD.step", "grad", grad, self.flat, written=False)
        require_apart("SGD.step", {"flat": self.flat, **self._vectors(), "grad": grad})
        self.t += 1

        def update(where: slice, lr_scale: float, weight_decay: float) -> None:
            sgd_step(
                self.flat[where],
                grad[where],
                None if self.velocity is None else self.velocity[where],
                lr=lr * lr_scale,
                momentum=self.momentum,
                nesterov=self.nesterov,
                weight_decay=weight_decay,
            )

        by_segments(update, self.segments, executor)

    def state_dict(self) -> dict[str, Array]:
        """Copies of what a resumed run needs: "step", and "velocity" where there is a momentum."""
        return {"step": np.array(self.t, dtype=np.int64)} | {k: x.copy() for k, x in self._vectors().items()}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Go on from what `state_dict` returned; raise, changing nothing, if names or sizes differ."""
        self.t = check_state("SGD.load_state_dict", state, self._vectors())
        for name, vector in self._vectors().items():
            vector[...] = state[name]

    def _vectors(self) -> dict[str, Array]:
        return {} if self.velocity is None else {"velocity": self.velocity}
