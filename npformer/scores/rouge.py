"""ROUGE: how much of a reference text a predicted text has in common with it, and in which order.

Each counts what both texts have; the ratios are `PrecisionRecall`'s, over what the prediction has and over
what the reference has:

    ROUGE-N       n-grams, each as often as in the text that has fewer of it
    ROUGE-L       the words of a longest common subsequence (LCS): in the same order, with gaps
    ROUGE-Lsum    the same by sentences, one a line: the words of each sentence of the reference that are in
                  an LCS with any sentence of the prediction

Words are those of Google's package rouge-score without its stemmer: the text in lower case, cut at whatever
is not a to z or 0 to 9. So "don't" is two words, "naïve" is "na" and "ve", and a text in another alphabet has
none. The stemmer (off by default in rouge-score, too) would count "cats" and "cat" as one word.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ._arguments import Array, as_strings, bad_type, bad_value, require_same_length
from .precision_recall import PrecisionRecall

WORD = re.compile("[a-z0-9]+")


class Rouge(NamedTuple):
    """Means over texts."""

    precision: float
    recall: float
    f1: float


def rouge_words(text: str) -> list[str]:
    """Words of a text, as ROUGE counts them.

    Parameters
    ----------
    text : str

    Returns
    -------
    list of str

    Raises
    ------
    TypeError
        If `text` is no string.

    Examples
    --------
    >>> rouge_words("The cat isn't on 3 mats.")
    ['the', 'cat', 'isn', 't', 'on', '3', 'mats']
    """
    return _words("rouge_words", "text", text)


def _words(score: str, argument: str, text: str) -> list[str]:
    if not isinstance(text, str):
        bad_type(score, argument, "a string", repr(text))
    return WORD.findall(text.lower())


def rouge_n(reference: str, prediction: str, n: int) -> PrecisionRecall:
    """ROUGE-N: Σ over n-grams g of min(count of g in the reference, count of g in the prediction).

    Parameters
    ----------
    reference, prediction : str
        Either may be empty; then nothing is in common.
    n : int
        1 for words, 2 for pairs of neighbours, ...

    Returns
    -------
    PrecisionRecall
        Over the prediction's n-grams and the reference's.

    Raises
    ------
    ValueError
        If n < 1.
    TypeError
        If a text is no string, or n no integer.

    References
    ----------
    Lin: ROUGE: A Package for Automatic Evaluation of Summaries, 2004, section 2, equation 1 (the recall).

    Examples
    --------
    >>> rouge_n("the cat sat on the mat", "the cat lay on the rug", 1)
    PrecisionRecall(n_correct=4, n_predicted=6, n_true=6)
    >>> rouge_n("the cat sat on the mat", "the cat lay on the rug", 2).f1
    0.4
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
        bad_type("rouge_n", "n", "an integer", repr(n))
    if n < 1:
        bad_value("rouge_n", "n", "an integer >= 1", n)
    theirs = _n_grams(_words("rouge_n", "reference", reference), n)
    ours = _n_grams(_words("rouge_n", "prediction", prediction), n)
    return PrecisionRecall((theirs & ours).total(), ours.total(), theirs.total())


def _n_grams(words: list[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(words[i:] for i in range(n)), strict=False))


# The length of an LCS of the first i words of a and the first j of b:
#
#     L[i, j] = L[i-1, j-1] + 1                where a_i = b_j
#             = max(L[i-1, j], L[i, j-1])      elsewhere
#
# A row at a time: L[i, j] = max over k <= j of max(L[i-1, k], L[i-1, k-1] + [a_i = b_k]), a running maximum.
# It may take the maximum where a_i = b_j, too, since there L[i-1, j-1] + 1 is never less than the others.
def _lcs_rows(a: Sequence[str], b: Sequence[str]) -> Iterator[Array]:
    """Yield L[i, :] for i = 0 .. len(a); len(a) · len(b) steps, in NumPy all but len(a) of them."""
    number = {word: k for k, word in enumerate(dict.fromkeys(b))}
    numbers_b = np.array([number[word] for word in b], np.int64)
    row = np.zeros(len(b) + 1, np.int32)
    yield row
    for word in a:
        same = numbers_b == number.get(word, -1)
        before, row = row, row.copy()
        np.maximum(row[1:], before[:-1] + same, out=row[1:])
        np.maximum.accumulate(row, out=row)
        yield row


def _places_of_lcs(a: Sequence[str], b: Sequence[str]) -> set[int]:
    """Return the places in `a` of one longest common subsequence, of several the one rouge-score takes."""
    L = list(_lcs_rows(a, b))
    i, j = len(a), len(b)
    places = set()
    while i and j:
        if a[i - 1] == b[j - 1]:
            i, j = i - 1, j - 1
            places.add(i)
        elif L[i][j - 1] > L[i - 1][j]:
            j -= 1
        else:
            i -= 1
    return places


