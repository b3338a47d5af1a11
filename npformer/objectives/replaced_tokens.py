"""Replaced-token detection: a generator fills masked places, a discriminator says what is not the text's.

    masked       each ordinary token is hidden behind [MASK] with probability `rate`
    filled       there stands a token x̂ drawn from the generator's softmax
    label        1 where x̂ is not what the text had there, 0 everywhere else, a happy guess included
    loss         mean over the masked places of -log p_generator(token | masked)
                 + weight · mean over all real tokens of the binary cross entropy of the label | filled

Drawing has no gradient: the generator learns from its own loss alone, and is no adversary.

As in the paper, what is to be predicted is always behind [MASK]. (Its published code leaves 15 % of that as
it is, and chooses round(0.15 T) places of each text; here each token is chosen on its own, as in `MaskedLM`.)
As in the code, [CLS] and [SEP] are never hidden and have labels like any other token, the draw is among all
of the vocabulary, and the generator's loss has weight 1.

References
----------
Clark et al.: ELECTRA, arXiv:2003.10555, section 2 and appendix A.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..functional import (
    binary_cross_entropy_with_logits,
    binary_cross_entropy_with_logits_backward,
    softmax,
)
from ..nn import SequenceRandom
from ._batches import extents_from_zero, keep_columns, take_sequences
from ._padding import columns
from ._tokens import Metrics, at_least_one, loss_of_tokens
from .masked_lm import MaskedLM

Array = Any

WEIGHT = 50.0  # of the discriminator's loss


class ReplacedTokensBatch(NamedTuple):
    """Masked sequences, what was there, and the uniform numbers that decide what is put there."""

    ids: Array  # (B, T), [MASK] at the targets
    mask: Array  # (B, T) bool, True = a real token
    segment_ids: Array | None  # (B, T)
    at: Array  # (n,) flat positions of the masked tokens in (B, T), ascending
    targets: Array  # (n,) the tokens that were there
    u: Array  # (n,) in [0, 1); see `drawn`
    tokens: Array | None = None  # (n,) what is put there whatever the generator says; None = it is drawn

    @property
    def shape(self) -> tuple[int, int]:
        """(B, T)."""
        return self.ids.shape[0], self.ids.shape[1]

    @property
    def n_targets(self) -> Array:
        """(2,): the generator's targets, the masked tokens; and the discriminator's, all real tokens."""
        return np.array([self.at.size, np.count_nonzero(self.mask)])

    def rows(self, start: int, stop: int) -> ReplacedTokensBatch:
        """Return the sequences [start, stop) as a batch of their own."""
        return self.take(np.arange(len(self.ids))[start:stop])

    @property
    def extents(self) -> Array:
        """(2, B): 0, as positions count from there, and the column past each sequence's last token."""
        return extents_from_zero(self.mask, self.at)

    def take(self, places: Array) -> ReplacedTokensBatch:
        """Return the sequences at `places` (b,), in that order, as a batch of their own."""
        return take_sequences(self, places, of_targets=("targets", "u", "tokens"))

    def trimmed(self) -> ReplacedTokensBatch:
        """Return the batch without the columns on the right that are padding in every sequence."""
        return keep_columns(self, *columns(self.extents))

    def filled(self, tokens: Array) -> tuple[Array, Array]:
        """Return ids (B, T) with these tokens in the masked places, and where they are not the text's."""
        ids, replaced = self.ids.copy(), np.zeros(self.ids.shape, dtype=bool)
        ids.reshape(-1)[self.at] = tokens
        replaced.reshape(-1)[self.at] = tokens != self.targets
        return ids, replaced


class Outputs(NamedTuple):
    """What the two encoders give."""

    generator: Array  # (n, d_model of the generator), at the masked tokens
    discriminator: Array  # (n_real, d_model), at the real tokens


class Collected(NamedTuple):
    """The arrays that were asked for by name."""

    collected: dict[str, Array]


def drawn(logits: Array, u: Array) -> Array:
    """Return a token for each row of logits: that of the softmax's cumulated sum which a uniform number hits.

        token i   where   p_0 + .. + p_{i-1} <= u < p_0 + .. + p_i

    So u decides, and nothing else is drawn: a batch has the same tokens however it is cut up. (Other cuts
    round p otherwise, which matters to a u within rounding of a border.)

    Parameters
    ----------
    logits : ndarray, shape (n, V)
        Of complex ones the real part.
    u : ndarray, shape (n,)
        Uniform in [0, 1).

    Returns
    -------
    ndarray of int, shape (n,)
        None has probability 0, where all logits are finite.

    Examples
    --------
    >>> logits = np.log([[0.2, 0.5, 0.3]] * 4)
    >>> drawn(logits, np.array([0.1, 0.3, 0.6, 0.9]))
    array([0, 1, 1, 2])
    """
    p, _ = softmax(logits.real)
    cumulated = np.cumsum(p, axis=-1, dtype=np.float64)
    borders = u * cumulated[:, -1]  # the sum, which is 1 but for rounding
    found: Array = (cumulated <= borders[:, None]).sum(axis=-1)
    return found


