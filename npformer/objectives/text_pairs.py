"""Sequence to sequence from a text alone: a rule makes a source and a target of it.

    span corruption    source = the text without some spans, target = the spans       (span_corruption.py)
    prefix LM          source = x_0 .. x_{k-1}, target = x_k .. x_{n-1}                    (`cut_anywhere`)

Both get a beginning and an end, [CLS] ... [SEP], as all sources and targets; the loss is that of `Seq2Seq`.

References
----------
Raffel et al.: T5, arXiv:1910.10683, section 3.3.1 and table 3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..models._padding import padded
from ._tokens import Metrics
from .seq2seq import Seq2Seq, Seq2SeqBatch

Array = Any
Rule = Callable[[Array, np.random.Generator], tuple[Array, Array]]


def cut_anywhere(text: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return the beginning of a text and its rest: the rule of prefix language modelling.

    Of n tokens, the beginning has 1, 2, ... or n - 1, each as likely. (A decoder can learn the same:
    `CausalLM.make_batch` with a `prefix`, whose tokens see one another.)

    Examples
    --------
    >>> cut_anywhere(np.array([5, 6, 7, 8, 9]), np.random.default_rng(1))
    (array([5, 6, 7]), array([8, 9]))
    """
    cut = 1 + int(rng.random() * (text.size - 1))
    return text[:cut], text[cut:]


class TextPairs:
    """Makes batches of pairs out of texts, and their loss and gradients through an `EncoderDecoder`.

    Parameters
    ----------
    rule : callable
        Of a text, shape (n,), and a Generator: source and target, without a beginning and an end.
    begin, end, pad_id : int
        Ids of [CLS], [SEP] and [PAD].
    label_smoothing : float
        See `Seq2Seq`.

    Examples
    --------
    >>> objective = TextPairs(cut_anywhere, begin=2, end=3, pad_id=0)
    >>> ids = np.array([[5, 6, 7, 8, 9]])
    >>> batch = objective.make_batch(ids, ids != 0, [np.random.default_rng(1)])
    >>> batch.source_ids, batch.ids, batch.targets
    (array([[2, 5, 6, 7, 3]]), array([[2, 8, 9]]), array([8, 9, 3]))
    """

    def __init__(
        self, rule: Rule, *, begin: int, end: int, pad_id: int, label_smoothing: float = 0.0
    ) -> None:
        self.rule, self.begin, self.end, self.pad_id = rule, begin, end, pad_id
        self.seq2seq = Seq2Seq(label_smoothing)

    def pairs(
        self, ids: Array, mask: Array, rngs: Sequence[np.random.Generator]
    ) -> list[tuple[Array, Array]]:
        """Return source and target of each sequence, from [CLS] to [SEP].

        Parameters
        ----------
        ids : ndarray of int, shape (B, T)
        mask : ndarray of bool, shape (B, T)
            True = a token of the text.
        rngs : sequence of B Generators
            One for each sequence, so that its pair does not depend on its neighbours.
        """
        begin, end = np.array([[self.begin], [self.end]], ids.dtype)
        made = [self.rule(row[real], rng) for row, real, rng in zip(ids, mask, rngs, strict=True)]
        return [
            (np.concatenate([begin, source, end]), np.concatenate([begin, target, end]))
            for source, target in made
        ]

    def make_batch(
        self,
        ids: Array,
        mask: Array,
        rngs: Sequence[np.random.Generator],
        segment_ids: Array | None = None,
    ) -> Seq2SeqBatch:
        """Return the pairs of some texts as a batch; the parameters are those of `pairs`.

        An encoder-decoder has no segments, so there is no use for `segment_ids`.
        """
        sources, targets = zip(*self.pairs(ids, mask, rngs), strict=True)
        source = padded(sources, self.pad_id)
        read, real = padded([target[:-1] for target in targets], self.pad_id)
        following = np.concatenate([target[1:] for target in targets])
        return Seq2SeqBatch(*source, read, real, np.flatnonzero(real), following)

    head = "lm_head"  # of the model: logits of what `forward` returns

    def forward(self, model: Any, batch: Seq2SeqBatch, **options: Any) -> tuple[Array, Any]:
        """Return the outputs before the targets, and the cache; `options` are those of ``model.forward``."""
        return self.seq2seq.forward(model, batch, **options)

    def loss_and_grad(self, model: Any, batch: Seq2SeqBatch, grads: Any, **options: Any) -> Metrics:
        """Return the summed loss of `batch`; parameters and result are those of `Seq2Seq.loss_and_grad`."""
        return self.seq2seq.loss_and_grad(model, batch, grads, **options)
