"""A dev part drawn from the training examples."""

from __future__ import annotations

from collections import Counter

import pytest

from npformer.finetuning import hold_out
from npformer.text import CorpusError
from npformer.text.labelled import Example


def classed(counts):
    labels = [label for label, n in counts.items() for _ in range(n)]
    return [Example((f"text {i}",), label, None, f"a.tsv:{i}") for i, label in enumerate(labels, 1)]


def test_every_label_has_its_share_and_nothing_is_lost():
    examples = classed({"a": 100, "b": 30, "c": 2, "d": 1})
    told = []
    train, dev = hold_out(examples, 0.1, 0, told.append)
    assert Counter(example.label for example in dev) == {"a": 10, "b": 3, "c": 1}
    assert sorted([*train, *dev], key=examples.index) == examples
    assert [e for e in examples if e in dev] == dev  # in their order
    assert told == ["dev has none of 'd': one text alone, which stays in training"]


def test_the_seed_says_which():
    examples = classed({"a": 40, "b": 40})
    drawn = [hold_out(examples, 0.25, seed)[1] for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(drawn[2]) == 20


def test_a_text_is_on_one_side_alone():
    examples = [e for e in classed({"a": 10, "b": 10}) for _ in range(3)]
    train, dev = hold_out(examples, 0.3, 0)
    assert len(dev) == 18
    assert not {e.texts for e in train} & {e.texts for e in dev}


def test_a_source_is_on_one_side_with_all_its_targets():
    examples = [Example((f"{i // 2}", f"target {i}"), None, None, f"a.tsv:{i}") for i in range(40)]
    train, dev = hold_out(examples, 0.25, 0)
    assert len(dev) == 10
    assert not {e.texts[0] for e in train} & {e.texts[0] for e in dev}


def test_what_training_would_lack_stays_in_training():
    tags = [("O", "O")] * 20 + [("O", f"B-{i}") for i in range(20)]
    examples = [Example((), of, ("w", f"x{i}"), f"a.conll:{i}") for i, of in enumerate(tags)]
    for seed in range(5):
        train, dev = hold_out(examples, 0.5, seed)
        assert dev
        assert {tag for e in dev for tag in e.label} <= {tag for e in train for tag in e.label}
    both = [Example((), (tag,), (f"x{i}",), "a.conll:1") for i, tag in enumerate(["O"] * 4 + ["B-x"] * 4)]
    for seed in range(20):  # one with a tag that comes back is enough for the others
        train, dev = hold_out(both, 0.8, seed)
        assert len(dev) >= 5
    twice = [Example(("same",), label, None, "a.tsv:1") for label in ("a", "z")]  # z is nowhere else
    for seed in range(5):
        train, dev = hold_out([*twice, *classed({"a": 3})], 0.5, seed)
        assert {e.label for e in train} == {"a", "z"}


def test_numbers_are_drawn_from_all():
    examples = [Example((f"text {i}",), float(i), None, f"a.tsv:{i}") for i in range(50)]
    train, dev = hold_out(examples, 0.2, 0)
    assert (len(train), len(dev)) == (40, 10)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_a_share_is_part_of_the_whole(share):
    with pytest.raises(ValueError, match="^dev_share: expected a number above 0 and below 1"):
        hold_out(classed({"a": 5}), share, 0)


def test_too_little_is_told():
    with pytest.raises(CorpusError, match="^a.tsv:1: expected two texts of a label at least"):
        hold_out(classed({"a": 1, "b": 1}), 0.5, 0)
