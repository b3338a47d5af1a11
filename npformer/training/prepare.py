"""From documents to what a run trains on: the tokenizer, and the packed training and held-out sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..text import CorpusError, Document, Packed, WordPieceTokenizer, pack, split_corpus
from .config import RunConfig

HELD_OUT = 0.1
LITTLE = 50_000  # tokens; below, a model learns the text by heart and little else
SPLIT_SEED = 0  # not the run's: runs of different seeds are judged on the same text


class Prepared(NamedTuple):
    """Everything a run needs, before anything is written."""

    config: RunConfig
    tokenizer: WordPieceTokenizer
    train: Packed
    held_out: Packed
    sources: list[str]  # names of the documents
    warnings: list[str]


def prepare(documents: Sequence[Document], config: RunConfig, *, exact_vocab: bool = False) -> Prepared:
    """Split the text, train the tokenizer on the training part, and pack both parts.

    Parameters
    ----------
    documents : sequence of Document
    config : RunConfig
    exact_vocab : bool
        Whether fewer pieces than ``config.vocab_size`` are an error; otherwise the vocabulary is as large as
        the text supports.

    Returns
    -------
    Prepared

    Raises
    ------
    CorpusError
        If the text is too little to split, or to support the vocabulary.
    """
    train, held_out = split_corpus(documents, HELD_OUT, SPLIT_SEED)
    tokenizer = WordPieceTokenizer.train(
        (document.text for document in train),
        config.vocab_size,
        lowercase=not config.cased,
        shrink=not exact_vocab,
    )
    packed = pack(train, tokenizer, config.seq_len)
    packed_held_out = pack(held_out, tokenizer, config.seq_len)
    for part, what in ((packed, "training"), (packed_held_out, "held-out")):
        if not part.mask.any():
            raise CorpusError(f"the {what} part of the text holds no word")
    warnings = []
    tokens = int(packed.mask.sum())
    if tokens < LITTLE:
        warnings.append(
            f"little text: {tokens:,} tokens to train on, where {LITTLE:,} are few; "
            "expect it to be learned by heart, and held-out figures to mean little"
        )
    return Prepared(config, tokenizer, packed, packed_held_out, [d.name for d in documents], warnings)
