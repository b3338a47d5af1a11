"""Similarity: two texts go through one encoder, and the cosine of their vectors shall be a given number.

    u, v      the means of the outputs of either text's tokens
    cos       û · v̂,   û = u / |u|,   v̂ = v / |v|
    loss      mean over the pairs of (cos - target)²

The two texts of a pair are rows 2 i and 2 i + 1 of one forward, and lie together in the batch, as `ids[i]` of
shape (2, T): whatever cuts a batch along its first axis cannot part them, a pair is as long as its longer
text, and the pair's one Generator draws the dropout of both.

References
----------
Reimers, Gurevych: Sentence-BERT, arXiv:1908.10084, section 3 (regression objective function).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..functional.info_nce import normalised
from ..models.pooling import mean_pooled, mean_pooled_backward
from ..nn import PairedRandom
from ._batches import extents_from_zero, keep_columns, take_sequences
from ._padding import columns
from ._texts import outputs_at, require_targets
from ._tokens import Metrics
from .regression import checked_numbers, loss_of_numbers

Array = Any


class SimilarityBatch(NamedTuple):
    """Pairs of texts and how similar they shall be."""

    ids: Array  # (B, 2, T)
    mask: Array  # (B, 2, T) bool, True = a real token
    segment_ids: Array | None  # (B, 2, T)
    targets: Array | None  # (B,) in [-1, 1]; None: there are only predictions to be made

    @property
    def shape(self) -> tuple[int, int]:
        """(B, T)."""
        return self.ids.shape[0], self.ids.shape[2]

    @property
    def n_targets(self) -> int:
        """Number of pairs, by which the loss of the whole batch is divided."""
        return 0 if self.targets is None else len(self.targets)

    def rows(self, start: int, stop: int) -> SimilarityBatch:
        """Return the pairs [start, stop) as a batch of their own."""
        return self.take(np.arange(len(self.ids))[start:stop])

    @property
    def extents(self) -> Array:
        """(2, B): 0, and the column past the last token of each pair's longer text."""
        return extents_from_zero(self.mask)

    def take(self, places: Array) -> SimilarityBatch:
        """Return the pairs at `places` (b,), in that order, as a batch of their own."""
        return take_sequences(self, places)

    def trimmed(self) -> SimilarityBatch:
        """Return the batch without the columns on the right that are padding in every text."""
        return keep_columns(self, *columns(self.extents))


class CosineCache(NamedTuple):
    """What `cosine_backward` needs."""

    u_hat: Array  # (B, d)
    v_hat: Array
    one_over_u: Array  # (B, 1), 1 / |u|, 0 where u = 0
    one_over_v: Array
    cos: Array  # (B,)


def cosine(u: Array, v: Array) -> tuple[Array, CosineCache]:
    """Return the cosines (B,) of u and v (B, d) row by row, and what the backward needs.

    A row of zeros has no direction: its cosine is 0, and so is its gradient.

    Examples
    --------
    >>> cos, cache = cosine(np.array([[3.0, 4.0]]), np.array([[2.0, 0.0]]))
    >>> cos.round(15), [dx.round(15).tolist() for dx in cosine_backward(np.ones(1), cache)]
    (array([0.6]), [[[0.128, -0.096]], [[0.0, 0.4]]])
    """
    u_hat, one_over_u = normalised(u)  # 1
    v_hat, one_over_v = normalised(v)
    cos = (u_hat * v_hat).sum(axis=-1)  # 2
    return cos, CosineCache(u_hat, v_hat, one_over_u, one_over_v, cos)


# The backward, step by step.
#
#   2. cos = Σ_i û_i v̂_i:                           dû = dcos · v̂,   dv̂ = dcos · û
#   1. û = u / |u|. From ∂|u|/∂u_j = û_j:           ∂û_i/∂u_j = ([i = j] - û_i û_j) / |u|, so
#          du = (dû - û · Σ_i dû_i û_i) / |u|
#      and with dû of step 2, where Σ_i v̂_i û_i = cos:
#          du = dcos · (v̂ - cos · û) / |u|,          dv = dcos · (û - cos · v̂) / |v|
#      what points along u is taken out, since the length of u does not matter.
def cosine_backward(dcos: Array, cache: CosineCache) -> tuple[Array, Array]:
    """Return du and dv (B, d) for dcos (B,)."""
    u_hat, v_hat, one_over_u, one_over_v, cos = cache
    dcos, cos = dcos[:, None], cos[:, None]
    du = dcos * (v_hat - cos * u_hat) * one_over_u  # 2, 1
    dv = dcos * (u_hat - cos * v_hat) * one_over_v
    return du, dv


