"""A sum of objectives with weights, out of one forward pass of the encoder.

    hidden    outputs at the places that any part asks for: masked words, first tokens
    loss      Σ_k w_k · mean over the targets of part k of -log p_k(target | hidden at its place)

Every part has a head on the model, and targets of its own to be divided by.

References
----------
Devlin et al.: BERT, arXiv:1810.04805, appendix A.2 (the sum of the mean masked-LM and next-sentence losses).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ._batches import extents_from_zero, keep_columns, take_sequences
from ._padding import columns
from ._tokens import Metrics, at_least_one, loss_of_tokens

Array = Any


class SummedBatch(NamedTuple):
    """What the encoder reads, and the targets of all parts in the order of their places."""

    ids: Array  # (B, T) after any corruption
    mask: Array  # (B, T) bool, True = a real token
    segment_ids: Array | None  # (B, T)
    at: Array  # (n,) flat positions of the targets in (B, T), ascending
    of: Array  # (n, k) bool, True = a target of that part; one True in a row
    targets: Array  # (n,) a token or a class

    @property
    def shape(self) -> tuple[int, int]:
        """(B, T)."""
        return self.ids.shape[0], self.ids.shape[1]

    @property
    def n_targets(self) -> Array:
        """Number of targets of each part, (k,)."""
        return self.of.sum(axis=0)

    def rows(self, start: int, stop: int) -> SummedBatch:
        """Return the sequences [start, stop) as a batch of their own."""
        return self.take(np.arange(len(self.ids))[start:stop])

    @property
    def extents(self) -> Array:
        """(2, B): 0, as positions count from there, and the column past each sequence's last token."""
        return extents_from_zero(self.mask, self.at)

    def take(self, places: Array) -> SummedBatch:
        """Return the sequences at `places` (b,), in that order, as a batch of their own."""
        return take_sequences(self, places, of_targets=("of", "targets"))

    def trimmed(self) -> SummedBatch:
        """Return the batch without the columns on the right that are padding in every sequence."""
        return keep_columns(self, *columns(self.extents))


