"""An answer to a text, by a decoder: dialogue.

    row     source [SEP] target [SEP]
    loss    of the target and its [SEP] alone

Either side has at most half of what the model reads: a longer source loses its beginning, since what is said
last is answered, a longer target its end, and with it the [SEP]: it does not end there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...models import Decoder
from ...models._padding import padded
from ...objectives import CausalLM
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

MODELS, HEAD, LABELS, CHOOSE_BY = (Decoder,), None, "texts", "perplexity"


def objective(labels: Sequence[str], class_weights: Array | None) -> CausalLM:
    """Return the objective."""
    return CausalLM()


def rows(examples: Sequence[Example], tokenizer: Tokenizer, longest: int, segments: bool) -> Rows:
    """Return the sources as rows of tokens, and the targets, if there are any."""
    sep, half = tokenizer.sep_id, longest // 2
    plain = tokens(examples, 0, tokenizer)
    sources = [np.array([*source[max(len(source) - half + 1, 0) :], sep], np.intp) for source in plain]
    cut = sum(len(source) > half - 1 for source in plain)
    if not have_targets(examples):
        return Rows(sources, None, None, cut)
    whole = [[*target, sep] for target in tokens(examples, 1, tokenizer)]
    most = longest + 1 - half  # the last token is not read
    written = [np.array(target[:most], np.intp) for target in whole]
    return Rows(sources, None, None, cut, 1, written, sum(len(target) > most for target in whole))


def batch(
    objective: CausalLM, rows: Rows, targets: Sequence[str] | None, places: Sequence[int], pad_id: int
) -> Any:
    """Return a batch of the objective."""
    assert rows.targets is not None
    whole = [np.concatenate([rows.ids[i], rows.targets[i]]) for i in places]
    loss_from = np.array([len(rows.ids[i]) for i in places])
    return objective.make_batch(*padded(whole, pad_id), loss_from=loss_from)


def outputs(
    model: Any, objective: CausalLM, rows: Rows, places: Sequence[int], tokenizer: Tokenizer
) -> list[str]:
    """Return the text that is written after each source."""
    return write(model, [rows.ids[i] for i in places], tokenizer)
