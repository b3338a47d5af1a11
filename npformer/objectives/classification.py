"""Classification of texts, or of pairs in one sequence: one label for each.

    logits    task head of the text's outputs
    loss      mean over the texts of -log p(label | text), weighted by class where there are class weights

References
----------
Devlin et al.: BERT, arXiv:1810.04805, section 4.1.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..functional import softmax
from ._batches import extents_from_zero, keep_columns, take_sequences
from ._labels import checked_class_weights, checked_labels, loss_of_labels, number_of_targets
from ._padding import columns
from ._texts import outputs_for_the_head, require_targets, require_task
from ._tokens import Metrics

Array = Any


class ClassificationBatch(NamedTuple):
    """Texts and their labels."""

    ids: Array  # (B, T)
    mask: Array  # (B, T) bool, True = a real token
    segment_ids: Array | None  # (B, T)
    labels: Array | None  # (B,); None: there are only predictions to be made
    weights: Array | None = None  # (B,) of each label's class

    @property
    def shape(self) -> tuple[int, int]:
        """(B, T)."""
        return self.ids.shape[0], self.ids.shape[1]

    @property
    def n_targets(self) -> Any:
        """How many labels, or the sum of their weights: by it the loss of the whole batch is divided."""
        return number_of_targets(self.labels, self.weights)

    def rows(self, start: int, stop: int) -> ClassificationBatch:
        """Return the texts [start, stop) as a batch of their own."""
        return self.take(np.arange(len(self.ids))[start:stop])

    @property
    def extents(self) -> Array:
        """(2, B): 0, as positions count from there, and the column past each text's last token."""
        return extents_from_zero(self.mask)

    def take(self, places: Array) -> ClassificationBatch:
        """Return the texts at `places` (b,), in that order, as a batch of their own."""
        return take_sequences(self, places)

    def trimmed(self) -> ClassificationBatch:
        """Return the batch without the columns on the right that are padding in every text."""
        return keep_columns(self, *columns(self.extents))


class SequenceClassification:
    """Makes batches of labelled texts, and their loss and gradients through an encoder with a `SequenceHead`.

    Parameters
    ----------
    n_labels : int
        From 2 on.
    class_weights : array_like, shape (n_labels,), optional
        How much each class counts, from 0 on; only their ratios matter. The loss is then a weighted mean, as
        in ``torch.nn.CrossEntropyLoss(weight=...)``: divided by the sum of the labels' weights, not by their
        number. The accuracy is weighted alike.

    Raises
    ------
    ValueError
        If there are too few labels, or the weights are not as many, or not numbers from 0 on.

    Examples
    --------
    >>> import numpy as np
    >>> from npformer.models import Encoder, EncoderConfig
    >>> sizes = {"vocab_size": 30, "d_model": 8, "n_heads": 2, "d_ff": 16, "n_layers": 2, "max_positions": 10}
    >>> model = Encoder(EncoderConfig(**sizes, mlm=False, task="classify", n_labels=3))
    >>> ids = np.array([[1, 5, 7, 2], [1, 9, 2, 0]])
    >>> objective = SequenceClassification(n_labels=3)
    >>> batch = objective.make_batch(ids, ids != 0, [2, 0])
    >>> objective.loss_and_grad(model, batch, model.params.zeros_like(), normalizer=batch.n_targets).n_targets
    2
    >>> objective.predict(model, batch).shape
    (2, 3)
    """

    head = "task_head"  # of the model: logits of what `forward` returns

    def __init__(self, n_labels: int, class_weights: npt.ArrayLike | None = None) -> None:
        self.class_weights = checked_class_weights("SequenceClassification", n_labels, class_weights)
        self.n_labels = int(n_labels)

    def make_batch(
        self,
        ids: Array,
        mask: Array,
        labels: npt.ArrayLike | None = None,
        segment_ids: Array | None = None,
    ) -> ClassificationBatch:
        """Set the texts beside their labels.

        Parameters
        ----------
        ids : ndarray of int, shape (B, T)
            The first token of each text in the first column.
        mask : ndarray of bool, shape (B, T)
            True = a real token.
        labels : array_like of int, shape (B,), optional
            In [0, n_labels); None = there are only predictions to be made.
        segment_ids : ndarray of int, shape (B, T), optional

        Returns
        -------
        ClassificationBatch

        Raises
        ------
        ValueError, TypeError
            If the labels are not as many integers in their range.
        """
        if labels is None:
            return ClassificationBatch(ids, mask, segment_ids, None)
        labels = checked_labels("SequenceClassification", "labels", labels, len(ids), self.n_labels)
        weights = None if self.class_weights is None else self.class_weights[labels]
        return ClassificationBatch(ids, mask, segment_ids, labels, weights)

    def forward(self, model: Any, batch: ClassificationBatch, **options: Any) -> tuple[Array, Any]:
        """Return the outputs that the head wants, and the cache; `options` are those of ``model.forward``."""
        require_task("SequenceClassification", model, "classify", self.n_labels)
        return outputs_for_the_head(model, batch, **options)

    def loss_and_grad(
        self,
        model: Any,
        batch: ClassificationBatch,
        grads: Any,
        *,
        normalizer: float,
        rng: Any = None,
        params: Any = None,
        recompute: bool = False,
    ) -> Metrics:
        """Return the summed loss of `batch`; add the gradient of loss / `normalizer` to `grads`.

        The parameters are those of `MaskedLM.loss_and_grad`. With class weights every sum is weighted,
        `normalizer` being ``n_targets`` of the whole batch as ever.

        Returns
        -------
        Metrics
        """
        labels = require_targets("SequenceClassification", "labels", batch.labels)
        if not batch.n_targets:
            return Metrics(0.0, 0, 0)
        params, keep = model.params if params is None else params, grads is not None
        hidden, c_model = self.forward(model, batch, keep=keep, recompute=recompute, rng=rng, params=params)
        logits, c_head = model.task_head.forward(params, hidden, keep, mask=batch.mask, rng=rng)
        metrics, dlogits = loss_of_labels(logits, labels, batch.weights, normalizer, keep)
        if keep:
            model.backward(model.task_head.backward(params, dlogits, c_head, grads), c_model, grads)
        return metrics

    def predict(self, model: Any, batch: ClassificationBatch, params: Any = None) -> Array:
        """Return the probabilities of the labels, (B, n_labels); nothing is kept, nothing dropped."""
        params = model.params if params is None else params
        hidden, _ = self.forward(model, batch, keep=False, params=params)
        logits, _ = model.task_head.forward(params, hidden, False, mask=batch.mask)
        return softmax(logits)[0]
