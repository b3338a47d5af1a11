"""A dev part out of the training examples, where there is no file for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..text import CorpusError
from ..text.labelled import Example
from ..training import draws


def hold_out(
    examples: Sequence[Example],
    share: float,
    seed: int,
    say: Callable[[str], None] | None = None,
) -> tuple[list[Example], list[Example]]:
    """Return the examples to train on, and those that are held out; both in their order.

    Where labels are names, each has its share: n of its texts give round(share · n), but one at least, and
    all but one at most. Examples with the same text (of sources and targets, the same source) stay together,
    so that no text is on both sides; and a label or tag that training would lack stays in training.

    Parameters
    ----------
    examples : sequence of Example
    share : float
        In (0, 1).
    seed : int
        Which are drawn follows from it.
    say : callable, optional
        Told which labels have one text alone, which stays in training.

    Returns
    -------
    train, dev : list of Example

    Raises
    ------
    ValueError
        If `share` is not in (0, 1).
    CorpusError
        If nothing could be held out.

    Examples
    --------
    >>> examples = [Example((f"text {i}",), "ab"[i % 4 == 0], None, f"a.tsv:{i}") for i in range(40)]
    >>> train, dev = hold_out(examples, 0.2, seed=0)
    >>> len(train), [example.label for example in dev].count("b")
    (32, 2)
    """
    if not 0 < share < 1:
        raise ValueError(f"dev_share: expected a number above 0 and below 1, got {share}")
    of_text: dict[Any, list[int]] = {}
    for place, example in enumerate(examples):
        of_text.setdefault(_read(example), []).append(place)
    strata: dict[str | None, list[list[int]]] = {}
    for places in of_text.values():
        label = examples[places[0]].label
        strata.setdefault(label if isinstance(label, str) else None, []).append(places)
    drawn, alone = [], []
    rng = draws.generator(seed, draws.EVALUATION)
    for label in sorted(strata, key=str):
        texts = strata[label]
        n = min(max(1, round(share * len(texts))), len(texts) - 1)
        if not n:
            alone.append(label)
        drawn += [texts[i] for i in rng.permutation(len(texts))[:n].tolist()]
    held_out = {place for places in drawn for place in places}
    known = _names(example for place, example in enumerate(examples) if place not in held_out)
    for places in drawn:
        names = _names(examples[place] for place in places)
        if not names <= known:
            held_out -= set(places)
            known |= names
    if not held_out:
        expected = "two texts of a label at least, of which dev has one"
        raise CorpusError(f"{examples[0].where}: expected {expected}, got one of each")
    if alone and say is not None:
        shown = ", ".join(repr(label) for label in alone[:5]) + (", ..." if len(alone) > 5 else "")
        say(f"dev has none of {shown}: one text alone, which stays in training")
    train = [example for place, example in enumerate(examples) if place not in held_out]
    return train, [example for place, example in enumerate(examples) if place in held_out]


def in_both(train: Iterable[Example], others: Iterable[Example]) -> int:
    """Return how many of the others have a text that stands in training, too: their scores flatter.

    Examples
    --------
    >>> train = [Example(("a good film",), "yes", None, "a.tsv:1")]
    >>> in_both(train, [train[0]._replace(label="no"), Example(("a film",), "no", None, "b.tsv:2")])
    1
    """
    known = {_read(example) for example in train}
    return sum(_read(example) in known for example in others)


def _read(example: Example) -> Any:
    """What the model reads of an example: its text or texts or words, not the target."""
    return (example.texts if example.label is not None else example.texts[:1]), example.words


def _names(examples: Iterable[Example]) -> set[str]:
    """The names of the labels, or of the tags."""
    found: set[str] = set()
    for example in examples:
        label = example.label
        found.update((label,) if isinstance(label, str) else label if isinstance(label, tuple) else ())
    return found
