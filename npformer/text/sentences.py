"""Where text may be cut: after paragraphs, lines and sentences.

Every function here returns slices that put together again are the text, so nothing can be lost by
cutting. A cut in the wrong place costs a little context and nothing else; so the rules are simple.
"""

from __future__ import annotations

import re

# A full stop, question or exclamation mark, with the brackets and quotes that close after it, then white
# space, and no small letter next ("e.g. this"); or a Chinese or Japanese full stop, which no space follows.
_SENTENCE_END = re.compile(r"""(?<![.!?…])[.!?…]+["'”’»)\]]*\s+(?![a-zß-öø-ÿ\s])|[。！？]+[”’」』）》]*\s*""")
_PARAGRAPH_END = re.compile(r"\n[^\S\n]*\n\s*")


def _cut(text: str, end: re.Pattern[str]) -> list[str]:
    cuts = [0, *(match.end() for match in end.finditer(text)), len(text)]
    return [text[a:b] for a, b in zip(cuts, cuts[1:], strict=False) if a < b]


def paragraphs(text: str) -> list[str]:
    """Cut after each run of blank lines.

    Examples
    --------
    >>> paragraphs("One.\\nTwo.\\n\\nThree.")
    ['One.\\nTwo.\\n\\n', 'Three.']
    """
    return _cut(text, _PARAGRAPH_END)


def lines(text: str) -> list[str]:
    """Cut after each line, whatever ends it (`str.splitlines`)."""
    return text.splitlines(keepends=True)


def sentences(text: str) -> list[str]:
    """Cut after each sentence; a paragraph ends one too.

    Examples
    --------
    >>> sentences("It is late, e.g. ten. Really?  Yes.")
    ['It is late, e.g. ten. ', 'Really?  ', 'Yes.']
    >>> sentences("天黑了。你呢？")
    ['天黑了。', '你呢？']
    """
    return [sentence for paragraph in paragraphs(text) for sentence in _cut(paragraph, _SENTENCE_END)]
