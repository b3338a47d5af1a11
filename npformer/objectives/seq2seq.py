"""Sequence to sequence with teacher forcing: each target token from the source and the true tokens before it.

    input     source x_1 .. x_S, and y_0 .. y_{T-1}, where y_0 says that a target begins
    targets   y_1 .. y_T, where y_T says that it ends
    loss      mean over the targets of -log p(y_{t+1} | x, y_0 .. y_t), smoothed

References
----------
Sutskever, Vinyals, Le: Sequence to Sequence Learning with Neural Networks, arXiv:1409.3215, section 2.
Vaswani et al.: Attention Is All You Need, arXiv:1706.03762, section 5.4 (label smoothing).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ._batches import extents_from_zero, keep_columns, take_sequences
from ._padding import columns
from ._tokens import Metrics, loss_of_tokens

Array = Any


class Seq2SeqBatch(NamedTuple):
    """Sources and targets, and at which places the next target token is to be predicted."""

    source_ids: Array  # (B, S)
    source_mask: Array  # (B, S) bool, True = a real token
    ids: Array  # (B, T)
    mask: Array  # (B, T) bool
    at: Array  # (n,) flat positions in (B, T) where there is a next token, ascending
    targets: Array  # (n,) the next tokens

    @property
    def shape(self) -> tuple[int, int]:
        """(B, the longer of S and T)."""
        return len(self.ids), max(self.ids.shape[1], self.source_ids.shape[1])

    @property
    def n_targets(self) -> int:
        """Number of targets, by which the loss of the whole batch is divided."""
        return int(self.at.size)

    def rows(self, start: int, stop: int) -> Seq2SeqBatch:
        """Return the pairs [start, stop) as a batch of their own."""
        return self.take(np.arange(len(self.ids))[start:stop])

    @property
    def extents(self) -> Array:
        """(2, B): 0, and the column past the last token of each pair's longer side."""
        return np.maximum(extents_from_zero(self.source_mask), extents_from_zero(self.mask, self.at))

    def take(self, places: Array) -> Seq2SeqBatch:
        """Return the pairs at `places` (b,), in that order, as a batch of their own."""
        return take_sequences(self, places, of_targets=("targets",))

    def trimmed(self) -> Seq2SeqBatch:
        """Return the batch without the columns on the right of either side that are padding in every pair."""
        kept = keep_columns(self, *columns(extents_from_zero(self.mask, self.at)))
        _, S = columns(extents_from_zero(self.source_mask))
        if self.source_ids.shape[1] <= S:
            return kept
        return kept._replace(source_ids=self.source_ids[:, :S], source_mask=self.source_mask[:, :S])


class Seq2Seq:
    """Makes batches of pairs, and their loss and gradients through an `EncoderDecoder`.

    Parameters
    ----------
    label_smoothing : float
        Of the loss, 0 <= s < 1.

    Raises
    ------
    ValueError
        If the smoothing is out of range.

    Examples
    --------
    >>> source, target = np.array([[7, 8]]), np.array([[1, 9, 2]])  # 1 begins, 2 ends
    >>> batch = Seq2Seq().make_batch(source, source != 0, target, target != 0)
    >>> batch.ids, batch.targets
    (array([[1, 9]]), array([9, 2]))
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        if not 0.0 <= label_smoothing < 1.0:
            raise ValueError(f"Seq2Seq: label_smoothing: expected a number in [0, 1), got {label_smoothing}")
        self.label_smoothing = label_smoothing

    def make_batch(
        self, source_ids: Array, source_mask: Array, target_ids: Array, target_mask: Array
    ) -> Seq2SeqBatch:
        """Set the target's input beside what follows it.

        Parameters
        ----------
        source_ids : ndarray of int, shape (B, S)
        source_mask : ndarray of bool, shape (B, S)
            True = a real token.
        target_ids : ndarray of int, shape (B, T + 1)
            With its beginning and its end.
        target_mask : ndarray of bool, shape (B, T + 1)

        Returns
        -------
        Seq2SeqBatch
        """
        at = np.flatnonzero(target_mask[:, :-1] & target_mask[:, 1:])
        return Seq2SeqBatch(
            source_ids,
            source_mask,
            np.ascontiguousarray(target_ids[:, :-1]),
            target_mask[:, :-1],
            at,
            target_ids[:, 1:].reshape(-1)[at],
        )

    head = "lm_head"  # of the model: logits of what `forward` returns

    def forward(self, model: Any, batch: Seq2SeqBatch, **options: Any) -> tuple[Array, Any]:
        """Return the outputs before the targets, and the cache; `options` are those of ``model.forward``."""
        masks = {"source_mask": batch.source_mask, "mask": batch.mask}
        found: tuple[Array, Any] = model.forward(batch.source_ids, batch.ids, **masks, at=batch.at, **options)
        return found

    def loss_and_grad(
        self,
        model: Any,
        batch: Seq2SeqBatch,
        grads: Any,
        *,
        normalizer: float,
        rng: Any = None,
        params: Any = None,
        recompute: bool = False,
    ) -> Metrics:
        """Return the summed loss of `batch`; add the gradient of loss / `normalizer` to `grads`.

        The parameters are those of `MaskedLM.loss_and_grad`, with an `EncoderDecoder` as the model.

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
        metrics, dhidden = loss_of_tokens(
            model.lm_head, hidden, batch.targets, params, grads, normalizer, self.label_smoothing
        )
        if dhidden is not None:
            model.backward(dhidden, c_model, grads)
        return metrics
