"""Masked language modelling: some tokens are hidden, and the model says which they were.

    targets   each ordinary token is one with probability `rate`; or each word, or spans of words (masking.py)
    input     a target becomes [MASK] with probability 0.8, a random ordinary token with 0.1, stays with 0.1
    loss      mean over the targets of -log p(true token | corrupted input)

References
----------
Devlin et al.: BERT, arXiv:1810.04805, section 3.1, task 1.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np

from ._batches import extents_from_zero, keep_columns, take_sequences
from ._padding import columns
from ._tokens import Metrics, loss_of_tokens
from .masking import STRATEGIES, word_starts

Array = Any

MASKED, RANDOM = 0.8, 0.1  # the rest, 0.1, stays as it is


class MaskedLMBatch(NamedTuple):
    """Corrupted sequences and what was hidden in them."""

    ids: Array  # (B, T) after corruption
    mask: Array  # (B, T) bool, True = a real token
    segment_ids: Array | None  # (B, T)
    at: Array  # (n,) flat positions of the targets in (B, T), ascending
    targets: Array  # (n,) the tokens that were there

    @property
    def shape(self) -> tuple[int, int]:
        """(B, T)."""
        return self.ids.shape[0], self.ids.shape[1]

    @property
    def n_targets(self) -> int:
        """Number of targets, by which the loss of the whole batch is divided."""
        return int(self.at.size)

    def rows(self, start: int, stop: int) -> MaskedLMBatch:
        """Return the sequences [start, stop) as a batch of their own."""
        return self.take(np.arange(len(self.ids))[start:stop])

    @property
    def extents(self) -> Array:
        """(2, B): 0, as positions count from there, and the column past each sequence's last token."""
        return extents_from_zero(self.mask, self.at)

    def take(self, places: Array) -> MaskedLMBatch:
        """Return the sequences at `places` (b,), in that order, as a batch of their own."""
        return take_sequences(self, places, of_targets=("targets",))

    def trimmed(self) -> MaskedLMBatch:
        """Return the batch without the columns on the right that are padding in every sequence."""
        return keep_columns(self, *columns(self.extents))


