"""Initial embeddings out of the training text: pieces that keep the same company begin close together.

    n_o[a, b]  how often piece b stands o places after piece a,          o = 1, -1, 2, -2
    pmi        = log( n_o[a, b] · N / (n_o[a] · n'_o[b]) ),              n' = counts to the power ¾, of sum N
    M          = the positive pmi, the four offsets beside each other    (V, 4 V), sparse
    M          ≈ U S Wᵀ,                                                 the d largest singular values
    E          = U S^½, centred, its features mixed by a random rotation, its rows of one length

Of pairs of texts, which pair a piece stands in is company, too, beside the four offsets in M: a word and what
it is translated by stand in the same pairs, and begin close together (Levy, Søgaard and Goldberg: A Strong
Baseline for Learning Cross-Lingual Word Embeddings from Sentence Alignments, EACL 2017).

Which pieces are alike takes gradients most of a short run to find out; here it is known from the start.

Vectors out of positive pmi are Levy and Goldberg's (Neural Word Embedding as Implicit Matrix Factorization,
NIPS 2014), with the powers ½ and ¾ after Levy, Goldberg and Dagan (Improving Distributional Similarity
with Lessons Learned from Word Embeddings, TACL 2015); U by random projection is Halko, Martinsson and Tropp's
(arXiv:0909.4061, algorithm 4.4).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ..text import Packed

Array = npt.NDArray[Any]
OFFSETS = (1, -1, 2, -2)
POWER = 0.75  # of the counts of the company: a rare companion says less than its pmi claims
MORE = 32  # columns of the random projection beyond d
COUNTED = 1 << 22  # tokens: more of them would hardly move a vector
OF_ROWS = 1 << 20  # tokens: each row is a column more
ROWS = 1 << 13  # sequences counted at once
ITERATIONS = 4  # of the subspace iteration: the row of singular values is long and flat


def cooccurrence_embeddings(
    train: Packed, vocab_size: int, d_model: int, rng: np.random.Generator, *, rows_too: bool = False
) -> Array:
    """Return an embedding for each piece that the text has company for.

    Of more than `COUNTED` tokens, that many are counted, in sequences evenly spaced.

    Parameters
    ----------
    train : Packed
    vocab_size, d_model : int
    rng : numpy.random.Generator
    rows_too : bool
        Pieces of the same rows of `train` keep the same company: for rows that are pairs of texts.

    Returns
    -------
    ndarray, shape (vocab_size, d_model)
        Rows have the length sqrt(d_model), so that a number in it is about 1; the row of a piece without
        company, e.g. [MASK], is 0.

    Examples
    --------
    >>> ids = np.array([[5, 7, 6], [5, 8, 6], [9, 5, 9], [9, 6, 9]] * 5)  # 7 and 8 keep the same company
    >>> rows = cooccurrence_embeddings(Packed(ids, ids > 0), 10, 4, np.random.default_rng(0))
    >>> (rows @ rows[7] / 4).round(2)[[7, 8]]  # the cosines
    array([1., 1.])
    """
    train = train.evenly_spaced(COUNTED)
    counts = [_counts(train, o, vocab_size) for o in OFFSETS]
    if rows_too:
        counts.append(_in_rows(train.evenly_spaced(OF_ROWS), vocab_size))
    pmi = sparse.hstack([_positive_pmi(n) for n in counts]).tocsr()
    d = min(d_model, vocab_size)
    rows = np.zeros((vocab_size, d_model))
    left, singular = _largest_singular(pmi, d, rng)
    rows[:, :d] = left * np.sqrt(singular)
    alone = np.diff(pmi.indptr) == 0
    rows -= rows[~alone].mean(axis=0) if not alone.all() else 0.0
    rotation, _ = np.linalg.qr(rng.standard_normal((d_model, d_model)))
    rows = rows @ rotation
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    alone |= length[:, 0] < 1e-9
    rows[alone] = 0.0
    return rows * (np.sqrt(d_model) / np.where(alone[:, None], 1.0, length))


def _counts(train: Packed, offset: int, V: int) -> Any:
    """Return n_o as a sparse matrix (V, V)."""
    T = train.ids.shape[1]
    here = slice(max(0, -offset), T - max(0, offset))
    there = slice(max(0, offset), T - max(0, -offset))
    counts = sparse.csr_matrix((V, V))
    for start in range(0, len(train.ids), ROWS):
        ids, mask = train.rows(slice(start, start + ROWS))
        both = mask[:, here] & mask[:, there]
        a, b = ids[:, here][both], ids[:, there][both]
        ones = sparse.coo_matrix((np.ones(a.size), (a, b)), shape=(V, V))
        counts = counts + ones.tocsr()  # csr adds the repeats up
    return counts.tocoo()


def _in_rows(train: Packed, V: int) -> Any:
    """Return how often each piece stands in each row as a sparse matrix (V, rows)."""
    ids, mask = train.rows(slice(None))
    row, _ = np.nonzero(mask)
    ones = sparse.coo_matrix((np.ones(row.size), (ids[mask], row)), shape=(V, len(ids)))
    return ones.tocsr().tocoo()


def _positive_pmi(counts: Any) -> Any:
    """Return the positive pmi of each pair that occurs, as a sparse matrix of the same shape."""
    of_a = np.asarray(counts.sum(axis=1)).ravel()
    of_b = np.asarray(counts.sum(axis=0)).ravel()
    N = of_a.sum()
    of_b **= POWER
    of_b *= N / max(of_b.sum(), 1.0)
    pmi = np.log(counts.data * N / (of_a[counts.row] * of_b[counts.col]))
    up = pmi > 0
    return sparse.coo_matrix((pmi[up], (counts.row[up], counts.col[up])), shape=counts.shape)


def _largest_singular(M: Any, d: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return the left singular vectors (V, d) of the d largest singular values, and these, largest first."""
    V, W = M.shape
    Q, _ = np.linalg.qr(M @ rng.standard_normal((W, min(d + MORE, V))))
    for _ in range(ITERATIONS):
        Q, _ = np.linalg.qr(M @ (M.T @ Q))
    B = M.T @ Q
    squares, left = np.linalg.eigh(B.T @ B)  # within the subspace; the smallest first
    return (Q @ left)[:, ::-1][:, :d], np.sqrt(np.maximum(squares[::-1][:d], 0.0))