class Summed:
    """The sum of the losses of several objectives, and its gradients, through the heads they name.

    Parameters
    ----------
    objectives : mapping of names to objectives
        In the order of the parts, e.g. {"mlm": MaskedLM(...), "nsp": NextSentence(...)}. Of each only its
        `head` is used here: what predicts its targets, from the encoder's outputs at their places.
    weights : sequence of float, optional
        A positive one for each; default: 1.

    Raises
    ------
    ValueError
        If there is not one positive weight for each of at least one objective.

    Examples
    --------
    >>> from npformer.objectives import MaskedLM, NextSentence
    >>> words = MaskedLM(vocab_size=20, mask_id=4, special_ids=range(5), rate=0.5)
    >>> pair = NextSentence(cls_id=2, sep_id=3, pad_id=0)
    >>> objective = Summed({"mlm": words, "nsp": pair}, weights=(1.0, 0.5))
    >>> rows, others = np.array([[2, 7, 8, 3, 9, 10]]), np.array([[2, 15, 3, 16, 17, 18]])
    >>> rngs = [np.random.default_rng(1)]
    >>> pairs = pair.make_pairs(rows, others, rngs, T=8)
    >>> masked = words.make_batch(pairs.ids, pairs.mask, rngs, pairs.segment_ids)
    >>> batch = objective.join(masked, pairs)
    >>> batch.ids, batch.at, batch.targets, batch.n_targets
    (array([[ 2,  7,  4,  3, 16,  4, 18,  3]]), array([0, 2, 5]), array([ 0,  8, 17]), array([2, 1]))
    """

    def __init__(self, objectives: Mapping[str, Any], weights: Sequence[float] | None = None) -> None:
        self.objectives = dict(objectives)
        self.weights = [1.0] * len(self.objectives) if weights is None else [float(w) for w in weights]
        positive = all(0.0 < weight < np.inf for weight in self.weights)
        if not self.weights or len(self.weights) != len(self.objectives) or not positive:
            expected = f"a positive one for each of {', '.join(self.objectives) or 'no parts'}"
            raise ValueError(f"Summed: weights: expected {expected}, got {weights}")

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the parts, in order."""
        return tuple(self.objectives)

    @property
    def head(self) -> str:
        """The first part's head."""
        first: str = next(iter(self.objectives.values())).head
        return first

    def join(self, *made: Any) -> SummedBatch:
        """Return one batch out of what each objective has made, in the order of the parts.

        Parameters
        ----------
        *made : MaskedLMBatch, SentencePairs or the like
            With `at` and `targets`. What the encoder reads is the first's: make the pairs, then hide words in
            them.

        Raises
        ------
        ValueError
            If there are more or fewer than parts, or two parts ask for the same place.
        """
        if len(made) != len(self.objectives):
            raise ValueError(f"Summed: join: expected {len(self.objectives)} batches, got {len(made)}")
        at = np.concatenate([part.at for part in made])
        of = np.repeat(np.eye(len(made), dtype=bool), [part.at.size for part in made], axis=0)
        targets = np.concatenate([part.targets for part in made])
        order = np.argsort(at, kind="stable")
        at = at[order]
        if (at[1:] == at[:-1]).any():
            twice = int(at[1:][at[1:] == at[:-1]][0])
            raise ValueError(f"Summed: join: expected one target at a place, got two at {twice}")
        first = made[0]
        return SummedBatch(first.ids, first.mask, first.segment_ids, at, of[order], targets[order])

    def forward(self, model: Any, batch: SummedBatch, **options: Any) -> tuple[Array, Any]:
        """Return the outputs at the targets, and the cache; `options` are those of ``model.forward``."""
        found: tuple[Array, Any] = model.forward(
            batch.ids, segment_ids=batch.segment_ids, mask=batch.mask, at=batch.at, **options
        )
        return found

    def loss_and_grad(
        self,
        model: Any,
        batch: SummedBatch,
        grads: Any,
        *,
        normalizer: Any,
        rng: Any = None,
        params: Any = None,
        recompute: bool = False,
    ) -> Metrics:
        """Return the summed losses of `batch`; add the gradient of Σ weighted loss / `normalizer` to `grads`.

        Parameters
        ----------
        model : Encoder
        batch : SummedBatch
            A whole batch or some of its rows.
        grads : mapping of names to arrays, or None
            None: only the loss, keeping nothing.
        normalizer : ndarray, shape (k,), or a number for all
            Number of targets of each part in the *whole* batch.
        rng : Generator or SequenceRandom, optional
            Source of dropout.
        params : Parameters, optional
            Use these in place of the model's own.
        recompute : bool
            See `Encoder.forward`.

        Returns
        -------
        Metrics
            Arrays of shape (k,); the losses are weighted.
        """
        k = len(self.objectives)
        params = model.params if params is None else params
        if not batch.at.size:
            return Metrics(np.zeros(k), np.zeros(k, dtype=int), np.zeros(k, dtype=int))
        hidden, c_model = self.forward(
            model, batch, keep=grads is not None, recompute=recompute, rng=rng, params=params
        )
        dhidden = None if grads is None else np.zeros_like(hidden)
        divisors = np.broadcast_to(at_least_one(np.asarray(normalizer)), k).tolist()
        found = []
        for objective, w, n, chosen in zip(
            self.objectives.values(), self.weights, divisors, batch.of.T, strict=True
        ):
            head, own = getattr(model, objective.head), np.flatnonzero(chosen)
            metrics, down = loss_of_tokens(head, hidden[own], batch.targets[own], params, grads, n / w)
            if dhidden is not None:
                dhidden[own] = down
            found.append(metrics._replace(loss_sum=w * metrics.loss_sum))
        if dhidden is not None:
            model.backward(dhidden, c_model, grads)
        return Metrics(*(np.array(values) for values in zip(*found, strict=True)))
