"""Contrastive learning of sentence vectors: each text finds its own partner among those of the whole batch.

    one text         encoded twice, under two dropout masks: the two vectors are a pair          a, b
    two texts        a pair that a person has made                                               a, b
    three texts      and a hard negative, which is a negative of every pair of the batch         a, b, n
    vector           the mean of the outputs of a text's tokens, or the output of its first
    loss             InfoNCE(a, b; n); symmetric: the mean of this and InfoNCE(b, a)

The loss couples all examples of a batch, so it works in two phases:

    1. `embed` every part of the batch                vectors, and what their backward needs
    2. `couple` all the vectors of the whole batch    the loss, and the gradient of every vector
    3. `backward` for every part                      from the gradient of its vectors

training/coupled_step.py cuts a batch into parts; `loss_and_grad` does all three for a batch in one part.

References
----------
Gao, Yao, Chen: SimCSE, arXiv:2104.08821, sections 3 and 4. Gao et al.: GradCache, arXiv:2101.06983 (phases).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..functional import info_nce, info_nce_backward
from ..models.pooling import mean_pooled, mean_pooled_backward
from ..nn import SequenceRandom
from ._batches import extents_from_zero, keep_columns, take_sequences
from ._padding import columns, extents
from ._tokens import Metrics

Array = Any

POOLINGS = ("mean", "cls")


class ContrastiveBatch(NamedTuple):
    """Examples of one, two or three texts each: k texts."""

    ids: Array  # (B, k, T)
    mask: Array  # (B, k, T) bool, True = a real token

    @property
    def shape(self) -> tuple[int, int]:
        """(B, T)."""
        return self.ids.shape[0], self.ids.shape[2]

    @property
    def n_targets(self) -> int:
        """Number of examples, by which the loss of the whole batch is divided."""
        return len(self.ids)

    def rows(self, start: int, stop: int) -> ContrastiveBatch:
        """Return the examples [start, stop) as a batch of their own."""
        return self.take(np.arange(len(self.ids))[start:stop])

    @property
    def extents(self) -> Array:
        """(2, B): 0, as positions count from there, and the column past the last token of all its texts."""
        return extents_from_zero(self.mask)

    def take(self, places: Array) -> ContrastiveBatch:
        """Return the examples at `places` (b,), in that order, as a batch of their own."""
        return take_sequences(self, places)

    def trimmed(self) -> ContrastiveBatch:
        """Return the batch without the columns on the right that are padding in every text."""
        return keep_columns(self, *columns(self.extents))

    def texts(self) -> tuple[Array, Array]:
        """Return ids and mask of what is encoded, (B · views, T), an example's views next to one another."""
        B, k, T = self.ids.shape
        if k == 1:
            return np.repeat(self.ids[:, 0], 2, axis=0), np.repeat(self.mask[:, 0], 2, axis=0)
        return self.ids.reshape(B * k, T), self.mask.reshape(B * k, T)


class EmbeddingCache(NamedTuple):
    """What `Contrastive.backward` needs."""

    model: Any
    weights: Array | None  # (B · views, T), of the mean


