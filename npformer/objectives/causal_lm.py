"""Causal language modelling (generative pre-training): each token is predicted from those before it.

    input     x_0 .. x_{T-1}
    targets   x_1 .. x_T
    loss      mean over the targets of -log p(x_{t+1} | x_0 .. x_t)

References
----------
Radford et al.: Improving Language Understanding by Generative Pre-Training, section 3.1.
Raffel et al.: T5, arXiv:1910.10683, section 3.2.1 (prefix LM).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ._batches import keep_columns, take_sequences
from ._padding import columns, extents
from ._tokens import Metrics, loss_of_tokens

Array = Any


class CausalLMBatch(NamedTuple):
    """Sequences, and at which places the next token is to be predicted."""

    ids: Array  # (B, T)
    mask: Array  # (B, T) bool, True = a real token
    prefix: Array | None  # (B,) real tokens that see one another and are no targets
    at: Array  # (n,) flat positions in (B, T) where there is a next token, ascending
    targets: Array  # (n,) the next tokens

    @property
    def shape(self) -> tuple[int, int]:
        """(B, T)."""
        return self.ids.shape[0], self.ids.shape[1]

    @property
    def n_targets(self) -> int:
        """Number of targets, by which the loss of the whole batch is divided."""
        return int(self.at.size)

    def rows(self, start: int, stop: int) -> CausalLMBatch:
        """Return the sequences [start, stop) as a batch of their own."""
        return self.take(np.arange(len(self.ids))[start:stop])

    @property
    def extents(self) -> Array:
        """(2, B): the column of each sequence's first token, and the one past its last."""
        return extents(self.mask, self.at)

    def take(self, places: Array) -> CausalLMBatch:
        """Return the sequences at `places` (b,), in that order, as a batch of their own."""
        return take_sequences(self, places, of_targets=("targets",))

    def trimmed(self) -> CausalLMBatch:
        """Return the batch without the columns, on either side, that are padding in every sequence."""
        start, stop = columns(self.extents)
        kept = keep_columns(self, start, stop)
        if kept is self or self.prefix is None:
            return kept
        return kept._replace(prefix=np.minimum(self.prefix, stop - start))  # it counts real tokens


class CausalLM:
    """Makes batches for next-token prediction, and their loss and gradients through a `Decoder`.

    Examples
    --------
    >>> ids = np.array([[5, 6, 7, 8], [5, 9, 0, 0]])
    >>> batch = CausalLM().make_batch(ids, ids != 0)
    >>> batch.ids, batch.at, batch.targets
    (array([[5, 6, 7],
           [5, 9, 0]]), array([0, 1, 2, 3]), array([6, 7, 8, 9]))
    """

    def make_batch(
        self,
        ids: Array,
        mask: Array,
        rngs: Sequence[np.random.Generator] = (),
        segment_ids: Array | None = None,
        prefix: Array | None = None,
        loss_from: Array | None = None,
    ) -> CausalLMBatch:
        """Set the input beside what follows it.

        Parameters
        ----------
        ids : ndarray of int, shape (B, T + 1)
        mask : ndarray of bool, shape (B, T + 1)
            True = a real token.
        rngs, segment_ids
            Not used: nothing is random here, and a decoder has no segments.
        prefix : ndarray of int, shape (B,), optional
            The first so many real tokens of each sequence see one another and are no targets.
        loss_from : ndarray of int, shape (B,), optional
            The first so many real tokens of each sequence are no targets: a question, say, whose answer alone
            is to be learnt. Each still sees what is before it alone.

        Returns
        -------
        CausalLMBatch
        """
        real = mask[:, :-1] & mask[:, 1:]
        place = np.cumsum(mask, axis=1) - 1  # of a token among the real ones
        for first in (prefix, loss_from):
            if first is not None:
                real &= place[:, 1:] >= np.asarray(first)[:, None]
        at = np.flatnonzero(real)
        return CausalLMBatch(
            np.ascontiguousarray(ids[:, :-1]), mask[:, :-1], prefix, at, ids[:, 1:].reshape(-1)[at]
        )

    head = "lm_head"  # of the model: logits of what `forward` returns

    def forward(self, model: Any, batch: CausalLMBatch, **options: Any) -> tuple[Array, Any]:
        """Return the outputs before the targets, and the cache; `options` are those of ``model.forward``."""
        everywhere = batch.n_targets == batch.ids.size
        at = None if everywhere else batch.at
        found: tuple[Array, Any] = model.forward(
            batch.ids, mask=batch.mask, prefix=batch.prefix, at=at, **options
        )
        return found

    def loss_and_grad(
        self,
        model: Any,
        batch: CausalLMBatch,
        grads: Any,
        *,
        normalizer: float,
        rng: Any = None,
        params: Any = None,
        recompute: bool = False,
    ) -> Metrics:
        """Return the summed loss of `batch`; add the gradient of loss / `normalizer` to `grads`.

        The parameters are those of `MaskedLM.loss_and_grad`, with a `Decoder` as the model.

        Returns
        -------
        Metrics
        """
        if batch.n_targets == 0:
            return Metrics(0.0, 0, 0)
        params = model.params if params is None else params
        hidden, c_model = self.forward(
            model, batch, keep=grads is not None, recompute=recompute, rng=rng, params=params
        )
        targets = batch.targets.reshape(hidden.shape[:-1])
        metrics, dhidden = loss_of_tokens(model.lm_head, hidden, targets, params, grads, normalizer)
        if dhidden is not None:
            model.backward(dhidden, c_model, grads)
        return metrics


def perplexity(loss: float) -> float:
    """Return exp(loss) of a loss in nats per token: among how many equally likely tokens one would choose.

    Infinity where that is more than a float can be, from a loss of 709.8 on.

    Examples
    --------
    >>> round(perplexity(math.log(50)), 9)
    50.0
    """
    try:
        return math.exp(loss)
    except OverflowError:
        return math.inf


def bits_per_byte(loss_sum: float, n_bytes: int) -> float:
    """Return a summed loss in nats as bits for each byte of the text: comparable across tokenizers.

    Examples
    --------
    >>> bits_per_byte(8 * math.log(2), n_bytes=4)
    2.0
    """
    return loss_sum / math.log(2) / n_bytes
