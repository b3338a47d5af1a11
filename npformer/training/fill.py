"""What a trained model would put in the place of [MASK]."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..functional import softmax
from ..models import from_pretrained
from ..text import Tokenizer, load_tokenizer

MASK = "[MASK]"


class Prediction(NamedTuple):
    """A piece of the vocabulary for one mask."""

    piece: str
    probability: float


def load_model(
    folder: str | os.PathLike[str], dtype: npt.DTypeLike | None = None
) -> tuple[Any, Tokenizer]:
    """Read the model of a finished run, or of a model folder, with its tokenizer.

    Parameters
    ----------
    folder : path
    dtype : dtype, optional
        Default: that of the stored weights.

    Raises
    ------
    OSError, ValueError
        If there is none, or the run has not finished.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder")
    if not (folder / "config.json").is_file() and (seeds := sorted(folder.glob("seed-*"))):
        raise ValueError(f"{folder}: expected one run, got a folder of several seeds ({seeds[0]}, say)")
    if (folder / "metrics.jsonl").is_file():  # a run
        if not (folder / "model" / "config.json").is_file():
            config = folder / "config.json"
            tuned = config.is_file() and '"run": "finetune"' in config.read_text(encoding="utf-8")
            more = "no epoch of its fine-tuning was finished"
            if not tuned:
                more = f"the run has not finished; npformer pretrain --resume {folder}"
            raise ValueError(f"{folder}: {more}")
        folder = folder / "model"
    model = from_pretrained(folder, dtype)
    tokenizer = load_tokenizer(folder)
    if tokenizer.vocab_size != model.config.vocab_size:
        raise ValueError(
            f"{folder}: vocab.txt has {tokenizer.vocab_size} pieces, the model {model.config.vocab_size}"
        )
    return model, tokenizer


def fill(model: Any, tokenizer: Tokenizer, text: str, k: int = 5) -> list[list[Prediction]]:
    """Predict the masked pieces of `text`.

    Parameters
    ----------
    model : Encoder
        With a masked-LM head.
    tokenizer : WordPieceTokenizer or CharacterTokenizer
    text : str
        With at least one [MASK]; every one stands for one piece.
    k : int
        Predictions for each mask.

    Returns
    -------
    list of list of Prediction
        For each mask, from left to right, the `k` most probable pieces, the best first.

    Raises
    ------
    ValueError
        If the model has no such head, there is no mask, the text is too long for it, or `k` is below 1.
    """
    if k < 1:
        raise ValueError(f"k: expected at least 1, got {k}")
    if not hasattr(model, "mlm_head"):
        kind = type(model).__name__
        raise ValueError(f"expected a model trained on masked tokens (--objective mlm), got {kind}")
    if MASK not in text:
        raise ValueError(f"no {MASK} in the text: {shorten(text)!r}")
    ids = np.array([tokenizer.encode(text).ids])
    longest = model.config.max_positions
    if ids.shape[1] > longest:
        raise ValueError(
            f"the text has {ids.shape[1]} tokens, the model reads at most {longest}: {shorten(text)!r}"
        )
    at = np.flatnonzero(ids[0] == tokenizer.mask_id)
    hidden, _ = model.forward(ids, at=at, keep=False)
    logits, _ = model.mlm_head.forward(model.params, hidden, False)
    p, _ = softmax(logits)
    best = np.argsort(-p, axis=-1, kind="stable")[:, :k]
    return [
        [Prediction(tokenizer.vocab[i], float(row[i])) for i in of_mask.tolist()]
        for row, of_mask in zip(p, best, strict=True)
    ]


def shorten(text: str, width: int = 60) -> str:
    """Return the beginning of `text`, for a message."""
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 3] + "..."
