"""Tagging: a label for each word, read off the output of its first piece.

    logits    task head of the outputs at the first pieces
    loss      mean over the words of -log p(label | text), weighted by class where there are class weights

References
----------
Devlin et al.: BERT, arXiv:1810.04805, section 5.3.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..functional import softmax
from ..models._arguments import integers
from ..nn import GatheredRandom
from ._batches import extents_from_zero, keep_columns, take_sequences
from ._labels import checked_class_weights, checked_labels, loss_of_labels, number_of_targets
from ._padding import columns
from ._texts import outputs_at, require_targets, require_task
from ._tokens import Metrics

Array = Any


class TaggingBatch(NamedTuple):
    """Texts, where their words begin, and the words' labels."""

    ids: Array  # (B, T)
    mask: Array  # (B, T) bool, True = a real token
    segment_ids: Array | None  # (B, T)
    at: Array  # (n,) flat positions of the words' first pieces in (B, T), ascending
    targets: Array | None  # (n,) labels; None: there are only predictions to be made
    weights: Array | None = None  # (n,) of each label's class

    @property
    def shape(self) -> tuple[int, int]:
        """(B, T)."""
        return self.ids.shape[0], self.ids.shape[1]

    @property
    def n_targets(self) -> Any:
        """How many labels, or the sum of their weights: by it the loss of the whole batch is divided."""
        return number_of_targets(self.targets, self.weights)

    def rows(self, start: int, stop: int) -> TaggingBatch:
        """Return the texts [start, stop) as a batch of their own."""
        return self.take(np.arange(len(self.ids))[start:stop])

    @property
    def extents(self) -> Array:
        """(2, B): 0, as positions count from there, and the column past each text's last token."""
        return extents_from_zero(self.mask, self.at)

    def take(self, places: Array) -> TaggingBatch:
        """Return the texts at `places` (b,), in that order, as a batch of their own."""
        return take_sequences(self, places, of_targets=("targets", "weights"))

    def trimmed(self) -> TaggingBatch:
        """Return the batch without the columns on the right that are padding in every text."""
        return keep_columns(self, *columns(self.extents))


class TokenClassification:
    """Makes batches of tagged texts, and their loss and gradients through an encoder with a `TokenHead`.

    Parameters
    ----------
    n_labels : int
        From 2 on.
    class_weights : array_like, shape (n_labels,), optional
        As those of `SequenceClassification`.

    Raises
    ------
    ValueError
        If there are too few labels, or the weights are not as many, or not numbers from 0 on.

    Examples
    --------
    >>> from npformer.models import Encoder, EncoderConfig
    >>> sizes = {"vocab_size": 30, "d_model": 8, "n_heads": 2, "d_ff": 16, "n_layers": 2, "max_positions": 10}
    >>> model = Encoder(EncoderConfig(**sizes, mlm=False, task="tag", n_labels=3))
    >>> ids = np.array([[1, 5, 7, 2], [1, 9, 2, 0]])
    >>> objective = TokenClassification(n_labels=3)
    >>> batch = objective.make_batch(ids, ids != 0, at=[1, 2, 5], targets=[0, 2, 1])
    >>> objective.predict(model, batch).shape
    (3, 3)
    """

    head = "task_head"  # of the model: logits of what `forward` returns

    def __init__(self, n_labels: int, class_weights: npt.ArrayLike | None = None) -> None:
        self.class_weights = checked_class_weights("TokenClassification", n_labels, class_weights)
        self.n_labels = int(n_labels)

    def make_batch(
        self,
        ids: Array,
        mask: Array,
        at: npt.ArrayLike,
        targets: npt.ArrayLike | None = None,
        segment_ids: Array | None = None,
    ) -> TaggingBatch:
        """Set the texts beside their words' labels.

        Parameters
        ----------
        ids : ndarray of int, shape (B, T)
        mask : ndarray of bool, shape (B, T)
            True = a real token.
        at : array_like of int, shape (n,)
            Flat positions b · T + t of the words' first pieces, ascending.
        targets : array_like of int, shape (n,), optional
            Labels in [0, n_labels); None = there are only predictions to be made.
        segment_ids : ndarray of int, shape (B, T), optional

        Returns
        -------
        TaggingBatch

        Raises
        ------
        ValueError, TypeError
            If positions or labels are not integers in their range, the positions do not ascend, or there is
            not one label for each.
        """
        name = "TokenClassification"
        at = integers(name, "at", at, 1, ids.size)
        if (at[1:] <= at[:-1]).any():
            raise ValueError(f"{name}: at: expected ascending positions, got {at.tolist()}")
        if targets is None:
            return TaggingBatch(ids, mask, segment_ids, at, None)
        targets = checked_labels(name, "targets", targets, len(at), self.n_labels)
        weights = None if self.class_weights is None else self.class_weights[targets]
        return TaggingBatch(ids, mask, segment_ids, at, targets, weights)

    def forward(self, model: Any, batch: TaggingBatch, **options: Any) -> tuple[Array, Any]:
        """Return the outputs at the words, and the cache; `options` are those of ``model.forward``."""
        require_task("TokenClassification", model, "tag", self.n_labels)
        return outputs_at(model, batch, batch.at, **options)

    def loss_and_grad(
        self,
        model: Any,
        batch: TaggingBatch,
        grads: Any,
        *,
        normalizer: float,
        rng: Any = None,
        params: Any = None,
        recompute: bool = False,
    ) -> Metrics:
        """Return the summed loss of `batch`; add the gradient of loss / `normalizer` to `grads`.

        The parameters are those of `SequenceClassification.loss_and_grad`.

        Returns
        -------
        Metrics
        """
        targets = require_targets("TokenClassification", "targets", batch.targets)
        if not batch.n_targets:
            return Metrics(0.0, 0, 0)
        params, keep = model.params if params is None else params, grads is not None
        hidden, c_model = self.forward(model, batch, keep=keep, recompute=recompute, rng=rng, params=params)
        there = None if rng is None else GatheredRandom(rng, batch.at, batch.shape)
        logits, c_head = model.task_head.forward(params, hidden, keep, rng=there)
        metrics, dlogits = loss_of_labels(logits, targets, batch.weights, normalizer, keep)
        if keep:
            model.backward(model.task_head.backward(params, dlogits, c_head, grads), c_model, grads)
        return metrics

    def predict(self, model: Any, batch: TaggingBatch, params: Any = None) -> Array:
        """Return the probabilities of the words' labels, (n, n_labels); nothing is kept, nothing dropped."""
        params = model.params if params is None else params
        hidden, _ = self.forward(model, batch, keep=False, params=params)
        logits, _ = model.task_head.forward(params, hidden, False)
        return softmax(logits)[0]
