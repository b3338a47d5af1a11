"""Regression: one number for a text, or for a pair in one sequence.

    value     task head of the text's outputs, its one output
    loss      mean over the texts of (value - target)²

References
----------
Devlin et al.: BERT, arXiv:1810.04805, section 4.1 (STS-B).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..functional import mse_loss, mse_loss_backward
from ._batches import extents_from_zero, keep_columns, take_sequences
from ._padding import columns
from ._texts import outputs_for_the_head, require_targets, require_task
from ._tokens import Metrics

Array = Any


class RegressionBatch(NamedTuple):
    """Texts and their numbers."""

    ids: Array  # (B, T)
    mask: Array  # (B, T) bool, True = a real token
    segment_ids: Array | None  # (B, T)
    targets: Array | None  # (B,) floats; None: there are only predictions to be made

    @property
    def shape(self) -> tuple[int, int]:
        """(B, T)."""
        return self.ids.shape[0], self.ids.shape[1]

    @property
    def n_targets(self) -> int:
        """Number of targets, by which the loss of the whole batch is divided."""
        return 0 if self.targets is None else len(self.targets)

    def rows(self, start: int, stop: int) -> RegressionBatch:
        """Return the texts [start, stop) as a batch of their own."""
        return self.take(np.arange(len(self.ids))[start:stop])

    @property
    def extents(self) -> Array:
        """(2, B): 0, as positions count from there, and the column past each text's last token."""
        return extents_from_zero(self.mask)

    def take(self, places: Array) -> RegressionBatch:
        """Return the texts at `places` (b,), in that order, as a batch of their own."""
        return take_sequences(self, places)

    def trimmed(self) -> RegressionBatch:
        """Return the batch without the columns on the right that are padding in every text."""
        return keep_columns(self, *columns(self.extents))


class Regression:
    """Makes batches of texts with numbers, and their loss and gradients through an encoder with a task head.

    Examples
    --------
    >>> from npformer.models import Encoder, EncoderConfig
    >>> sizes = {"vocab_size": 30, "d_model": 8, "n_heads": 2, "d_ff": 16, "n_layers": 2, "max_positions": 10}
    >>> model = Encoder(EncoderConfig(**sizes, mlm=False, task="regress", n_labels=1))
    >>> ids = np.array([[1, 5, 7, 2], [1, 9, 2, 0]])
    >>> batch = Regression().make_batch(ids, ids != 0, [0.8, 2.5])
    >>> Regression().predict(model, batch).shape
    (2,)
    """

    head = "task_head"  # of the model: the value, of what `forward` returns

    def make_batch(
        self,
        ids: Array,
        mask: Array,
        targets: npt.ArrayLike | None = None,
        segment_ids: Array | None = None,
    ) -> RegressionBatch:
        """Set the texts beside their numbers.

        Parameters
        ----------
        ids : ndarray of int, shape (B, T)
            The first token of each text in the first column.
        mask : ndarray of bool, shape (B, T)
            True = a real token.
        targets : array_like, shape (B,), optional
            None = there are only predictions to be made.
        segment_ids : ndarray of int, shape (B, T), optional

        Returns
        -------
        RegressionBatch

        Raises
        ------
        ValueError
            If the targets are not as many numbers.
        """
        if targets is not None:
            targets = checked_numbers("Regression", targets, len(ids))
        return RegressionBatch(ids, mask, segment_ids, targets)

    def forward(self, model: Any, batch: RegressionBatch, **options: Any) -> tuple[Array, Any]:
        """Return the outputs that the head wants, and the cache; `options` are those of ``model.forward``."""
        require_task("Regression", model, "regress", 1)
        return outputs_for_the_head(model, batch, **options)

    def loss_and_grad(
        self,
        model: Any,
        batch: RegressionBatch,
        grads: Any,
        *,
        normalizer: float,
        rng: Any = None,
        params: Any = None,
        recompute: bool = False,
    ) -> Metrics:
        """Return the summed loss of `batch`; add the gradient of loss / `normalizer` to `grads`.

        The parameters are those of `MaskedLM.loss_and_grad`. Nothing counts as correct.

        Returns
        -------
        Metrics
        """
        targets = require_targets("Regression", "targets", batch.targets)
        if not batch.n_targets:
            return Metrics(0.0, 0, 0)
        params, keep = model.params if params is None else params, grads is not None
        hidden, c_model = self.forward(model, batch, keep=keep, recompute=recompute, rng=rng, params=params)
        y, c_head = model.task_head.forward(params, hidden, keep, mask=batch.mask, rng=rng)  # (B, 1)
        metrics, dvalues = loss_of_numbers(y[:, 0], targets, normalizer, keep)
        if dvalues is not None:
            dhidden = model.task_head.backward(params, dvalues[:, None], c_head, grads)
            model.backward(dhidden, c_model, grads)
        return metrics

    def predict(self, model: Any, batch: RegressionBatch, params: Any = None) -> Array:
        """Return the value of each text, (B,); nothing is kept, nothing dropped."""
        params = model.params if params is None else params
        hidden, _ = self.forward(model, batch, keep=False, params=params)
        y, _ = model.task_head.forward(params, hidden, False, mask=batch.mask)
        return y[:, 0]


def checked_numbers(objective: str, targets: npt.ArrayLike, n: int) -> Array:
    """Return n finite numbers."""
    numbers = np.asarray(targets, np.float64)
    if numbers.shape != (n,) or not np.isfinite(numbers).all():
        got = f"shape {numbers.shape}" if numbers.shape != (n,) else "one that is not finite"
        raise ValueError(f"{objective}: targets: expected {n} finite numbers, got {got}")
    return numbers


def loss_of_numbers(
    values: Array, targets: Array, normalizer: float, keep: bool
) -> tuple[Metrics, Array | None]:
    """Return the summed squared error of values (n,), and the gradient of loss / `normalizer`."""
    loss_sum, c_loss = mse_loss(values, targets.astype(values.real.dtype), reduction="sum")
    value = loss_sum if np.iscomplexobj(loss_sum) else float(loss_sum)
    dvalues = None
    if keep:
        dvalues, _ = mse_loss_backward(np.asarray(1.0 / normalizer, values.dtype), c_loss)
    return Metrics(value, 0, len(targets)), dvalues
