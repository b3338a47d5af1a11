"""The names of labels and tags: which there are, whether all are known, and what BIO tags mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from ..errors import CorpusError
from .example import Example, listed, shown
from .values import is_number


def labels_of(examples: Iterable[Example]) -> tuple[str, ...]:
    """Return the names of the labels, or of the tags, in order.

    Sorted as text; of BIO tags O comes first, then B- and I- of each kind of entity. So the order does not
    depend on that of the examples.

    Raises
    ------
    ValueError
        If labels are numbers, or missing.

    Examples
    --------
    >>> labels_of([Example((), ("I-org", "O", "B-place", "B-org"), ("a", "b", "c", "d"), "a.txt:1")])
    ('O', 'B-org', 'I-org', 'B-place')
    """
    found: set[str] = set()
    for item in examples:
        if isinstance(item.label, str):
            found.add(item.label)
        elif isinstance(item.label, tuple):
            found.update(item.label)
        else:
            raise ValueError(f"labels_of: examples: expected names as labels, got {item.label!r}")
    if is_bio([tuple(found)]):
        return tuple(sorted(found, key=lambda tag: (tag != "O", *reversed(split_tag(tag)))))
    return tuple(sorted(found))


def check_labels(examples: Iterable[Example], labels: Sequence[str]) -> None:
    """Raise CorpusError if some label is not among `labels`: file and line of the first, and which others.

    Examples
    --------
    >>> check_labels([Example(("Hi",), "hello", None, "a.tsv:7")], ["order"])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    npformer.text.errors.CorpusError: a.tsv:7: expected a label of training ('order'), got 'hello'; ...
    """
    known: set[object] = set(labels)
    first, others = "", []
    for item in examples:
        tagged = isinstance(item.label, tuple)
        for place, label in enumerate(item.label if isinstance(item.label, tuple) else [item.label]):
            if label in known:
                continue
            known.add(label)
            if first:
                others.append(label)
                continue
            what, got = "label", shown(label)
            if tagged and item.words is not None:
                what, got = "tag", f"{got} (word {place + 1}, {shown(item.words[place])})"
            first = f"{item.where}: expected a {what} of training ({listed(labels)}), got {got}"
    if first:
        later = f", and later {listed(others, 3)}" if others else ""
        advice = "finetune --labels FILE names more"
        if len(others) > 2 * len(labels):
            advice = "are the labels in another column? --columns says so"
        raise CorpusError(f"{first}{later}; {advice}")


def numbers_as_names(examples: Iterable[Example]) -> str | None:
    """Return a line if the names of the labels are so many numbers that they seem to be amounts.

    That is 21 different whole numbers, or 6 if some are not whole. It is no error: classes may be numbered.

    Examples
    --------
    >>> stars = [Example(("a text",), str(i % 5), None, f"a.tsv:{i}") for i in range(30)]
    >>> numbers_as_names(stars) is None
    True
    >>> numbers_as_names([item._replace(label=f"{i / 8}") for i, item in enumerate(stars)])
    'the labels are 30 different numbers, and each is taken for a name: for amounts, take regress'
    """
    names = {item.label for item in examples}
    numbers = [float(name) for name in names if isinstance(name, str) and is_number(name)]
    if len(numbers) < len(names) or len(numbers) < (21 if all(x.is_integer() for x in numbers) else 6):
        return None
    different = f"the labels are {len(names)} different numbers"
    return f"{different}, and each is taken for a name: for amounts, take regress"


def header_as_example(examples: Sequence[Example]) -> str | None:
    """Return a line if the first label seems to be a column's name: it is there once, and the others repeat.

    Examples
    --------
    >>> rows = [Example((f"text {i}",), label, None, f"a.tsv:{i}") for i, label in enumerate("ababab")]
    >>> header_as_example(rows) is None
    True
    >>> header_as_example([Example(("phrase",), "class of it", None, "a.tsv:1"), *rows])
    "a.tsv:1 alone has the label 'class of it': if that is a header, say so with --columns and its names"
    """
    if not examples or not isinstance(first := examples[0].label, str):
        return None
    counts = Counter(item.label for item in examples)
    if counts.pop(first) > 1 or not counts or min(counts.values()) < 2:
        return None
    told = f"{examples[0].where} alone has the label {shown(first)}"
    return f"{told}: if that is a header, say so with --columns and its names"


def is_bio(sequences: Iterable[Sequence[str]]) -> bool:
    """Whether the tags are of entities: each is O or begins with B- or I-, and not all are O.

    E- and S-, the last word of an entity and the only one of it, may be there besides; without B and I they
    are names like others. A prefix may stand alone, where there is one kind of entity.

    Examples
    --------
    >>> is_bio([("O", "B-org"), ("O",)]), is_bio([("NOUN", "I-VERB")]), is_bio([("O", "O")])
    (True, False, False)
    >>> is_bio([("B", "I", "O")]), is_bio([("S-org", "B-org", "E-org")]), is_bio([("S", "E", "N")])
    (True, True, False)
    """
    tags = {tag for sequence in sequences for tag in sequence} - {"O"}
    prefixes = {split_tag(tag)[0] for tag in tags}
    return prefixes <= {"B", "I", "E", "S"} and not prefixes.isdisjoint({"B", "I"})


def split_tag(tag: str) -> tuple[str, str]:
    """The prefix and the kind of a BIO tag; O has neither.

    Examples
    --------
    >>> split_tag("B-music-item"), split_tag("O")
    (('B', 'music-item'), ('O', ''))
    """
    prefix, _, kind = tag.partition("-")
    return prefix, kind


def check_bio(tags: Sequence[str]) -> list[int]:
    """Return where an entity begins with I- or E-: the tag before it does not go on, or is of another kind.

    That is no error. It is read as conlleval reads it, the script of the CoNLL-2000 task: an I- that
    continues nothing begins an entity. In the older scheme IOB1 that is how most entities begin; B- is kept
    for one that follows another of its kind.

    Parameters
    ----------
    tags : sequence of str
        Of one sentence.

    Returns
    -------
    list of int
        Places in `tags`.

    Examples
    --------
    >>> check_bio(["I-org", "I-org", "O", "B-place", "I-org", "B-org", "I-org"])
    [0, 4]
    """
    found, before = [], ("O", "")
    for place, tag in enumerate(tags):
        prefix, kind = split_tag(tag)
        if prefix in ("I", "E") and (before[0] not in ("B", "I") or before[1] != kind):
            found.append(place)
        before = prefix, kind
    return found
