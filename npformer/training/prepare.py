"""From documents to what a run trains on: the tokenizer, and the packed training and held-out sequences."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from typing import NamedTuple

from ..text import CorpusError, Document, Packed, TextFiles, WordPieceTokenizer, pack, split_corpus
from ..text.packed_file import blocks_of, map_rows, write_rows
from ..text.packing import filled_rows
from ..text.streamed_split import cleaned, draw_held_out, lines_of, training_documents
from .config import RunConfig

HELD_OUT = 0.1
HELD_OUT_MOST = 2_000_000  # characters; of a text that is read as a stream
SAMPLE = 16_000_000  # characters that the tokenizer of such a text is trained on
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


def prepare(
    documents: Sequence[Document] | TextFiles,
    config: RunConfig,
    *,
    exact_vocab: bool = False,
    scratch: str | os.PathLike[str] | None = None,
) -> Prepared:
    """Split the text, train the tokenizer on the training part, and pack both parts.

    Files too large to hold (`TextFiles`) are read twice, a piece at a time. What is held out of them is the
    usual tenth, but at most two million characters; the tokenizer is trained on an even sample of sixteen
    million; and the packed training part is a temporary file, gone with the last who uses it.

    Parameters
    ----------
    documents : sequence of Document, or TextFiles
        As `open_corpus` returns them.
    config : RunConfig
    exact_vocab : bool
        Whether fewer pieces than ``config.vocab_size`` are an error; otherwise the vocabulary is as large as
        the text supports.
    scratch : path, optional
        Folder of the temporary file; default: the system's.

    Returns
    -------
    Prepared

    Raises
    ------
    CorpusError
        If the text is too little to split, or to support the vocabulary.
    OSError
        If there is no room for the temporary file.
    """
    if isinstance(documents, TextFiles):
        return _prepare_files(documents, config, exact_vocab, scratch)
    train, held_out = split_corpus(documents, HELD_OUT, SPLIT_SEED)
    tokenizer = WordPieceTokenizer.train(
        (document.text for document in train),
        config.vocab_size,
        lowercase=not config.cased,
        shrink=not exact_vocab,
    )
    packed = pack(train, tokenizer, config.seq_len)
    packed_held_out = pack(held_out, tokenizer, config.seq_len)
    return _checked(config, tokenizer, packed, packed_held_out, [d.name for d in documents])


def _prepare_files(
    files: TextFiles, config: RunConfig, exact_vocab: bool, scratch: str | os.PathLike[str] | None
) -> Prepared:
    share = min(HELD_OUT, HELD_OUT_MOST / files.size)
    held_out, sample, length = draw_held_out(files, share, SPLIT_SEED, SAMPLE)
    tokenizer = WordPieceTokenizer.train(
        sample, config.vocab_size, lowercase=not config.cased, shrink=not exact_vocab
    )
    del sample
    unseen = lines_of(held_out)
    train = training_documents(files, share, SPLIT_SEED, length, unseen)
    rows = filled_rows(train, tokenizer, config.seq_len)
    folder = tempfile.gettempdir() if scratch is None else os.fspath(scratch)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:  # has no name: nothing can leave it behind
            blocks = blocks_of(rows, config.seq_len, tokenizer.pad_id)
            write_rows(file, blocks, config.seq_len, tokenizer.vocab_size)
            packed = map_rows(file, tokenizer.pad_id)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}, for the packed text", folder) from error
    packed_held_out = pack(cleaned(held_out, unseen), tokenizer, config.seq_len)
    return _checked(config, tokenizer, packed, packed_held_out, files.names)


def _checked(
    config: RunConfig,
    tokenizer: WordPieceTokenizer,
    packed: Packed,
    packed_held_out: Packed,
    names: list[str],
) -> Prepared:
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
    return Prepared(config, tokenizer, packed, packed_held_out, names, warnings)
