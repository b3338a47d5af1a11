"""BERT's normalisation, and its cut into words.

    1. clean       control characters, U+0000 and U+FFFD go; every kind of white space becomes a blank
    2. CJK         a blank on both sides of each Chinese character, which makes it a word of its own
    3. accents     (lower-case vocabularies only) canonical decomposition, then non-spacing marks go: é -> e
    4. lower case  (the same) one character at a time, so that Σ is σ at the end of a word as well
    5. words       a punctuation character is a word of its own; blanks part the others

Steps 1 and 2, 3 and 4, and 5 are each one character in, some characters out: a table for
`str.translate`, filled as characters are met.

References
----------
Devlin, Chang, Lee, Toutanova: BERT, arXiv:1810.04805, and `tokenization.py` of its code. A character that
this Python's Unicode tables do not know is kept (BERT's code drops it), as the `tokenizers` library does,
so that an emoji of next year is an unknown word, not nothing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

CJK_BLOCKS = (
    (0x3400, 0x4DBF),  # extension A
    (0x4E00, 0x9FFF),  # unified ideographs
    (0xF900, 0xFAFF),  # compatibility ideographs
    (0x20000, 0x2A6DF),  # extensions B, C, D, E
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0x2F800, 0x2FA1F),  # compatibility supplement
)


def is_cjk(char: str) -> bool:
    """Whether BERT makes `char` a word of its own as Chinese (kana and hangul are letters like any other).

    Examples
    --------
    >>> is_cjk("語"), is_cjk("の"), is_cjk("a")
    (True, False, False)
    """
    code = ord(char)
    return code >= 0x3400 and any(low <= code <= high for low, high in CJK_BLOCKS)


def is_punctuation(char: str) -> bool:
    """Whether `char` is a word of its own: Unicode's P categories, and ASCII that is no letter or digit.

    Examples
    --------
    >>> [is_punctuation(c) for c in ".$—½"]
    [True, True, True, False]
    """
    if char < "\x7f":
        return char >= "!" and not char.isalnum()
    return unicodedata.category(char)[0] == "P"


class _Table(dict[int, str]):
    """A table for `str.translate` that computes an entry when it first meets the character.

    A memo of a pure function: threads may fill it at the same time, and write the same values.
    """

    def __init__(self, translate: Callable[[str], str]) -> None:
        super().__init__()
        self._translate = translate

    def __missing__(self, code: int) -> str:
        out = self[code] = self._translate(chr(code))
        return out


def _clean(char: str) -> str:
    if char in "\t\n\r":
        return " "
    if char in "\0\ufffd" or unicodedata.category(char) in ("Cc", "Cf", "Co", "Cs"):
        return ""
    if char.isspace():
        return " "
    return f" {char} " if is_cjk(char) else char


def _lower(char: str) -> str:
    return "" if unicodedata.category(char) == "Mn" else char.lower()


def _isolate(char: str) -> str:
    return f" {char} " if is_punctuation(char) else char


_CLEAN, _LOWER, _ISOLATE = _Table(_clean), _Table(_lower), _Table(_isolate)


def normalise(text: str, lowercase: bool = True) -> str:
    """Steps 1 to 4: clean `text`, set Chinese characters apart and, for a lower-case vocabulary, lower it.

    Parameters
    ----------
    text : str
        Any string, lone surrogates included.
    lowercase : bool
        Strip accents and lower the case (an uncased vocabulary).

    Returns
    -------
    str

    Examples
    --------
    >>> normalise("Déjà\\tVU: 中文")
    'deja vu:  中  文 '
    >>> normalise("Déjà\\tVU", lowercase=False)
    'Déjà VU'
    """
    text = text.translate(_CLEAN)
    if not lowercase:
        return text
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFD", text).translate(_LOWER)


def split_words(text: str, lowercase: bool = True) -> list[str]:
    """Steps 1 to 5: the words of `text`, normalised; no character but blanks is lost in step 5.

    Examples
    --------
    >>> split_words("Zürich isn't far…")
    ['zurich', 'isn', "'", 't', 'far', '…']
    """
    return normalise(text, lowercase).translate(_ISOLATE).split()