def rouge_l(reference: str, prediction: str) -> PrecisionRecall:
    """ROUGE-L of two texts, each taken as one sentence: the length of their longest common subsequence.

    Parameters
    ----------
    reference, prediction : str
        Either may be empty; then nothing is in common.

    Returns
    -------
    PrecisionRecall
        Over the prediction's words and the reference's.

    Raises
    ------
    TypeError
        If a text is no string.

    References
    ----------
    Lin 2004 (see `rouge_n`), section 3.1, equations 2 to 4 with β = 1.

    Examples
    --------
    >>> rouge_l("police killed the gunman", "police kill the gunman")
    PrecisionRecall(n_correct=3, n_predicted=4, n_true=4)
    >>> rouge_l("police killed the gunman", "the gunman kill police").f1
    0.5
    """
    theirs = _words("rouge_l", "reference", reference)
    ours = _words("rouge_l", "prediction", prediction)
    for row in _lcs_rows(theirs, ours):
        length = int(row[-1])
    return PrecisionRecall(length, len(ours), len(theirs))


def rouge_l_sum(reference: str, prediction: str) -> PrecisionRecall:
    """ROUGE-L of two summaries whose sentences stand on lines of their own.

    For each sentence r of the reference, the union over the prediction's sentences c of the words of r in
    LCS(r, c). A word of this union counts as long as the prediction has one of it that has not counted yet.

    Parameters
    ----------
    reference, prediction : str
        One sentence a line. Either may be empty; then nothing is in common.

    Returns
    -------
    PrecisionRecall
        Over the prediction's words and the reference's.

    Raises
    ------
    TypeError
        If a text is no string.

    References
    ----------
    Lin 2004 (see `rouge_n`), section 3.2, equations 5 to 7 with β = 1. The paper does not limit how often a
    word counts; his program ROUGE-1.5.5 and rouge-score do.

    Examples
    --------
    >>> rouge_l_sum("w1 w2 w3 w4 w5", "w1 w2 w6 w7 w8\\nw1 w3 w8 w9 w5")  # w1 w2 and w1 w3 w5: four words
    PrecisionRecall(n_correct=4, n_predicted=10, n_true=5)
    """
    theirs = [_words("rouge_l_sum", "reference", line) for line in _lines("reference", reference)]
    ours = [_words("rouge_l_sum", "prediction", line) for line in _lines("prediction", prediction)]
    left = Counter(word for c in ours for word in c)
    n_predicted = left.total()
    hits = 0
    for r in theirs:
        for i in sorted(set().union(*(_places_of_lcs(r, c) for c in ours))):
            if left[r[i]]:
                left[r[i]] -= 1
                hits += 1
    return PrecisionRecall(hits, n_predicted, sum(len(r) for r in theirs))


def _lines(argument: str, text: str) -> list[str]:
    if not isinstance(text, str):
        bad_type("rouge_l_sum", argument, "a string", repr(text))
    return text.split("\n")


def rouge(references: Sequence[str], predictions: Sequence[str]) -> dict[str, Rouge]:
    """ROUGE-1, ROUGE-2, ROUGE-L and ROUGE-Lsum: means over texts of precision, recall and F1.

    Parameters
    ----------
    references, predictions : sequences of str, of one length
        One reference a text. Sentences on lines of their own, for ROUGE-Lsum.

    Returns
    -------
    dict of "rouge1", "rouge2", "rougeL" and "rougeLsum" to Rouge
        From 0 to 1.

    Raises
    ------
    ValueError
        If there is no text, or not equally many on both sides.
    TypeError
        If a text is no string.

    Notes
    -----
    F1 is the mean of the texts' F1, as usual with ROUGE, not that of the mean precision and recall. LCS costs
    the product of the two lengths.

    Examples
    --------
    >>> scores = rouge(["the cat sat on the mat", "hello"], ["the cat lay on the rug", "good bye"])
    >>> {name: round(score.f1, 3) for name, score in scores.items()}
    {'rouge1': 0.333, 'rouge2': 0.2, 'rougeL': 0.333, 'rougeLsum': 0.333}
    """
    references = as_strings("rouge", "references", references, "texts")
    predictions = as_strings("rouge", "predictions", predictions, "texts")
    if not references:
        bad_value("rouge", "references", "at least one text", "none")
    require_same_length("rouge", "predictions", predictions, "texts", "references", references)
    pairs = list(zip(references, predictions, strict=True))
    return {
        "rouge1": _mean([rouge_n(a, b, 1) for a, b in pairs]),
        "rouge2": _mean([rouge_n(a, b, 2) for a, b in pairs]),
        "rougeL": _mean([rouge_l(a, b) for a, b in pairs]),
        "rougeLsum": _mean([rouge_l_sum(a, b) for a, b in pairs]),
    }


def _mean(scores: list[PrecisionRecall]) -> Rouge:
    return Rouge(*np.mean([(s.precision, s.recall, s.f1) for s in scores], axis=0).tolist())
