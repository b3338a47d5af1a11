"""The kinds of tokenizers, by name; and how a run's or a model's is read back."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from .characters import CharacterTokenizer
from .errors import CorpusError
from .wordpiece import WordPieceTokenizer

Tokenizer = WordPieceTokenizer | CharacterTokenizer
KINDS = ("wordpiece", "char")


def train_tokenizer(
    kind: str, texts: Iterable[str], vocab_size: int, *, lowercase: bool, shrink: bool
) -> Tokenizer:
    """Return a tokenizer learnt from `texts`.

    Parameters
    ----------
    kind : {"wordpiece", "char"}
    texts : iterable of str
    vocab_size : int
        Pieces wanted; of characters, all are taken.
    lowercase : bool
        For WordPiece: strip accents and lower the case.
    shrink : bool
        For WordPiece: whether fewer pieces will do where the text supports no more.

    Raises
    ------
    CorpusError
        If the text is too little.
    """
    if kind == "char":
        return CharacterTokenizer.train(texts)
    return WordPieceTokenizer.train(texts, vocab_size, lowercase=lowercase, shrink=shrink)


def read_tokenizer(
    vocab: str | os.PathLike[str], kind: str = "wordpiece", lowercase: bool = True
) -> Tokenizer:
    """Return the tokenizer of a vocab.txt.

    Raises
    ------
    CorpusError
        If the file cannot be read, or is no vocabulary of this kind.
    """
    if kind == "char":
        return CharacterTokenizer.from_file(vocab)
    return WordPieceTokenizer.from_file(vocab, lowercase=lowercase)


def load_tokenizer(folder: str | os.PathLike[str]) -> Tokenizer:
    """Return the tokenizer of a model folder, of vocab.txt and tokenizer.json.

    Without a tokenizer.json it is an uncased WordPiece tokenizer.

    Raises
    ------
    CorpusError
        If a file cannot be read or is not what it should be.
    """
    about = Path(folder) / "tokenizer.json"
    values: dict[str, object] = {}
    if about.is_file():
        try:
            values = json.loads(about.read_text(encoding="utf-8"))
            kind, lowercase = values.get("kind", "wordpiece"), values["lowercase"]
            if kind not in KINDS:
                raise ValueError(f"kind: expected one of {', '.join(KINDS)}, got {kind!r}")
            if not isinstance(lowercase, bool):
                raise ValueError(f"lowercase: expected true or false, got {json.dumps(lowercase)}")
        except OSError as error:
            raise CorpusError(f"{about}: {error.strerror}") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CorpusError(f"{about}: not the description of a tokenizer ({error})") from None
        return read_tokenizer(Path(folder) / "vocab.txt", str(kind), lowercase)
    return read_tokenizer(Path(folder) / "vocab.txt")
