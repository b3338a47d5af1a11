"""Texts that are written: what there is to say of them, whichever model writes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...generation import generate
from ...scores import rouge, rouge_words
from ...text import CorpusError, Tokenizer
from ...text.labelled import Example
from .kind import Prediction


def labels(examples: Sequence[Example]) -> tuple[str, ...]:
    """Return nothing: texts have no names."""
    return ()


def counts(examples: Sequence[Example], labels: Sequence[str]) -> None:
    """Return None: texts are no classes."""


def targets(examples: Sequence[Example], labels: Sequence[str]) -> list[str]:
    """Return the texts that are to be written; their tokens are among the rows.

    Raises
    ------
    CorpusError
        Naming file and line of an example that is not a source and a target.
    """
    for example in examples:
        if len(example.texts) != 2 or not all(text.strip() for text in example.texts):
            raise CorpusError(f"{example.where}: expected a source and a target, got {example.texts!r}")
    return [example.texts[1] for example in examples]


def tokens(examples: Sequence[Example], side: int, tokenizer: Tokenizer) -> list[list[int]]:
    """Return the tokens of the sources (side 0) or of the targets (1)."""
    return [tokenizer.encode_plain(example.texts[side], specials=False) for example in examples]


def have_targets(examples: Sequence[Example]) -> bool:
    """Whether the examples are to learn from, or to judge by."""
    return all(len(example.texts) == 2 for example in examples)


def write(model: Any, sources: Sequence[Any], tokenizer: Tokenizer, **options: Any) -> list[str]:
    """Return the text that the model writes for each source: always its most probable next token.

    Parameters
    ----------
    model : Decoder or EncoderDecoder
    sources : sequence of ndarray of int, each of shape (T_i,)
        What stands before the text, or is turned into it.
    tokenizer : WordPieceTokenizer or CharacterTokenizer
        Whose [SEP] ends a text; else the model's positions do.
    **options
        Of `npformer.generation.generate`.
    """
    options |= {"max_new_tokens": model.config.max_positions, "stop_tokens": tokenizer.sep_id}
    written = generate(model, sources, **options)
    return [tokenizer.decode([i for i in one.ids if i != tokenizer.sep_id]).strip() for one in written]


def predictions(
    outputs: Sequence[str], examples: Sequence[Example], labels: Sequence[str]
) -> list[Prediction]:
    """Return the texts."""
    return [Prediction(text) for text in outputs]


def scores(
    examples: Sequence[Example], said: Sequence[Prediction], labels: Sequence[str]
) -> dict[str, float]:
    """Return the F1 of ROUGE-1, ROUGE-2 and ROUGE-L."""
    found = rouge([example.texts[1] for example in examples], [one.label for one in said])
    return {name: found[name].f1 for name in ("rouge1", "rouge2", "rougeL")}


def require_rouge_words(examples: Sequence[Example], score: str) -> None:
    """Raise CorpusError if `score`, of ROUGE, is 0 for every text that could be written.

    Examples
    --------
    >>> require_rouge_words([Example(("кот", "кошка"), None, None, "dev.tsv:1")], "rougeL")
    Traceback (most recent call last):
    ...
    npformer.text.errors.CorpusError: dev.tsv:1: expected targets with words of a to z or 0 to 9, as rougeL \
counts them, got none in any: choose by perplexity
    """
    if not any(rouge_words(example.texts[1]) for example in examples):
        expected = f"expected targets with words of a to z or 0 to 9, as {score} counts them"
        raise CorpusError(f"{examples[0].where}: {expected}, got none in any: choose by perplexity")


def by_label(
    examples: Sequence[Example], said: Sequence[Prediction], labels: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Return nothing: texts are no classes."""
    return {}


def baseline(
    train: Sequence[Example], examples: Sequence[Example], labels: Sequence[str]
) -> tuple[str, dict[str, float]]:
    """Return the scores of the first words of the source, as many as targets of training have on average."""
    n = max(1, round(sum(len(example.texts[1].split()) for example in train) / len(train)))
    lead = [Prediction(" ".join(example.texts[0].split()[:n])) for example in examples]
    return "lead; a unigram", scores(examples, lead, labels)
