"""Distillation: a model learns from what a larger one thinks of each target, beside what the target is.

    q       = softmax(teacher's logits / τ)                        soft targets, constants
    p_τ     = softmax(logits / τ)
    K       = Σ over the targets of Σ_j q_j (log q_j - log p_τj)        KL(q || p_τ), 0 where both agree
    H       = Σ over the targets of -log softmax(logits)_target      cross entropy with the true tokens
    loss    = α τ² K + (1 - α) H

A temperature τ > 1 flattens both distributions, so that what the teacher thinks of the improbable tokens
counts too. It also divides the gradient of K by about τ² (by τ in logits / τ, and about once more since p_τ
and q are closer to one another); the factor τ² keeps the two parts in proportion when τ changes.

References
----------
Hinton, Vinyals, Dean: Distilling the Knowledge in a Neural Network, arXiv:1503.02531, section 2.
Sanh et al.: DistilBERT, arXiv:1910.01108, section 3.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..functional import (
    cross_entropy,
    cross_entropy_backward,
    log_softmax,
    log_softmax_backward,
)
from ._tokens import Metrics

Array = Any


class Distillation:
    """The loss and the gradient of an objective that predicts tokens, with a teacher.

    Parameters
    ----------
    objective : MaskedLM or CausalLM
        Makes the batches, and says what is predicted where.
    teacher : Encoder or Decoder
        Of the same vocabulary. Runs without dropout, keeps nothing and does not change.
    alpha : float
        α in [0, 1]: the share of the teacher.
    temperature : float
        τ > 0.

    Raises
    ------
    ValueError
        If α or τ is out of range.

    Examples
    --------
    >>> from npformer.models import Encoder, EncoderConfig
    >>> from npformer.objectives import MaskedLM
    >>> sizes = {"vocab_size": 20, "n_heads": 2, "n_layers": 1, "max_positions": 8}
    >>> teacher, student = (
    ...     Encoder(EncoderConfig(**sizes, d_model=d, d_ff=d), np.random.default_rng(d)) for d in (16, 8)
    ... )
    >>> masked = MaskedLM(20, mask_id=4, special_ids=range(5), rate=0.5)
    >>> ids = np.array([[2, 9, 7, 12, 3]])
    >>> batch = masked.make_batch(ids, ids != 0, [np.random.default_rng(0)])
    >>> objective, grads = Distillation(masked, teacher), student.params.zeros_like()
    >>> metrics = objective.loss_and_grad(student, batch, grads, normalizer=batch.n_targets)
    >>> metrics.n_targets, bool(np.abs(grads.flat).max() > 0)
    (3, True)
    """

    def __init__(self, objective: Any, teacher: Any, alpha: float = 0.5, temperature: float = 2.0) -> None:
        if not 0.0 <= alpha <= 1.0:
            raise ValueError(f"Distillation: alpha: expected a number in [0, 1], got {alpha}")
        if not 0.0 < temperature < np.inf:
            raise ValueError(f"Distillation: temperature: expected a finite number > 0, got {temperature}")
        self.objective, self.teacher = objective, teacher
        self.alpha, self.temperature = float(alpha), float(temperature)
        self.head = objective.head
        self.make_batch, self.forward = objective.make_batch, objective.forward

    def loss_and_grad(
        self,
        model: Any,
        batch: Any,
        grads: Any,
        *,
        normalizer: float,
        rng: Any = None,
        params: Any = None,
        recompute: bool = False,
    ) -> Metrics:
        """Return the summed loss of `batch`; add the gradient of loss / `normalizer` to `grads`.

        The parameters are those of `MaskedLM.loss_and_grad`.

        Returns
        -------
        Metrics
            The loss is α τ² K + (1 - α) H; correct is what agrees with the true token.
        """
        if batch.n_targets == 0:
            return Metrics(0.0, 0, 0)
        params = model.params if params is None else params
        keep, head = grads is not None, getattr(model, self.head)
        log_q = self.log_soft_targets(batch)
        hidden, c_model = self.forward(
            model, batch, keep=keep, recompute=recompute, rng=rng, params=params
        )
        logits, c_head = head.forward(params, hidden, keep)
        metrics, dlogits = self.loss_of_logits(logits, log_q, batch.targets, normalizer if keep else None)
        if dlogits is not None:
            model.backward(head.backward(params, dlogits, c_head, grads), c_model, grads)
        return metrics

    def log_soft_targets(self, batch: Any) -> Array:
        """Return log q, shape (..., V), one row for each target."""
        hidden, _ = self.forward(self.teacher, batch, keep=False)
        logits, _ = getattr(self.teacher, self.head).forward(self.teacher.params, hidden, False)
        found: Array = log_softmax(logits / self.temperature)[0]
        return found

    # The backward, step by step.
    #
    #   1. loss / N = (α τ² K + (1 - α) H) / N:     dK = α τ² / N,   dH = (1 - α) / N
    #   2. K = Σ_j q_j (log q_j - log p_j):         dlog p_j = -dK · q_j
    #   3. log p = log softmax(u), and Σ q = 1:     du = dlog p - p Σ dlog p = dK · (p - q)
    #   4. u = logits / τ:                          dlogits = du / τ = (α τ / N) · (p_τ - q)
    #   5. and through H:                           dlogits += dH · (softmax(logits) - [j = target])
    def loss_of_logits(
        self, logits: Array, log_q: Array, targets: Array, normalizer: float | None
    ) -> tuple[Metrics, Array | None]:
        """Return the summed loss, and the gradient of loss / `normalizer` with respect to the logits.

        Parameters
        ----------
        logits : ndarray, shape (..., V)
        log_q : ndarray, shape (..., V)
            Logarithms of the soft targets.
        targets : ndarray of int, shape (...)
        normalizer : float, optional
            N; None: only the loss.

        Returns
        -------
        metrics : Metrics
        dlogits : ndarray, shape (..., V), or None without a normalizer
        """
        alpha, tau, dtype = self.alpha, self.temperature, logits.dtype
        targets = targets.reshape(logits.shape[:-1])
        log_q = log_q.astype(logits.real.dtype, copy=False)
        q = np.exp(log_q)
        log_p, c_soft = log_softmax(logits / tau)
        K = (q * (log_q - log_p)).sum()
        H, c_hard = cross_entropy(logits, targets, reduction="sum")
        loss_sum = alpha * tau**2 * K + (1 - alpha) * H
        n_correct = int((logits.real.argmax(axis=-1) == targets).sum())
        value = loss_sum if np.iscomplexobj(loss_sum) else float(loss_sum)
        metrics = Metrics(value, n_correct, int(targets.size))
        if normalizer is None:
            return metrics, None
        dK, dH = np.array([alpha * tau**2, 1 - alpha], dtype) / dtype.type(normalizer)  # 1
        du = log_softmax_backward(-dK * q, c_soft)  # 2, 3
        dlogits = du / dtype.type(tau)  # 4
        dlogits += cross_entropy_backward(dH, c_hard)  # 5
        return metrics, dlogits
