"""A WordPiece vocabulary out of text.

    1. count the words; spell each as a first character and ##-characters: word = w ##o ##r ##d
    2. the pieces that must be there: the special tokens, then the alphabet (every piece of those spellings)
    3. the pair of neighbouring pieces that occurs most often becomes a new piece, everywhere at once; repeat

Ties are broken by the pair itself: the smaller left piece first, then the smaller right piece, as
strings compare. So the vocabulary depends on the counts of the words alone, not on their order.

Counts of pairs are kept up to date, word by word, as pieces merge; a heap with lazy deletion finds the next.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable

from .errors import CorpusError
from .normalise import split_words

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PREFIX = "##"
MAX_WORD = 100  # a longer word is unknown, and teaches nothing

# The share of the vocabulary that single characters may take while there are merges to make. Only scripts
# with thousands of characters reach it.
ALPHABET_SHARE = 0.75


def count_words(texts: Iterable[str], lowercase: bool = True) -> Counter[str]:
    """How often each word occurs."""
    words: Counter[str] = Counter()
    for text in texts:
        words.update(split_words(text, lowercase))
    return words


def train_vocabulary(
    texts: Iterable[str],
    vocab_size: int,
    *,
    lowercase: bool = True,
    min_frequency: int = 2,
    limit_alphabet: int | None = None,
    shrink: bool = False,
) -> list[str]:
    """The pieces of a WordPiece vocabulary: special tokens, alphabet, then merges, the most frequent first.

    Parameters
    ----------
    texts : iterable of str
    vocab_size : int
        Pieces wanted, special tokens included.
    lowercase : bool
        Strip accents and lower the case first.
    min_frequency : int
        A pair that occurs less often is not merged.
    limit_alphabet : int, optional
        Most single characters to take, the most frequent first; by default as many as fit into three quarters
        of the vocabulary, and more if the merges leave room. A word with another character is unknown.
    shrink : bool
        Where the text does not support `vocab_size` pieces, return as many as it does.

    Returns
    -------
    list of str

    Raises
    ------
    CorpusError
        If there is no word in `texts`, or they support fewer pieces than asked for and `shrink` is False.
    ValueError
        If `vocab_size` has no room for one piece beside the special tokens.

    References
    ----------
    Schuster, Nakajima: Japanese and Korean voice search, ICASSP 2012; merges by frequency as in Sennrich,
    Haddow, Birch: arXiv:1508.07909, algorithm 1, which is what the `tokenizers` library trains as well.

    Examples
    --------
    >>> train_vocabulary(["low low lower lowest"], 15)[5:]
    ['##e', '##o', '##r', '##s', '##t', '##w', 'l', '##ow', 'low', 'lowe']
    """
    if vocab_size <= len(SPECIAL_TOKENS):
        raise ValueError(
            "train_vocabulary: vocab_size: "
            f"expected more than the {len(SPECIAL_TOKENS)} special tokens, got {vocab_size}"
        )
    words = {word: n for word, n in count_words(texts, lowercase).items() if len(word) <= MAX_WORD}
    if not words:
        raise CorpusError("the text holds no word to train a vocabulary on")
    alphabet = _alphabet(words)
    room = vocab_size - len(SPECIAL_TOKENS)
    if limit_alphabet is None:
        kept = _as_many_as_fit(alphabet, int(ALPHABET_SHARE * room))
    else:
        alphabet = kept = dict(list(alphabet.items())[:limit_alphabet])
    vocab = _merge(words, kept, vocab_size, min_frequency)
    if len(vocab) < vocab_size and len(kept) < len(alphabet):  # the merges ran out: room for more characters
        merges = len(vocab) - len(SPECIAL_TOKENS) - sum(map(len, kept.values()))
        kept = _as_many_as_fit(alphabet, room - merges)
        vocab = _merge(words, kept, vocab_size, min_frequency)
        vocab += [piece for char, pieces in alphabet.items() if char not in kept for piece in sorted(pieces)]
    if len(vocab) < vocab_size and not shrink:
        raise CorpusError(
            f"the text supports a vocabulary of {len(vocab):,} pieces at most, {vocab_size:,} were asked for"
        )
    return vocab[:vocab_size]


def _spell(word: str) -> list[str]:
    return [word[0], *(PREFIX + char for char in word[1:])]


def _alphabet(words: dict[str, int]) -> dict[str, set[str]]:
    """Character -> its pieces as they occur ("a", "##a"), the most frequent character first."""
    counts: Counter[str] = Counter()
    pieces: dict[str, set[str]] = defaultdict(set)
    for word, n in words.items():
        for char, piece in zip(word, _spell(word), strict=True):
            counts[char] += n
            pieces[char].add(piece)
    return {char: pieces[char] for char in sorted(counts, key=lambda char: (-counts[char], char))}


def _as_many_as_fit(alphabet: dict[str, set[str]], room: int) -> dict[str, set[str]]:
    kept: dict[str, set[str]] = {}
    for char, pieces in alphabet.items():
        room -= len(pieces)
        if room < 0 and kept:
            break
        kept[char] = pieces
    return kept


def _merge(
    words: dict[str, int], alphabet: dict[str, set[str]], vocab_size: int, min_frequency: int
) -> list[str]:
    """Steps 2 and 3: a vocabulary that is full, or has every pair that occurs `min_frequency` times."""
    vocab = [*SPECIAL_TOKENS, *sorted(piece for pieces in alphabet.values() for piece in pieces)]
    spelled = {word: n for word, n in words.items() if alphabet.keys() >= set(word)}
    spellings = [_spell(word) for word in spelled]
    frequencies = list(spelled.values())
    counts: Counter[tuple[str, str]] = Counter()
    where: dict[tuple[str, str], set[int]] = defaultdict(set)  # may name words that have lost the pair since
    for i, (spelling, n) in enumerate(zip(spellings, frequencies, strict=True)):
        for pair in zip(spelling, spelling[1:], strict=False):
            counts[pair] += n
            where[pair].add(i)
    heap = [(-n, pair) for pair, n in counts.items() if n >= min_frequency]
    heapq.heapify(heap)
    known = set(vocab)
    while heap and len(vocab) < vocab_size:
        negative, best = heapq.heappop(heap)
        if counts[best] != -negative:  # an old entry: the count has fallen since (a rise gets a new entry)
            if counts[best] >= min_frequency:
                heapq.heappush(heap, (-counts[best], best))
            continue
        left, right = best
        merged = left + right.removeprefix(PREFIX)
        if merged not in known:  # a vocabulary must not hold it twice, should two pairs ever spell it
            known.add(merged)
            vocab.append(merged)
        risen: set[tuple[str, str]] = set()
        for i in where.pop(best):
            old, n = spellings[i], frequencies[i]
            new = _join(old, left, right, merged)
            for pair in zip(old, old[1:], strict=False):
                counts[pair] -= n
            for pair in zip(new, new[1:], strict=False):
                counts[pair] += n
                if merged in pair:
                    where[pair].add(i)
                    risen.add(pair)
            spellings[i] = new
        for pair in risen:
            if counts[pair] >= min_frequency:
                heapq.heappush(heap, (-counts[pair], pair))
    return vocab


def _join(pieces: list[str], left: str, right: str, merged: str) -> list[str]:
    out: list[str] = []
    i = 0
    while i < len(pieces):
        if pieces[i] == left and i + 1 < len(pieces) and pieces[i + 1] == right:
            out.append(merged)
            i += 2
        else:
            out.append(pieces[i])
            i += 1
    return out
