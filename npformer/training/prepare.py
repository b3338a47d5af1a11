"""From documents to what a run trains on: the tokenizer, and the packed training and held-out sequences."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..text import CorpusError, Document, Packed, Pair, TextFiles, Tokenizer, packed_rows, train_tokenizer
from ..text.packed_file import blocks_of, map_rows, write_rows
from ..text.streamed_split import cleaned, draw_held_out, lines_of, training_documents
from .config import RunConfig
from .initial import Array, Start
from .tasks import Task
from .teacher import read_teacher

HELD_OUT = 0.1
HELD_OUT_MOST = 2_000_000  # characters; of a text that is read as a stream
SAMPLE = 16_000_000  # characters that the tokenizer of such a text is trained on
LITTLE = 50_000  # tokens; below, a model learns the text by heart and little else
SPLIT_SEED = 0  # not the run's: runs of different seeds are judged on the same text


class Prepared(NamedTuple):
    """Everything a run needs, before anything is written."""

    config: RunConfig
    tokenizer: Tokenizer
    train: Packed
    held_out: Packed
    sources: list[str]  # names of the documents
    warnings: list[str]
    initial: Mapping[str, Array] | None = None  # weights to begin with, by name


def prepare(
    corpus: Sequence[Document] | Sequence[Pair] | TextFiles,
    config: RunConfig,
    *,
    exact_vocab: bool = False,
    scratch: str | os.PathLike[str] | None = None,
    start: Start | None = None,
) -> Prepared:
    """Split the text, train the tokenizer on the training part, and pack both parts.

    The tokenizer of a run with a teacher is the teacher's.

    Files too large to hold (`TextFiles`) are read twice, a piece at a time. What is held out of them is the
    usual tenth, but at most two million characters; the tokenizer is trained on an even sample of sixteen
    million; and the packed training part is a temporary file, gone with the last who uses it.

    Parameters
    ----------
    corpus : sequence of Document or of Pair, or TextFiles
        As `open_corpus` and `read_pairs` return them.
    config : RunConfig
        Its objective says how the corpus is split and made into rows (tasks/).
    exact_vocab : bool
        Whether fewer pieces than ``config.vocab_size`` are an error; otherwise the vocabulary is as large as
        the text supports.
    scratch : path, optional
        Folder of the temporary file; default: the system's.
    start : Start, optional
        A run whose tokenizer and weights are taken over (`read_start`).

    Returns
    -------
    Prepared

    Raises
    ------
    CorpusError
        If the text is too little to split, or to support the vocabulary.
    ValueError
        If a tail is to be held out of files read as a stream, or the model of `start` is of another form.
    OSError
        If there is no room for the temporary file.
    """
    initial = None if start is None else start.weights(config)  # before anything is read
    given = None if start is None else start.tokenizer
    if isinstance(corpus, TextFiles):
        return _prepare_files(corpus, config, exact_vocab, scratch, given)._replace(initial=initial)
    task = config.task
    tail = config.held_out_tail is not None
    train, held_out = task.split(corpus, config.held_out_tail or HELD_OUT, SPLIT_SEED, tail)
    tokenizer = _tokenizer(task.texts(train), config, exact_vocab) if given is None else given
    length, pad = task.width(config.seq_len), tokenizer.pad_id
    packed, packed_held_out = (
        packed_rows(task.rows(part, tokenizer, config), length, pad) for part in (train, held_out)
    )
    left_out = _left_out(task, (train, packed), (held_out, packed_held_out))
    names = [unit.name for unit in corpus if isinstance(unit, Document)]
    prepared = _checked(config, tokenizer, packed, packed_held_out, names)
    return prepared._replace(warnings=left_out + prepared.warnings, initial=initial)


def _tokenizer(texts: Iterable[str], config: RunConfig, exact_vocab: bool) -> Tokenizer:
    if config.teacher is not None:
        return read_teacher(config)[1]  # refused before anything is written
    tokenizer = train_tokenizer(
        config.tokenizer, texts, config.vocab_size, lowercase=not config.cased, shrink=not exact_vocab
    )
    return tokenizer.with_sentinels(config.n_sentinels) if config.n_sentinels else tokenizer


def _prepare_files(
    files: TextFiles,
    config: RunConfig,
    exact_vocab: bool,
    scratch: str | os.PathLike[str] | None,
    given: Tokenizer | None,
) -> Prepared:
    if config.held_out_tail is not None:
        raise ValueError(
            f"held_out_tail: expected a text that fits the memory, got {files.size / 1e6:,.0f} MB"
        )
    share = min(HELD_OUT, HELD_OUT_MOST / files.size)
    task = config.task
    parts = task.PARTS and len(files.files) == 1
    held_out, sample, characters = draw_held_out(files, share, SPLIT_SEED, SAMPLE, parts=parts)
    tokenizer = _tokenizer(sample, config, exact_vocab) if given is None else given
    length = task.width(config.seq_len)
    del sample
    unseen = lines_of(held_out)
    train = training_documents(files, share, SPLIT_SEED, characters, unseen, parts=parts)
    rows = task.rows(train, tokenizer, config)
    folder = tempfile.gettempdir() if scratch is None else os.fspath(scratch)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:  # has no name: nothing can leave it behind
            blocks = blocks_of(rows, length, tokenizer.pad_id)
            n = write_rows(file, blocks, length, tokenizer.vocab_size)
            packed = map_rows(file, tokenizer.pad_id) if n else packed_rows([], length, tokenizer.pad_id)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}, for the packed text", folder) from error
    held_out = cleaned(held_out, unseen)
    packed_held_out = packed_rows(task.rows(held_out, tokenizer, config), length, tokenizer.pad_id)
    left_out = _left_out(task, (files, packed), (held_out, packed_held_out))
    prepared = _checked(config, tokenizer, packed, packed_held_out, files.names)
    return prepared._replace(warnings=left_out + prepared.warnings)


def _left_out(task: Task, train: tuple[Any, Packed], held_out: tuple[Any, Packed]) -> list[str]:
    """Lines on what of either part did not become rows; CorpusError if nothing did."""
    warnings = []
    for what, (part, packed) in (("", train), ("held out: ", held_out)):
        line = task.left_out(part, packed)
        if line is not None:
            if not len(packed.ids):
                raise CorpusError(line)
            warnings.append(what + line)
    return warnings


def _checked(
    config: RunConfig,
    tokenizer: Tokenizer,
    packed: Packed,
    packed_held_out: Packed,
    names: list[str],
) -> Prepared:
    for part, what in ((packed, "training"), (packed_held_out, "held-out")):
        if not part.mask.any():
            raise CorpusError(f"the {what} part of the text holds no word")
    config.task.order(config, packed)  # what cannot be put into batches is refused before anything is written
    warnings = []
    tokens = int(packed.mask.sum())
    if tokens < LITTLE:
        warnings.append(
            f"little text: {tokens:,} tokens to train on, where {LITTLE:,} are few; "
            "expect it to be learned by heart, and held-out figures to mean little"
        )
    return Prepared(config, tokenizer, packed, packed_held_out, names, warnings)
