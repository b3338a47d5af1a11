"""Labels: their order, the unknown ones, and entities that begin with I-."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npformer.scores import entities
from npformer.text import CorpusError
from npformer.text.labelled import (
    Example,
    check_bio,
    check_labels,
    header_as_example,
    is_bio,
    labels_of,
    numbers_as_names,
    read_examples,
)


def tagged(*tags: str) -> Example:
    return Example((), tags, tuple(f"w{i}" for i in range(len(tags))), "a.txt:1")


def classed(label, line=1) -> Example:
    return Example(("hi",), label, None, f"dev.tsv:{line}")


def test_names_are_in_order():
    tags = ["O", "B-a", "I-a", "B-a-z", "I-a-z", "I-b"]
    names = ["B", "Zoo", "a", "ä"]
    for seed in range(5):
        random.Random(seed).shuffle(mixed := [*tags, *tags])
        assert labels_of([tagged(*mixed[:5]), tagged(*mixed[5:])]) == tuple(tags)
        random.Random(seed).shuffle(mixed := [*names, *names])
        assert labels_of(map(classed, mixed)) == tuple(names)
    assert labels_of([tagged("VERB", "O", "B-x", "ADJ")]) == ("ADJ", "B-x", "O", "VERB")
    for label in (1.5, None):
        with pytest.raises(ValueError, match="expected names as labels, got"):
            labels_of([classed(label)])


def test_many_numbers_are_taken_for_amounts():
    def told(*labels):
        return numbers_as_names([classed(str(label)) for label in labels])

    assert told(*range(20)) is None
    assert told(*range(21)).startswith("the labels are 21 different numbers")
    assert told(*range(21), "x") is None
    assert told(0, 0.5, 1, 1.5, 2) is None
    assert told(0, 0.5, 1, 1.5, 2, 2.5).startswith("the labels are 6 different numbers")
    assert numbers_as_names([tagged("1", "2")]) is None


@pytest.mark.parametrize(
    ("labels", "told"),
    [("kaabb", True), ("kaaaa", True), ("kabb", False), ("aabb", False), ("kkaa", False), ("k", False)],
)
def test_a_header_of_unknown_names(labels, told):
    hint = header_as_example([classed(label, i) for i, label in enumerate(labels, 1)])
    assert (hint or "").startswith("dev.tsv:1 alone has the label 'k'") is told


def test_unknown_labels_are_named(write):
    check_labels([classed("a"), tagged("O", "B-x")], ["a", "O", "B-x"])
    whole = r"expected a label of training \('a', 'b'\), got 'c', and later 'd'; finetune --labels FILE .*"
    with pytest.raises(CorpusError, match=f"^dev.tsv:9: {whole}$"):
        check_labels([classed("a"), classed("c", 9), classed("d", 10), classed("c", 11)], ("a", "b"))
    with pytest.raises(CorpusError, match=r"later 'c1', 'c2', 'c3' and 1 more; are the labels in"):
        check_labels([classed(f"c{i}") for i in range(5)], ["a"])
    with pytest.raises(CorpusError, match=r"\('0', .*, '11' and 2 more\), got 'c'"):
        check_labels([classed("c")], [str(i) for i in range(14)])
    path = write("# newpar\n\nEU\tB-org\nwins\tO\n\nso\tO\nin\tB-place\n", "dev.tsv")
    with pytest.raises(CorpusError) as caught:
        check_labels(read_examples(path, "tag").examples, ("O", "B-org"))
    expected = "expected a tag of training ('O', 'B-org'), got 'B-place' (word 2, 'in')"
    assert str(caught.value) == f"{path}:6: {expected}; finetune --labels FILE names more"


def conlleval(tags: list[str]) -> list[int]:
    """Where chunks start, as startOfChunk of conlleval.pl has it for B-, I- and O."""
    starts = []
    previous, previous_kind = "O", ""
    for place, whole in enumerate(tags):
        tag, kind = (whole, "") if whole == "O" else whole.split("-", 1)
        start = tag == "B" or (previous == "O" and tag == "I") or (tag != "O" and previous_kind != kind)
        if start:
            starts.append(place)
        previous, previous_kind = tag, kind
    return starts


@given(st.lists(st.sampled_from(["O", "B-a", "I-a", "B-b", "I-b"])))
def test_entities_that_begin_with_i_are_those_of_conlleval(tags):
    found = check_bio(tags)
    assert all(tags[place].startswith("I-") for place in found)
    assert sorted([*found, *(i for i, tag in enumerate(tags) if tag.startswith("B-"))]) == conlleval(tags)


@given(st.lists(st.sampled_from(["O", *(f"{prefix}-{kind}" for prefix in "BIES" for kind in "ab")])))
def test_entities_that_begin_with_i_or_e_are_those_that_are_scored(tags):
    assert check_bio(tags) == [start for _, start, _ in entities(tags) if tags[start][0] in "IE"]


def test_what_bio_is():
    assert is_bio([("O",), ("I-x",)])
    assert is_bio([("S-a", "E-b"), ("O", "B-b")])
    assert is_bio([("B", "I"), ("O",)])
    assert not is_bio([("S", "E", "O")])
    assert not is_bio([("B-x", "Q-x")])
    assert not is_bio([("O",), ("x",)])
    assert not is_bio([])