class Similarity:
    """Makes batches of pairs, and their loss and gradients through an encoder, which needs no head.

    Examples
    --------
    >>> from npformer.models import Encoder, EncoderConfig
    >>> sizes = {"vocab_size": 30, "d_model": 8, "n_heads": 2, "d_ff": 16, "n_layers": 2, "max_positions": 10}
    >>> model = Encoder(EncoderConfig(**sizes, mlm=False))
    >>> ids = np.array([[[1, 5, 7, 2], [1, 9, 2, 0]], [[1, 8, 2, 0], [1, 8, 2, 0]]])
    >>> batch = Similarity().make_batch(ids, ids != 0, [0.25, 1.0])
    >>> batch.n_targets, batch.extents.tolist(), Similarity().predict(model, batch).shape
    (2, [[0, 0], [4, 3]], (2,))
    """

    head = None  # the outputs' means are compared as they are

    def make_batch(
        self,
        ids: Array,
        mask: Array,
        targets: Any = None,
        segment_ids: Array | None = None,
    ) -> SimilarityBatch:
        """Set the pairs beside their similarities.

        Parameters
        ----------
        ids : ndarray of int, shape (B, 2, T)
            ``np.stack([first, second], axis=1)`` of two (B, T).
        mask : ndarray of bool, shape (B, 2, T)
            True = a real token.
        targets : array_like, shape (B,), optional
            Cosines, in [-1, 1]; None = there are only predictions to be made.
        segment_ids : ndarray of int, shape (B, 2, T), optional

        Returns
        -------
        SimilarityBatch

        Raises
        ------
        ValueError
            If there are no pairs, or the targets are not as many numbers in [-1, 1].
        """
        if ids.ndim != 3 or ids.shape[1] != 2:
            raise ValueError(f"Similarity: ids: expected shape (B, 2, T), got {ids.shape}")
        if targets is not None:
            targets = checked_numbers("Similarity", targets, len(ids))
            too_large = targets[abs(targets) > 1]
            if too_large.size:
                raise ValueError(f"Similarity: targets: expected cosines, in [-1, 1], got {too_large[0]:g}")
        return SimilarityBatch(ids, mask, segment_ids, targets)

    def forward(
        self, model: Any, batch: SimilarityBatch, *, rng: Any = None, **options: Any
    ) -> tuple[Array, Any]:
        """Return the outputs (2 B, T, d_model) of the texts, and the cache.

        The other `options` are those of ``model.forward``.
        """
        T = batch.ids.shape[-1]
        ids, mask, segments = (
            None if x is None else x.reshape(-1, T) for x in (batch.ids, batch.mask, batch.segment_ids)
        )
        texts = batch._replace(ids=ids, mask=mask, segment_ids=segments)
        return outputs_at(model, texts, None, rng=None if rng is None else PairedRandom(rng), **options)

    def loss_and_grad(
        self,
        model: Any,
        batch: SimilarityBatch,
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
        targets = require_targets("Similarity", "targets", batch.targets)
        if not batch.n_targets:
            return Metrics(0.0, 0, 0)
        params, keep = model.params if params is None else params, grads is not None
        hidden, c_model = self.forward(model, batch, keep=keep, recompute=recompute, rng=rng, params=params)
        cos, weights, c_cosine = self._cosines(hidden, batch)
        metrics, dcos = loss_of_numbers(cos, targets, normalizer, keep)
        if dcos is not None:
            dpooled = np.stack(cosine_backward(dcos, c_cosine), axis=1).reshape(len(hidden), -1)
            model.backward(mean_pooled_backward(dpooled, weights), c_model, grads)
        return metrics

    def predict(self, model: Any, batch: SimilarityBatch, params: Any = None) -> Array:
        """Return the cosine of each pair, (B,); nothing is kept, nothing dropped."""
        hidden, _ = self.forward(model, batch, keep=False, params=params)
        return self._cosines(hidden, batch)[0]

    def _cosines(self, hidden: Array, batch: SimilarityBatch) -> tuple[Array, Array, CosineCache]:
        """Return the cosines (B,), the weights of the means (2 B, T), and the cosine's cache."""
        pooled, weights = mean_pooled(hidden, batch.mask.reshape(hidden.shape[:2]))
        cos, cache = cosine(pooled[0::2], pooled[1::2])
        return cos, weights, cache