class MaskedLM:
    """Makes masked batches, and their loss and gradients through a model with an `mlm_head`.

    Parameters
    ----------
    vocab_size : int
    mask_id : int
        Id of [MASK].
    special_ids : collection of int
        Never targets and never random replacements: [PAD], [UNK], [CLS], [SEP], [MASK].
    rate : float
        Share of the ordinary tokens that become targets.
    masking : {"token", "whole_word", "span"}
        What is chosen; see masking.py.
    continues : sequence of bool, length V, optional
        True = a token that continues a word, as ``tokenizer.continues``. Default: each token is a word.

    Raises
    ------
    ValueError
        If the rate is not in (0, 1], an id is out of range, there is no ordinary token, the masking is not
        known, or `continues` has another length.

    Examples
    --------
    >>> objective = MaskedLM(vocab_size=100, mask_id=4, special_ids=range(5), rate=0.5)
    >>> ids = np.array([[2, 17, 42, 63, 3, 0]])
    >>> batch = objective.make_batch(ids, ids != 0, [np.random.default_rng(0)])
    >>> batch.at, batch.targets, batch.ids
    (array([1, 2, 3]), array([17, 42, 63]), array([[ 2,  4,  4, 63,  3,  0]]))
    """

    def __init__(
        self,
        vocab_size: int,
        mask_id: int,
        special_ids: Collection[int],
        rate: float = 0.15,
        masking: str = "token",
        continues: Sequence[bool] | None = None,
    ) -> None:
        special = sorted({int(i) for i in special_ids} | {int(mask_id)})
        if special[0] < 0 or special[-1] >= vocab_size:
            raise ValueError(f"MaskedLM: special_ids: expected ids in [0, {vocab_size}), got {special}")
        if not 0.0 < rate <= 1.0:
            raise ValueError(f"MaskedLM: rate: expected a number in (0, 1], got {rate}")
        if masking not in STRATEGIES:
            expected = ", ".join(STRATEGIES)
            raise ValueError(f"MaskedLM: masking: expected one of {expected}, got {masking!r}")
        self.continues = np.zeros(vocab_size, bool) if continues is None else np.asarray(continues, bool)
        if self.continues.shape != (vocab_size,):
            raise ValueError(
                f"MaskedLM: continues: expected {vocab_size} booleans, got shape {self.continues.shape}"
            )
        self.vocab_size, self.mask_id, self.rate = vocab_size, int(mask_id), float(rate)
        self.choose = STRATEGIES[masking]
        self.special = np.zeros(vocab_size, dtype=bool)
        self.special[special] = True
        self.ordinary = np.flatnonzero(~self.special)
        if not self.ordinary.size:
            raise ValueError(
                f"MaskedLM: vocab_size: expected ordinary tokens beside the special ones, got {vocab_size}"
            )

    def make_batch(
        self,
        ids: Array,
        mask: Array,
        rngs: Sequence[np.random.Generator],
        segment_ids: Array | None = None,
    ) -> MaskedLMBatch:
        """Choose the targets and corrupt them.

        Parameters
        ----------
        ids : ndarray of int, shape (B, T)
        mask : ndarray of bool, shape (B, T)
            True = a real token.
        rngs : sequence of B Generators
            One for each sequence, so that its corruption does not depend on its neighbours.
        segment_ids : ndarray of int, shape (B, T), optional

        Returns
        -------
        MaskedLMBatch
        """
        ordinary = mask & ~self.special[ids]
        starts = word_starts(ids, ordinary, self.continues)
        chosen, how, which = self.choose(ordinary, starts, self.rate, rngs)
        return self.corrupt(ids, mask, chosen, how, which, segment_ids)

    def corrupt(
        self,
        ids: Array,
        mask: Array,
        chosen: Array,
        how: Array,
        which: Array,
        segment_ids: Array | None = None,
    ) -> MaskedLMBatch:
        """Hide the `chosen` tokens, as far as they are ordinary ones.

        Parameters
        ----------
        ids, mask, segment_ids
            As in `make_batch`.
        chosen : ndarray of bool, shape (B, T)
        how, which : ndarray, shape (B, T)
            Uniform numbers in [0, 1): `how` < 0.8 hides a target behind [MASK], < 0.9 puts the ordinary token
            number floor(`which` · n) in its place.

        Returns
        -------
        MaskedLMBatch
        """
        target = chosen & mask & ~self.special[ids]
        replacement = self.ordinary[(which * self.ordinary.size).astype(np.intp)]
        corrupted = np.where(target & (how < MASKED), self.mask_id, ids)
        swapped = target & (how >= MASKED) & (how < MASKED + RANDOM)
        corrupted = np.where(swapped, replacement, corrupted).astype(ids.dtype)
        at = np.flatnonzero(target)
        return MaskedLMBatch(corrupted, mask, segment_ids, at, ids.reshape(-1)[at])

    head = "mlm_head"  # of the model: logits of what `forward` returns

    def forward(self, model: Any, batch: MaskedLMBatch, **options: Any) -> tuple[Array, Any]:
        """Return the outputs at the targets, and the cache; `options` are those of ``model.forward``."""
        found: tuple[Array, Any] = model.forward(
            batch.ids, segment_ids=batch.segment_ids, mask=batch.mask, at=batch.at, **options
        )
        return found

    def loss_and_grad(
        self,
        model: Any,
        batch: MaskedLMBatch,
        grads: Any,
        *,
        normalizer: float,
        rng: Any = None,
        params: Any = None,
        recompute: bool = False,
    ) -> Metrics:
        """Return the summed loss of `batch`; add the gradient of loss / `normalizer` to `grads`.

        Parameters
        ----------
        model : Encoder
        batch : MaskedLMBatch
            A whole batch or some of its rows.
        grads : mapping of names to arrays, or None
            None: only the loss, keeping nothing.
        normalizer : float
            Number of targets of the *whole* batch, so that micro-batches with different numbers of
            targets add up to the gradient of its mean.
        rng : Generator or SequenceRandom, optional
            Source of dropout.
        params : Parameters, optional
            Use these in place of the model's own.
        recompute : bool
            See `Encoder.forward`.

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
        metrics, dhidden = loss_of_tokens(model.mlm_head, hidden, batch.targets, params, grads, normalizer)
        if dhidden is not None:
            model.backward(dhidden, c_model, grads)
        return metrics