class ReplacedTokens:
    """Makes masked batches, and both losses and their gradients through an `Electra`.

    Parameters
    ----------
    vocab_size, mask_id, special_ids, rate
        As of `MaskedLM`.
    weight : float
        Of the discriminator's loss.
    generator_weight : float
        Of the generator's.

    Raises
    ------
    ValueError
        If a weight is negative, or as `MaskedLM` does.

    Examples
    --------
    >>> objective = ReplacedTokens(vocab_size=100, mask_id=4, special_ids=range(5), rate=0.5)
    >>> ids = np.array([[2, 17, 42, 63, 3, 0]])
    >>> batch = objective.make_batch(ids, ids != 0, [np.random.default_rng(0)])
    >>> batch.at, batch.targets, batch.ids, batch.n_targets
    (array([1, 2, 3]), array([17, 42, 63]), array([[2, 4, 4, 4, 3, 0]]), array([3, 5]))
    """

    parts = ("generator", "discriminator")

    def __init__(
        self,
        vocab_size: int,
        mask_id: int,
        special_ids: Collection[int],
        rate: float = 0.15,
        *,
        weight: float = WEIGHT,
        generator_weight: float = 1.0,
    ) -> None:
        self.masking = MaskedLM(vocab_size, mask_id, special_ids, rate)
        for name, value in (("weight", weight), ("generator_weight", generator_weight)):
            if not 0.0 <= value < np.inf:
                raise ValueError(f"ReplacedTokens: {name}: expected a number of at least 0, got {value}")
        self.weight, self.generator_weight = float(weight), float(generator_weight)

    def make_batch(
        self,
        ids: Array,
        mask: Array,
        rngs: Sequence[np.random.Generator],
        segment_ids: Array | None = None,
    ) -> ReplacedTokensBatch:
        """Choose what is masked, and draw the numbers that will decide what the generator puts there.

        Parameters
        ----------
        ids : ndarray of int, shape (B, T)
        mask : ndarray of bool, shape (B, T)
            True = a real token.
        rngs : sequence of B Generators
            One for each sequence, so that nothing depends on its neighbours.
        segment_ids : ndarray of int, shape (B, T), optional

        Returns
        -------
        ReplacedTokensBatch
        """
        B, T = ids.shape
        choose, u = np.moveaxis(SequenceRandom(rngs).random((B, 2, T)), 1, 0)
        return self.masked(ids, mask, choose < self.masking.rate, u, segment_ids)

    def masked(
        self, ids: Array, mask: Array, chosen: Array, u: Array, segment_ids: Array | None = None
    ) -> ReplacedTokensBatch:
        """Hide the `chosen` tokens (B, T), as far as they are ordinary ones; `u` (B, T) as in `drawn`."""
        always = np.zeros(ids.shape)  # of the ways in which MaskedLM hides a token, [MASK]
        hidden = self.masking.corrupt(ids, mask, chosen, always, always, segment_ids)
        return ReplacedTokensBatch(*hidden, u.reshape(-1)[hidden.at])

    def loss_and_grad(
        self,
        model: Any,
        batch: ReplacedTokensBatch,
        grads: Any,
        *,
        normalizer: Any,
        rng: Any = None,
        params: Any = None,
        recompute: bool = False,
    ) -> Metrics:
        """Return both summed losses of `batch`; add the gradient of each over its normalizer to `grads`.

        Parameters
        ----------
        model : Electra
        batch : ReplacedTokensBatch
            A whole batch or some of its rows.
        grads : mapping of names to arrays, or None
            None: only the losses, keeping nothing.
        normalizer : ndarray, shape (2,), or number for both
            `n_targets` of the *whole* batch.
        rng : Generator or SequenceRandom, optional
            Source of dropout: of the generator's, then of the discriminator's.
        params : Parameters, optional
            Use these in place of the model's own.
        recompute : bool
            See `Encoder.forward`.

        Returns
        -------
        Metrics
            Each of shape (2,): the generator's and the discriminator's.
        """
        params = model.params if params is None else params
        options = {"keep": grads is not None, "recompute": recompute, "rng": rng}
        of_generator, of_discriminator = np.broadcast_to(at_least_one(np.asarray(normalizer)), 2).tolist()
        tokens, first = self._generator(model, batch, params, grads, of_generator, options)
        second = self._discriminator(model, batch, tokens, params, grads, of_discriminator, options)
        return Metrics(*(np.array(both) for both in zip(first, second, strict=True)))

    def _generator(
        self, model: Any, batch: ReplacedTokensBatch, params: Any, grads: Any, normalizer: float, options: Any
    ) -> tuple[Array, Metrics]:
        """Return the tokens for the masked places, and the loss; add its gradient to `grads`."""
        params, grads = model.of_generator(params), None if grads is None else model.of_generator(grads)
        hidden, cache = self._at_masked(model, batch, params=params, **options)
        tokens = batch.tokens

        def draw(logits: Array) -> None:
            nonlocal tokens
            if tokens is None:
                tokens = drawn(logits, batch.u)  # no gradient goes through here

        metrics, dhidden = loss_of_tokens(
            model.generator.mlm_head,
            hidden,
            batch.targets,
            params,
            grads,
            normalizer,
            weight=self.generator_weight,
            see=draw,
        )
        if dhidden is not None:
            model.generator.backward(dhidden, cache, grads)
        return tokens, metrics

    def _discriminator(
        self,
        model: Any,
        batch: ReplacedTokensBatch,
        tokens: Array,
        params: Any,
        grads: Any,
        normalizer: float,
        options: Any,
    ) -> Metrics:
        """Return the loss with these tokens in the masked places; add its gradient to `grads`."""
        head = model.discriminator.rtd_head
        ids, replaced = batch.filled(tokens)
        labels = replaced[batch.mask]
        hidden, cache = self._at_real(model, batch, ids, params=params, **options)
        logits, c_head = head.forward(params, hidden, grads is not None)
        loss_sum, c_loss = binary_cross_entropy_with_logits(logits, labels, reduction="sum")
        n_correct = int(((logits.real > 0) == labels).sum())
        if grads is not None:
            dloss = np.asarray(self.weight / normalizer, logits.dtype)
            dlogits = binary_cross_entropy_with_logits_backward(dloss, c_loss)
            dhidden = head.backward(params, dlogits, c_head, grads)
            model.discriminator.backward(dhidden, cache, grads)
        return Metrics(self.weight * loss_sum, n_correct, labels.size)

    def _at_masked(self, model: Any, batch: ReplacedTokensBatch, **options: Any) -> tuple[Array, Any]:
        """Return the generator's outputs at the masked tokens, and the cache.

        Also where there are none: the discriminator's dropout is what is drawn after the generator's, and
        must not depend on which sequences share a micro-batch.
        """
        found: tuple[Array, Any] = model.generator.forward(
            batch.ids, segment_ids=batch.segment_ids, mask=batch.mask, at=batch.at, **options
        )
        return found

    def _at_real(
        self, model: Any, batch: ReplacedTokensBatch, ids: Array, **options: Any
    ) -> tuple[Array, Any]:
        """Return the discriminator's outputs at the real tokens of `ids`, and the cache."""
        at = np.flatnonzero(batch.mask)
        found: tuple[Array, Any] = model.discriminator.forward(
            ids, segment_ids=batch.segment_ids, mask=batch.mask, at=at, **options
        )
        return found

    def put_in(self, model: Any, batch: ReplacedTokensBatch) -> Array:
        """Return the tokens (n,) that the generator puts into the masked places, without dropout."""
        params = model.of_generator(model.params)
        hidden, _ = self._at_masked(model, batch, params=params, keep=False)
        return self._drawn_of(model, batch, hidden, params)

    def _drawn_of(self, model: Any, batch: ReplacedTokensBatch, hidden: Array, params: Any) -> Array:
        if batch.tokens is not None:
            return batch.tokens
        logits, _ = model.generator.mlm_head.forward(params, hidden, False)
        return drawn(logits, batch.u)

    def forward(
        self,
        model: Any,
        batch: ReplacedTokensBatch,
        *,
        params: Any = None,
        collect: Collection[str] = (),
        **options: Any,
    ) -> tuple[Outputs, Collected]:
        """Return what both encoders give, and what is to be collected of ``model.collectable``.

        `options` are those of ``Encoder.forward``. Both draw their dropout as in `loss_and_grad`.
        """
        params = model.params if params is None else params
        generators = model.of_generator(params)
        of_generator = [name for name in collect if name.startswith("generator.")]
        own = [name.removeprefix("generator.") for name in of_generator]
        first, cache = self._at_masked(model, batch, params=generators, collect=own, **options)
        collected = {f"generator.{name}": x for name, x in cache.collected.items()}
        ids, _ = batch.filled(self._drawn_of(model, batch, first, generators))
        others = [name for name in collect if name not in collected]
        second, cache = self._at_real(model, batch, ids, params=params, collect=others, **options)
        return Outputs(first, second), Collected({**collected, **cache.collected})
