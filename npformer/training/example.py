"""A sentence with one mask out of a run's held-out text, to try the model on."""

from __future__ import annotations

from ..text import Packed, Tokenizer

SHORTEST, LONGEST = 8, 20  # tokens
FALLBACK = "[MASK]"


def example_sentence(held_out: Packed, tokenizer: Tokenizer, longest: int = LONGEST) -> str:
    """Return a short held-out sentence whose middle word, a single piece, is masked.

    Taken are the tokens between two full stops if such a sentence is there, else the first that a sequence
    begins with. Whatever the text is, the sentence reads back as the same tokens.
    """
    vocab = tokenizer.vocab
    special = set(tokenizer.special_ids)
    stops = {i for i, piece in enumerate(vocab) if piece in (".", "。", "!", "?", "！", "？")}  # noqa: RUF001
    fallback = FALLBACK
    for row, mask in zip(held_out.ids[:200], held_out.mask[:200], strict=True):
        sentence: list[int] = []
        began = False  # after a full stop
        for token in row[mask].tolist():
            if token in special:
                sentence, began = [], False
                continue
            sentence.append(token)
            if token in stops:
                whole = began and SHORTEST <= len(sentence) <= longest
                text = _masked(sentence, tokenizer) if whole else None
                if text is not None:
                    return text
                sentence, began = [], True
            elif fallback == FALLBACK and len(sentence) == min(longest, 10):
                fallback = _masked(sentence, tokenizer) or FALLBACK
    return fallback


def _masked(sentence: list[int], tokenizer: Tokenizer) -> str | None:
    """The text with one word masked: the one nearest the middle that is a piece of its own, if any is."""
    pieces = [tokenizer.vocab[i] for i in sentence]
    if pieces[0].startswith("##"):
        return None
    middle = len(sentence) // 2
    for place in sorted(range(len(sentence)), key=lambda i: abs(i - middle)):
        alone = place + 1 == len(sentence) or not pieces[place + 1].startswith("##")
        if pieces[place].isalpha() and alone:
            before = tokenizer.decode(sentence[:place])
            after = tokenizer.decode(sentence[place + 1 :])
            text = f"{before} [MASK]" + (after if after[:1] in ".,;:!?)。，" else f" {after}")  # noqa: RUF001
            expected = [*sentence[:place], tokenizer.mask_id, *sentence[place + 1 :]]
            return text.strip() if tokenizer.encode_plain(text) == expected else None
    return None
