"""The error of everything a person can get wrong with text: files, folders, sizes of a vocabulary."""

from __future__ import annotations


class CorpusError(ValueError):
    """A problem with somebody's text, told in one line that names the file or the number at fault.

    Examples
    --------
    >>> raise CorpusError("poems.txt: the file is empty")
    Traceback (most recent call last):
    ...
    npformer.text.errors.CorpusError: poems.txt: the file is empty
    """
