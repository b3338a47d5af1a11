"""A text out of a text, by an encoder-decoder: summaries, translations.

    source    [CLS] source [SEP]
    target    [CLS] target [SEP]

What is too long is cut at its end. A target that was cut has no [SEP]: it does not end there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...models import EncoderDecoder
from ...models._padding import padded
from ...objectives import Seq2Seq
from ...text import Tokenizer
from ...text.labelled import Example
from ..rows import Rows
from .kind import Array
from .texts import baseline as baseline
from .texts import by_label as by_label
from .texts import counts as counts
from .texts import have_targets, tokens, write
from .texts import labels as labels
from .texts import predictions as predictions
from .texts import scores as scores
from .texts import targets as targets

MODELS, HEAD, LABELS, CHOOSE_BY = (EncoderDecoder,), None, "texts", "rougeL"


def objective(labels: Sequence[str], class_weights: Array | None) -> Seq2Seq:
    """Return the objective."""
    return Seq2Seq()


def rows(examples: Sequence[Example], tokenizer: Tokenizer, longest: int, segments: bool) -> Rows:
    """Return the sources as rows of tokens, and the targets, if there are any."""
    cls, sep = tokenizer.cls_id, tokenizer.sep_id
    plain = tokens(examples, 0, tokenizer)
    sources = [np.array([cls, *source[: longest - 2], sep], np.intp) for source in plain]
    cut = sum(len(source) > longest - 2 for source in plain)
    if not have_targets(examples):
        return Rows(sources, None, None, cut)
    whole = [[cls, *target, sep] for target in tokens(examples, 1, tokenizer)]
    most = longest + 1  # the last token is not read
    written = [np.array(target[:most], np.intp) for target in whole]
    targets_cut = sum(len(target) > most for target in whole)
    return Rows(sources, None, None, cut, 1, written, targets_cut, given=1)


def batch(
    objective: Seq2Seq, rows: Rows, targets: Sequence[str] | None, places: Sequence[int], pad_id: int
) -> Any:
    """Return a batch of the objective."""
    assert rows.targets is not None
    sides = (rows.ids, rows.targets)
    (source, source_mask), (target, mask) = (padded([side[i] for i in places], pad_id) for side in sides)
    return objective.make_batch(source, source_mask, target, mask)


def outputs(
    model: Any, objective: Seq2Seq, rows: Rows, places: Sequence[int], tokenizer: Tokenizer
) -> list[str]:
    """Return the text that is written for each source."""
    return write(model, [rows.ids[i] for i in places], tokenizer, begin=tokenizer.cls_id)
