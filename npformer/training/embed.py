"""Vectors of texts, and which of them are near: what an encoder is good for without any labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..models import Decoder, Encoder, encode
from ..models.inference import Pooling
from ..models.task_heads import CAUSAL_POOLINGS
from ..text import Tokenizer

Array = npt.NDArray[Any]


class Neighbour(NamedTuple):
    """A text that is near to another."""

    place: int  # among the texts
    cosine: float


def embed(
    model: Any,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    *,
    pooling: Pooling = "mean",
    normalize: bool = False,
    threads: int | None = None,
) -> Array:
    """Return a vector for each text.

    Parameters
    ----------
    model : Encoder or Decoder
    tokenizer : WordPieceTokenizer or CharacterTokenizer
    texts : sequence of str, n of them
        Of a text with more tokens than the model reads, the first are read.
    pooling : {"mean", "cls", "pooler", "last"}
        See `models.encode`; of a decoder "mean" or "last".
    normalize : bool
        Scale every vector to length 1.
    threads : int, optional
        Default: as many as there are cores. The result does not depend on it.

    Returns
    -------
    ndarray, shape (n, d_model)

    Raises
    ------
    ValueError
        If the model is neither, or a decoder with "cls" or "pooler", or a text is blank (naming it by its
        place, from 1).

    Examples
    --------
    >>> from npformer.models import EncoderConfig
    >>> from npformer.text import CharacterTokenizer
    >>> tokenizer = CharacterTokenizer.train(["abc"])
    >>> sizes = {"d_model": 8, "n_heads": 2, "d_ff": 16, "n_layers": 1, "max_positions": 9}
    >>> config = EncoderConfig(tokenizer.vocab_size, **sizes)
    >>> embed(Encoder(config), tokenizer, ["abc", "cab", "b"]).shape
    (3, 8)
    """
    if not isinstance(model, (Encoder, Decoder)):
        raise ValueError(f"embed: model: expected an Encoder or Decoder, got {type(model).__name__}")
    if isinstance(model, Decoder) and pooling not in CAUSAL_POOLINGS:
        expected = " or ".join(CAUSAL_POOLINGS)
        raise ValueError(f"embed: pooling: expected {expected} for a decoder, got {pooling}")
    for number, text in enumerate(texts, 1):
        if not text.strip():
            raise ValueError(f"embed: text {number}: expected a text, got a blank one")
    return encode(
        model,
        [token_ids(tokenizer, text, model.config.max_positions) for text in texts],
        pooling=pooling,
        normalize=normalize,
        threads=threads,
    )


def token_ids(tokenizer: Tokenizer, text: str, longest: int) -> list[int]:
    """Return the ids of `text` between [CLS] and [SEP], `longest` of them at most."""
    ids: list[int] = tokenizer.encode(text, specials=False).ids
    return ids if len(ids) <= longest else [*ids[: longest - 1], ids[-1]]


def nearest(query: npt.ArrayLike, vectors: npt.ArrayLike, k: int = 5) -> list[Neighbour]:
    """Return the `k` vectors that point most in the direction of `query`, the nearest first.

        cosine = q · v / (|q| |v|),     0 where one of them is 0

    Parameters
    ----------
    query : array_like, shape (d,)
    vectors : array_like, shape (n, d)
    k : int
        At least 1; where there are fewer vectors, all come.

    Returns
    -------
    list of Neighbour

    Raises
    ------
    ValueError
        If the shapes do not fit, or `k` is below 1.

    Examples
    --------
    >>> [n.place for n in nearest([1.0, 0.0], [[0.0, 2.0], [3.0, 3.0], [5.0, 0.0]], k=2)]
    [2, 1]
    """
    q, v = np.asarray(query, float), np.asarray(vectors, float)
    if q.ndim != 1 or v.ndim != 2 or v.shape[1] != q.size:
        raise ValueError(f"nearest: expected shapes (d,) and (n, d), got {q.shape} and {v.shape}")
    if k < 1:
        raise ValueError(f"nearest: k: expected at least 1, got {k}")
    lengths = np.sqrt((v * v).sum(axis=1)) * np.sqrt(q @ q)
    cosines = np.divide(v @ q, lengths, out=np.zeros(len(v)), where=lengths > 0)
    best = np.argsort(-cosines, kind="stable")[:k]
    return [Neighbour(int(i), float(cosines[i])) for i in best]
