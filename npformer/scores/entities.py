"""Entities in sequences of tags, and their precision, recall and F1 as conlleval defines them.

A tag is O, or one of the prefixes B, I, E, S and a type: B-PER. An entity is a run of words. One rule says
where they begin and end, whatever the scheme (IOB, IOB2, IOE, IOBES):

    a word goes on with the entity of the word before it, if it has the prefix I or E, the word before
    has B or I, and both have the same type; any other word with a prefix begins an entity.

So an I with no B before it begins one, as does an I of another type; B and S always begin one, and after E
and S an entity is over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from ._arguments import as_list, as_strings, bad_value, require_same_length
from .precision_recall import PrecisionRecall

PREFIXES = ("B", "I", "E", "S")


class EntityScores(NamedTuple):
    """Scores over all entities (the micro average, which is conlleval's FB1), and of each type."""

    overall: PrecisionRecall
    per_type: dict[str, PrecisionRecall]  # sorted by type


def entities(tags: Sequence[str]) -> list[tuple[str, int, int]]:
    """Entities of one sequence of tags.

    Parameters
    ----------
    tags : sequence of strings
        "O", or B, I, E or S with a hyphen and a type. A prefix alone has the type "".

    Returns
    -------
    list of (type, start, stop)
        In their order; `tags[start:stop]` are an entity's tags.

    Raises
    ------
    ValueError
        If a tag is none of these.
    TypeError
        If `tags` is no sequence of strings.

    Notes
    -----
    The rule on top of this file is all that conlleval's tables startOfChunk and endOfChunk amount to, in
    the versions that know S. The first version had no entry for B behind E of the same type, and made one
    entity of the two.

    References
    ----------
    Tjong Kim Sang, Buchholz: Introduction to the CoNLL-2000 Shared Task: Chunking, and its conlleval.
    Tjong Kim Sang, Veenstra: Representing Text Chunks, EACL 1999 (the schemes).

    Examples
    --------
    >>> entities(["B-PER", "I-PER", "O", "I-LOC", "B-LOC", "S-ORG"])
    [('PER', 0, 2), ('LOC', 3, 4), ('LOC', 4, 5), ('ORG', 5, 6)]
    """
    return _entities("entities", "tags", tags)


def _entities(score: str, argument: str, tags: Sequence[str]) -> list[tuple[str, int, int]]:
    found: list[tuple[str, int, int]] = []
    prefix_before, type_before = "O", ""
    for i, tag in enumerate(as_strings(score, argument, tags, "tags")):
        prefix, _, type_ = tag.partition("-")
        if prefix not in PREFIXES and tag != "O":
            bad_value(score, f"{argument}[{i}]", "O, or B, I, E or S with a type (B-PER)", repr(tag))
        if prefix in ("I", "E") and prefix_before in ("B", "I") and type_ == type_before:
            start = found.pop()[1]
            found.append((type_, start, i + 1))
        elif prefix != "O":
            found.append((type_, i, i + 1))
        prefix_before, type_before = prefix, type_
    return found


def entity_scores(truth: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> EntityScores:
    """Precision, recall and F1 of the entities: right is one of the same type, start and stop.

    Parameters
    ----------
    truth, predicted : sequences of sequences of tags
        One sequence a sentence, of the same lengths on both sides. No entity goes beyond its sentence.

    Returns
    -------
    EntityScores
        `overall` and `per_type`, whose types are those that occur on either side.

    Raises
    ------
    ValueError
        If there is no sentence, the numbers of sentences or of a sentence's tags differ, or a tag is not one.
    TypeError
        If a sentence is no sequence of strings.

    References
    ----------
    As `entities`. In the tests it is held against seqeval (Nakayama, 2018) in its default mode.

    Examples
    --------
    >>> overall, per_type = entity_scores(
    ...     [["B-PER", "I-PER", "O", "B-LOC"], ["B-LOC"]], [["B-PER", "I-PER", "O", "O"], ["B-PER"]]
    ... )
    >>> overall
    PrecisionRecall(n_correct=1, n_predicted=2, n_true=3)
    >>> overall.f1, per_type["LOC"].f1
    (0.4, 0.0)
    """
    name = "entity_scores"
    truth = as_list(name, "truth", truth, "sentences")
    predicted = as_list(name, "predicted", predicted, "sentences")
    if not truth:
        bad_value(name, "truth", "at least one sentence", "none")
    require_same_length(name, "predicted", predicted, "sentences", "truth", truth)
    correct: Counter[str] = Counter()
    n_predicted: Counter[str] = Counter()
    n_true: Counter[str] = Counter()
    for i, (theirs, ours) in enumerate(zip(truth, predicted, strict=True)):
        true_ones = _entities(name, f"truth[{i}]", theirs)
        predicted_ones = _entities(name, f"predicted[{i}]", ours)
        require_same_length(name, f"predicted[{i}]", ours, "tags", f"truth[{i}]", theirs)
        n_true.update(type_ for type_, _, _ in true_ones)
        n_predicted.update(type_ for type_, _, _ in predicted_ones)
        correct.update(type_ for type_, _, _ in {*true_ones} & {*predicted_ones})
    per_type = {
        type_: PrecisionRecall(correct[type_], n_predicted[type_], n_true[type_])
        for type_ in sorted({*n_true, *n_predicted})
    }
    return EntityScores(sum(per_type.values(), PrecisionRecall(0, 0, 0)), per_type)
