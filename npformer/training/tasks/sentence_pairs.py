"""Masked language modelling of pairs: an encoder also says how the two segments of a pair belong together.

    mlm+nsp   whether the second is what follows the first (BERT), objectives/next_sentence.py
    mlm+sop   whether they stand in their order (ALBERT), objectives/sentence_order.py

    data      rows of sentences of one document (text/sentence_rows.py)
    pair      made when its batch is: the row of another document from a Generator of the step, everything
              else from one of the step and the sequence, so that no bit depends on threads, ranks or pieces
    held out  pairs and masks that are the same for every model, drawn once; 15 % of the tokens are hidden,
              whatever training hides
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...models import Encoder, EncoderConfig
from ...objectives import MaskedLM, MaskedLMBatch, NextSentence, SentenceOrder, Summed, SummedBatch
from ...text import (
    CorpusError,
    Document,
    Packed,
    Tokenizer,
    document_starts,
    sentence_rows,
    separate,
    split_corpus,
    split_tail,
)
from .. import draws
from ..evaluate import POSITIONS, Evaluation, evaluate, small_part
from ..example import example_sentence
from ..length_rule import LengthRule, lengths_of
from ..ranks import Ranks
from ..result import counted_part, margin, score, share_counted
from . import masked
from .sums import weights_of
from .task import Array, Generators, Make

if TYPE_CHECKING:
    from ..config import RunConfig
    from ..run import Run

LN2 = float(np.log(2))
PAIRS = 1 << 14  # of training, at most, that the rule by length is learnt from
ONE_DOCUMENT = (
    "next-sentence prediction takes every other second sentence from another document, so the training and "
    "the held-out part need two each, and one has {n}: give several files, one with blank lines between its "
    "documents, or take mlm+sop"
)


def partners(rows: Array, starts: Array, rng: np.random.Generator) -> Array:
    """Return for each row one of another document, all of these alike.

    Parameters
    ----------
    rows : ndarray of int, shape (n,)
    starts : ndarray of int, shape (documents + 1,)
        As `document_starts` returns them.
    rng : numpy.random.Generator

    Examples
    --------
    >>> partners(np.array([0, 1, 2, 2]), np.array([0, 2, 3]), np.random.default_rng(0))
    array([2, 2, 0, 0])
    """
    document = np.searchsorted(starts, rows, side="right") - 1
    first, stop = starts[document], starts[document + 1]
    own = stop - first
    other = (rng.random(rows.size) * (starts[-1] - own)).astype(np.int64)  # of the rows without these
    found: Array = other + np.where(other >= first, own, 0)
    return found


def make_batch(
    objective: Summed, rows: Array, others: Array | None, rngs: Sequence[np.random.Generator], seq_len: int
) -> SummedBatch:
    """Pair the sentences of `rows`, and hide words in the pairs."""
    words, pair = objective.objectives.values()
    pairs = pair.make_pairs(rows, others, rngs, seq_len)
    return objective.join(words.make_batch(pairs.ids, pairs.mask, rngs, pairs.segment_ids), pairs)


def words_of(batch: SummedBatch) -> MaskedLMBatch:
    """Return the masked words alone."""
    words = batch.of[:, 0]
    return MaskedLMBatch(batch.ids, batch.mask, batch.segment_ids, batch.at[words], batch.targets[words])


def without_marks(packed: Packed, sep_id: int) -> Packed:
    """Return rows whose sentences follow one another without the [SEP] between them, as in a segment.

    What is left over stands behind them, where the mask says padding.

    Examples
    --------
    >>> ids = np.array([[3, 7, 3, 8, 9, 0]])
    >>> without_marks(Packed(ids, ids > 0), sep_id=3).ids
    array([[3, 7, 8, 9, 3, 0]])
    """
    kept = packed.mask & (packed.ids != sep_id)
    kept[:, 0] = True
    order = np.argsort(~kept, axis=1, kind="stable")
    return Packed(*(np.take_along_axis(x, order, axis=1) for x in (packed.ids, kept)))


class SentencePairTask:
    """What goes with the sum of masked LM and one objective of pairs.

    Parameters
    ----------
    pair : {"nsp", "sop"}
    """

    PRESETS = masked.PRESETS
    CHOICES = masked.CHOICES
    USES = (*masked.FORM, "mask_rate", "masking")
    PARTS = True
    LABELS = masked.LABELS

    initial_embeddings = staticmethod(masked.initial_embeddings)
    read = staticmethod(masked.read)
    texts = staticmethod(masked.texts)
    finished = staticmethod(masked.finished)

    def __init__(self, pair: str) -> None:
        self.pair = pair

    def model_config(self, config: RunConfig, vocab_size: int) -> EncoderConfig:
        """Return the encoder's configuration: masked LM's, with segments and a head for pairs."""
        return replace(masked.model_config(config, vocab_size), n_segments=2, pooler=True, pair_head=True)

    def build_model(self, config: RunConfig, vocab_size: int, rng: np.random.Generator) -> Encoder:
        """Return the encoder with its initial weights."""
        return Encoder(self.model_config(config, vocab_size), rng, dtype=config.dtype)

    def build_objective(self, config: RunConfig, tokenizer: Tokenizer) -> Summed:
        """Return the objective of training."""
        return self._objective(config, masked.build_objective(config, tokenizer), tokenizer)

    def _objective(self, config: RunConfig, words: MaskedLM, tokenizer: Tokenizer) -> Summed:
        weights = weights_of(config.objective)
        kind = NextSentence if self.pair == "nsp" else SentenceOrder
        pair = kind(tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id)
        return Summed({"mlm": words, self.pair: pair}, list(weights.values()))

    def split(self, corpus: Any, share: float, seed: int, tail: bool) -> tuple[Any, Any]:
        """Return training and held-out documents as masked LM does; of one file, its parts on each side."""
        parts = len(corpus) == 1
        if not tail:
            return split_corpus(corpus, share, seed, parts=parts)
        train, held_out = split_tail(corpus, share)
        return (separate(train), separate(held_out)) if parts else (train, held_out)

    def rows(self, part: Iterable[Document], tokenizer: Tokenizer, config: RunConfig) -> Iterable[list[int]]:
        """Yield rows of sentences of one document.

        Raises
        ------
        CorpusError
            At the end, if next sentences are to be predicted and all rows were of one document.
        """
        documents = 0
        for row in sentence_rows(part, tokenizer, self.width(config.seq_len)):
            documents += row[0] == tokenizer.cls_id
            yield row
        if self.pair == "nsp" and documents < 2:
            raise CorpusError(ONE_DOCUMENT.format(n="one" if documents else "none"))

    def left_out(self, part: Any, packed: Packed) -> str | None:
        """Return a line if nothing became a row.

        That a single token, alone at the end of a text, is in none goes without saying.
        """
        expected = "expected documents of two tokens or more to train on and to hold out"
        return None if len(packed.ids) else f"{expected}, got none"

    def width(self, seq_len: int) -> int:
        """Return the most tokens of a row: two sentences or more have one mark less than in a pair."""
        return seq_len - 1

    def order(self, config: RunConfig, train: Packed) -> Callable[[int], Array]:
        """Return the function from a step to its rows, for next sentences each with one of another document.

        In every epoch each row comes once as the first of the two.
        """
        first_rows = masked.order(config, train)
        if self.pair != "nsp":
            return first_rows
        starts = document_starts(train, cls_id=int(train.ids[0, 0]))  # where a document begins, as anywhere

        def both(step: int) -> Array:
            rows = first_rows(step)
            rng = draws.generator(config.seed, draws.PARTNERS, step)
            return np.stack([rows, partners(rows, starts, rng)], axis=1)

        return both

    def batch(
        self, config: RunConfig, objective: Any, train: Packed, chosen: Array, generators: Generators
    ) -> tuple[Make, tuple[int, int]]:
        """Return the function that makes pairs of some of the chosen rows, and the shape of all."""

        def make(places: Array) -> SummedBatch:
            rows = chosen[places]
            if rows.ndim == 1:
                own, others = train.rows(rows).ids, None
            else:
                own, others = (train.rows(column).ids for column in rows.T)
            return make_batch(objective, own, others, generators(places), config.seq_len)

        return make, (len(chosen), config.seq_len)

    def evaluation(self, config: RunConfig, tokenizer: Tokenizer, held_out: Packed) -> Evaluation:
        """Return fixed pairs with fixed masks, of as many passes over the rows as for masked LM."""
        words = MaskedLM(tokenizer.vocab_size, tokenizer.mask_id, tokenizer.special_ids, masked.RATE)
        objective = self._objective(config, words, tokenizer)
        rows = np.arange(len(held_out.ids))
        batches: list[SummedBatch] = []
        while len(batches) < masked.PASSES and sum(batch.n_targets[0] for batch in batches) < POSITIONS:
            k = len(batches)
            others = None
            if self.pair == "nsp":
                starts = document_starts(held_out, tokenizer.cls_id)
                rng = draws.generator(masked.SEED, draws.EVALUATION, 2, k)
                others = held_out.ids[partners(rows, starts, rng)]
            rngs = [draws.generator(masked.SEED, draws.EVALUATION, 3, k, i) for i in rows.tolist()]
            batches.append(make_batch(objective, held_out.ids, others, rngs, config.seq_len))
        return Evaluation(objective, batches, small_part(batches))

    def compare(
        self, run: Run, model: Any, held_out: Evaluation, executor: Executor | None, ranks: Ranks
    ) -> dict[str, Any]:
        """Return the scores on the masked words, as `masked.compare` does, and on the pairs.

        Returns
        -------
        dict
            As for masked LM; and "pairs": for a coin, the lengths alone and the encoder their "name", "nats",
            "accuracy" and "positions", the number of pairs. No loss is weighted.
        """
        train = counted_part(run.train)
        counted = without_marks(train, run.tokenizer.sep_id)
        models = masked.counting_models(counted, run.tokenizer, [words_of(b) for b in held_out.batches])
        of_all = evaluate(model, held_out.objective, held_out.batches, executor, ranks)
        words, pairs = (
            score("encoder", loss / weight, accuracy, n)
            for loss, weight, accuracy, n in zip(
                of_all.losses, held_out.objective.weights, of_all.accuracies, of_all.n_targets, strict=True
            )
        )
        return {
            "objective": f"mlm+{self.pair}",
            "steps": run.config.steps,
            "passes": len(held_out.batches),
            "models": [*models, words],
            "margin": margin(models[-1], words),
            "pairs": [score("a coin", LN2, 0.5, pairs["positions"]), self.by_length(run, held_out), pairs],
            **share_counted(train, run.train),
        }

    def by_length(self, run: Run, held_out: Evaluation) -> dict[str, Any]:
        """Return the scores of a rule that sees the segments' lengths alone, learnt on training pairs."""
        of_pairs = []
        train, n = run.train, len(run.train.ids)
        rows = np.arange(n) if n <= PAIRS else np.linspace(0, n - 1, PAIRS).astype(np.int64)
        others = None
        if self.pair == "nsp":
            starts = document_starts(train, run.tokenizer.cls_id)
            rng = draws.generator(masked.SEED, draws.EVALUATION, 4)
            others = train.rows(partners(rows, starts, rng)).ids
        pair = held_out.objective.objectives[self.pair]
        rngs = [draws.generator(masked.SEED, draws.EVALUATION, 5, i) for i in rows.tolist()]
        made = pair.make_pairs(train.rows(rows).ids, others, rngs, run.config.seq_len)
        rule = LengthRule.learn(lengths_of(made.mask, made.segment_ids), made.targets)
        for batch in held_out.batches:
            classes = batch.targets[~batch.of[:, 0]]
            of_pairs.append((lengths_of(batch.mask, batch.segment_ids), classes))
        lengths, classes = (np.concatenate(x) for x in zip(*of_pairs, strict=True))
        return score("the lengths alone", *rule.score(lengths, classes), len(classes))

    def table(self, result: dict[str, Any]) -> str:
        """Return the scores for people.

        Examples
        --------
        >>> pairs = [{"name": "a coin", "nats": 0.693, "accuracy": 0.5, "positions": 900}]
        >>> pairs += [{"name": "the lengths alone", "nats": 0.66, "accuracy": 0.6, "positions": 900}]
        >>> pairs += [{"name": "encoder", "nats": 0.6, "accuracy": 0.7, "positions": 900}]
        >>> result = {"models": [], "margin": None, "pairs": pairs}
        >>> print(SentencePairTask("nsp").table(result).partition("\\n\\n")[2])
        held-out next sentences        nats   accuracy       pairs
        a coin                        0.693     50.0 %         900
        the lengths alone             0.660     60.0 %         900
        encoder                       0.600     70.0 %         900
        """
        what = {"nsp": "held-out next sentences", "sop": "held-out sentence orders"}[self.pair]
        lines = [masked.table(result), "", f"{what:<27}{'nats':>8}{'accuracy':>11}{'pairs':>12}"]
        for name, nats, accuracy, n in ([*m.values()] for m in result["pairs"]):
            lines.append(f"{name:<27}{nats:>8.3f}{100 * accuracy:>9.1f} %{n:>12,}")
        return "\n".join(lines)

    def try_it(self, run: Run) -> list[str]:
        """Return the arguments of `npformer fill` with a held-out sentence."""
        held_out = without_marks(run.held_out, run.tokenizer.sep_id)
        return ["fill", str(run.folder), example_sentence(held_out, run.tokenizer)]
