"""What can be learnt from labelled examples: a module for each kind of label, or of text that is written.

    classify    classify.py    a text has one of several labels
    pair        classify.py    so has a pair of texts
    tag         tag.py         so has each word of a text
    regress     regress.py     a text, or a pair, has a number
    similarity  similarity.py  two texts are more or less alike: the cosine of their vectors
    seq2seq     seq2seq.py     an encoder-decoder writes a text for a text: a summary
    clm         clm.py         a decoder writes what follows a text: an answer

Loop and commands ask a `Kind` and do not look at the task. A new one is a new module here, and a row in
`KINDS`.
"""

from . import classify, clm, regress, seq2seq, similarity, tag
from .kind import Kind

KINDS: dict[str, Kind] = {
    "classify": classify,
    "pair": classify,
    "tag": tag,
    "regress": regress,
    "similarity": similarity,
    "seq2seq": seq2seq,
    "clm": clm,
}

__all__ = ["KINDS", "Kind"]