class Contrastive:
    """Makes batches of texts, and the loss and gradients of their vectors through an `Encoder`.

    Parameters
    ----------
    temperature : float
        τ > 0, by which cosines are divided.
    symmetric : bool
        Each second text looks for its first one, too (among the first ones: hard negatives are for those).
    pooling : {"mean", "cls"}
        The vector of a text: the mean of the outputs of its tokens, or the output of its first one.

    Raises
    ------
    ValueError
        If the temperature is not positive, or the pooling is another.

    Examples
    --------
    >>> from npformer.models import Encoder, EncoderConfig
    >>> config = EncoderConfig(30, d_model=8, n_heads=2, d_ff=16, n_layers=2, max_positions=6, dropout=0.1)
    >>> model, objective = Encoder(config, dtype=np.float64), Contrastive()
    >>> ids = np.array([[2, 7, 9, 3], [2, 5, 3, 0]])
    >>> batch, grads = objective.make_batch(ids, ids != 0), model.params.zeros_like()
    >>> rng = np.random.default_rng(0)
    >>> metrics = objective.loss_and_grad(model, batch, grads, normalizer=batch.n_targets, rng=rng)
    >>> metrics.n_correct, metrics.n_targets
    (2, 2)
    """

    def __init__(self, temperature: float = 0.05, symmetric: bool = False, pooling: str = "mean") -> None:
        if not 0 < temperature < np.inf:
            raise ValueError(f"Contrastive: temperature: expected a finite number > 0, got {temperature}")
        if pooling not in POOLINGS:
            expected = ", ".join(map(repr, POOLINGS))
            raise ValueError(f"Contrastive: pooling: expected one of {expected}, got {pooling!r}")
        self.temperature, self.symmetric, self.pooling = float(temperature), bool(symmetric), pooling

    def make_batch(
        self,
        ids: Array,
        mask: Array,
        rngs: Sequence[np.random.Generator] = (),
        segment_ids: Array | None = None,
    ) -> ContrastiveBatch:
        """Set the texts of each example beside one another.

        Parameters
        ----------
        ids : ndarray of int, shape (B, T) or (B, k, T)
            One text for each example; or k of them, 1 to 3: a text, its partner, a hard negative.
        mask : ndarray of bool, of the same shape
            True = a real token.
        rngs, segment_ids
            Not used: nothing is random here, and a text alone is of one segment.

        Returns
        -------
        ContrastiveBatch

        Raises
        ------
        ValueError
            If the shapes are others.
        """
        if ids.ndim == 2:
            ids, mask = ids[:, None], mask[:, None]
        if ids.ndim != 3 or not 1 <= ids.shape[1] <= 3 or mask.shape != ids.shape:
            raise ValueError(
                "Contrastive: ids, mask: expected one shape, (B, T) or (B, k, T) with k of 1 to 3, "
                f"got {ids.shape} and {mask.shape}"
            )
        return ContrastiveBatch(ids, mask)

    head = None  # the loss is of what `forward` returns, pooled

    def forward(self, model: Any, batch: ContrastiveBatch, **options: Any) -> tuple[Array, Any]:
        """Return the outputs that are pooled, and the cache; `options` are those of ``model.forward``.

        All the views of an example draw their dropout from its one Generator, the first view first: so no
        two have the same masks, and none depends on what else is in the batch.
        """
        ids, mask = batch.texts()
        rng = options.get("rng")
        if isinstance(rng, SequenceRandom):
            views = len(ids) // len(batch.ids)
            generators = [generator for generator in rng.generators for _ in range(views)]
            stops = extents(mask) * np.array([[0], [1]])
            options["rng"] = SequenceRandom(generators, stops)
        at = np.arange(len(ids)) * ids.shape[1] if self.pooling == "cls" else None
        found: tuple[Array, Any] = model.forward(ids, mask=mask, at=at, **options)
        return found

    # 1

    def embed(
        self,
        model: Any,
        batch: ContrastiveBatch,
        *,
        keep: bool = True,
        rng: Any = None,
        params: Any = None,
        recompute: bool = False,
    ) -> tuple[Array, EmbeddingCache]:
        """Return the vectors of the examples of (a part of) a batch.

        Parameters
        ----------
        model : Encoder
        batch : ContrastiveBatch
        keep, rng, params, recompute
            As in `Encoder.forward`.

        Returns
        -------
        vectors : ndarray, shape (B, views, d_model)
            Two views of a single text, else as many as there are texts.
        cache : EmbeddingCache
        """
        hidden, c_model = self.forward(
            model, batch, keep=keep, rng=rng, params=params, recompute=recompute
        )
        weights = None
        if self.pooling == "mean":
            hidden, weights = mean_pooled(hidden, batch.texts()[1])  # (B · views, d_model)
        vectors = hidden.reshape(len(batch.ids), -1, hidden.shape[-1])
        return vectors, EmbeddingCache(c_model, weights)

    # 2

    def couple(self, vectors: Array, normalizer: float) -> tuple[Metrics, Array]:
        """Return the summed loss of all the examples, and the gradient of loss / `normalizer`.

        Parameters
        ----------
        vectors : ndarray, shape (N, views, d_model)
            Of the whole batch.
        normalizer : float

        Returns
        -------
        metrics : Metrics
            `n_correct` says how many first views are more similar to their own second view than to any other.
        dvectors : ndarray, the shape of `vectors`
        """
        N = len(vectors)
        a, b, *rest = np.moveaxis(vectors, 1, 0)
        negatives = rest[0] if rest else None
        mean, cache = info_nce(a, b, temperature=self.temperature, negatives=negatives)
        n_correct = int((cache.loss.top == np.arange(N)).sum())
        share = 0.5 if self.symmetric else 1.0  # of this direction
        dout = np.asarray(share * N / normalizer, mean.dtype)
        da, db, dn = info_nce_backward(dout, cache)
        loss_sum = share * N * mean
        if self.symmetric:
            mean, cache = info_nce(b, a, temperature=self.temperature)
            db_back, da_back, _ = info_nce_backward(dout, cache)
            da, db = da + da_back, db + db_back
            loss_sum = loss_sum + share * N * mean
        value = loss_sum if np.iscomplexobj(loss_sum) else float(loss_sum)
        return Metrics(value, n_correct, N), np.stack([da, db] if dn is None else [da, db, dn], axis=1)

    # 3
    def backward(self, model: Any, dvectors: Array, cache: EmbeddingCache, grads: Any) -> None:
        """Add the parameters' gradients to `grads`, from the gradient of the vectors of `embed`."""
        dhidden = dvectors.reshape(-1, dvectors.shape[-1])
        if cache.weights is not None:
            dhidden = mean_pooled_backward(dhidden, cache.weights)
        model.backward(dhidden, cache.model, grads)

    def loss_and_grad(
        self,
        model: Any,
        batch: ContrastiveBatch,
        grads: Any,
        *,
        normalizer: float,
        rng: Any = None,
        params: Any = None,
        recompute: bool = False,
    ) -> Metrics:
        """Return the summed loss of `batch`; add the gradient of loss / `normalizer` to `grads`.

        The parameters are those of `MaskedLM.loss_and_grad`, but that `batch` must be a whole one: its
        examples are one another's negatives.

        Returns
        -------
        Metrics
        """
        if batch.n_targets == 0:
            return Metrics(0.0, 0, 0)
        vectors, cache = self.embed(
            model, batch, keep=grads is not None, rng=rng, params=params, recompute=recompute
        )
        metrics, dvectors = self.couple(vectors, normalizer)
        if grads is not None:
            self.backward(model, dvectors, cache, grads)
        return metrics
