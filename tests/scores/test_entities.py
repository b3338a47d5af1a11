from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npformer.scores import PrecisionRecall, entities, entity_scores

TRUTH = [
    ["B-PER", "I-PER", "O", "I-LOC", "I-LOC", "B-LOC", "O"],
    ["S-ORG", "B-ORG", "E-ORG", "I-ORG"],
    ["O", "B-PER", "I-LOC", "O"],
]
PREDICTED = [
    ["B-PER", "I-PER", "O", "B-LOC", "I-LOC", "I-LOC", "O"],
    ["S-ORG", "B-ORG", "I-ORG", "I-ORG"],
    ["B-PER", "I-PER", "B-LOC", "O"],
]
TAGS = ["O", *(f"{prefix}{type_}" for prefix in "BIES" for type_ in ("", "-X", "-Y-Z"))]
# conlleval's tables, the prefix of a word and that of the next: where an entity ends between the two, and
# where one begins with the second, whatever the types; where these differ, it does so, too
ENDS = ["BB", "BO", "BS", "IB", "IO", "IS", "EB", "EI", "EO", "EE", "ES", "SB", "SI", "SO", "SE", "SS"]
STARTS = ["BB", "IB", "OB", "EB", "SB", "BS", "IS", "OS", "ES", "SS", "OI", "EI", "SI", "OE", "EE", "SE"]


def by_the_tables(tags):
    found, start = [], 0
    for i, (before, tag) in enumerate(itertools.pairwise(["O", *tags, "O"])):
        pair, differ = before[0] + tag[0], before[2:] != tag[2:]
        if pair in ENDS or (before != "O" and differ):
            found.append((before[2:], start, i))
        if pair in STARTS or (tag != "O" and differ):
            start = i
    return found


@st.composite
def tagged(draw):
    sentences = draw(st.lists(st.lists(st.sampled_from(TAGS), max_size=8), min_size=1, max_size=4))
    # mostly right, so that some entities are
    changes = st.one_of(st.none(), st.none(), st.none(), st.sampled_from(TAGS))
    return sentences, [[draw(changes) or tag for tag in tags] for tags in sentences]


def test_values_of_seqeval():  # computed by seqeval 1.2.2
    overall, per_type = entity_scores(TRUTH, PREDICTED)
    assert list(per_type) == ["LOC", "ORG", "PER"]
    assert [s.precision for s in per_type.values()] == [0.5, 0.5, 0.5]
    assert [s.recall for s in per_type.values()] == pytest.approx([1 / 3, 1 / 3, 0.5], rel=1e-15)
    assert [s.f1 for s in per_type.values()] == pytest.approx([0.4, 0.4, 0.5], rel=1e-15)
    assert [s.n_true for s in per_type.values()] == [3, 3, 2]
    assert (overall.precision, overall.recall) == (0.5, 0.375)
    assert overall.f1 == pytest.approx(0.42857142857142855, rel=1e-15)


def test_every_three_tags_follow_the_tables():
    for tags in itertools.product(TAGS, repeat=3):
        assert entities(tags) == by_the_tables(tags), tags


@pytest.mark.parametrize(
    ("scheme", "tags"),
    {
        "IOB": ["I-X", "I-X", "B-X", "I-Y", "O", "I-X"],
        "IOB2": ["B-X", "I-X", "B-X", "B-Y", "O", "B-X"],
        "IOE2": ["I-X", "E-X", "E-X", "E-Y", "O", "E-X"],
        "IOBES": ["B-X", "E-X", "S-X", "S-Y", "O", "S-X"],
    }.items(),
)
def test_every_scheme_says_the_same(scheme, tags):
    assert entities(tags) == [("X", 0, 2), ("X", 2, 3), ("Y", 3, 4), ("X", 5, 6)]


@pytest.mark.extra
@settings(max_examples=80, deadline=None)
@given(tagged())
@pytest.mark.filterwarnings("ignore")  # of ratios of nothing
def test_follows_seqeval(both):
    pytest.importorskip("seqeval", reason="needs seqeval: pip install '.[scores]'")
    from seqeval.metrics.sequence_labeling import get_entities, precision_recall_fscore_support

    truth, predicted = both
    for tags in truth + predicted:
        theirs = [(type_.replace("_", ""), start, last + 1) for type_, start, last in get_entities(tags)]
        assert entities(tags) == theirs
    overall, per_type = entity_scores(truth, predicted)
    assert (overall.precision, overall.recall, overall.f1, overall.n_true) == pytest.approx(
        precision_recall_fscore_support(truth, predicted, average="micro")
    )
    if per_type:
        ours = {t or "_": (s.precision, s.recall, s.f1, s.n_true) for t, s in per_type.items()}
        theirs = np.transpose(precision_recall_fscore_support(truth, predicted, average=None))
        np.testing.assert_allclose([ours[t] for t in sorted(ours)], theirs, rtol=1e-14)


@settings(max_examples=60, deadline=None)
@given(tagged())
def test_counts_are_those_of_the_entities(both):
    truth, predicted = both
    places = [{(i, *e) for i, tags in enumerate(side) for e in entities(tags)} for side in both]
    overall, per_type = entity_scores(truth, predicted)
    assert overall == (len(places[0] & places[1]), len(places[1]), len(places[0]))
    assert overall == sum(per_type.values(), PrecisionRecall(0, 0, 0))
    assert entity_scores(truth, truth).overall.f1 == bool(places[0])


def test_no_entity_goes_beyond_its_sentence():
    assert entity_scores([["B-X"], ["I-X"]], [["B-X"], ["I-X"]]).overall == (2, 2, 2)
    assert entity_scores([["O", "O"]], [["O", "O"]]) == ((0, 0, 0), {})
    assert entities([]) == []


def test_slots_of_snips(shared_data):
    lines = (shared_data / "snips" / "validate.jsonl").read_text(encoding="utf-8").splitlines()
    tags = [json.loads(line)["tags"] for line in lines]
    assert all(entities(sentence) == by_the_tables(sentence) for sentence in tags)
    begun = sum(tag.startswith("B-") for sentence in tags for tag in sentence)
    assert entity_scores(tags, tags).overall == (begun, begun, begun)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"^entities: tags\[1\]: expected O, or B, .* got 'NOUN'$"):
        entities(["B-X", "NOUN"])
    for tag in ("", "o", "O-X", "L-X", "BX", "b-X"):
        with pytest.raises(ValueError, match=r"^entities: tags\[0\]: "):
            entities([tag])
    with pytest.raises(TypeError, match=r"^entities: tags\[0\]: expected a string, got 3$"):
        entities([3])
    with pytest.raises(TypeError, match="^entities: tags: expected a sequence of tags, got str$"):
        entities("B-X")
    with pytest.raises(ValueError, match="^entity_scores: truth: expected at least one sentence, got none$"):
        entity_scores([], [])
    with pytest.raises(ValueError, match="^entity_scores: predicted: expected 1 sentences, as truth, got 2$"):
        entity_scores([["O"]], [["O"], ["O"]])
    with pytest.raises(ValueError, match=r"^entity_scores: predicted\[1\]: .* 2 tags, as truth\[1\], got 1$"):
        entity_scores([["O"], ["O", "B-X"]], [["O"], ["O"]])
    with pytest.raises(ValueError, match=r"^entity_scores: predicted\[0\]\[1\]: .* got '\[PAD\]'$"):
        entity_scores([["O", "O"]], [["O", "[PAD]"]])
    with pytest.raises(TypeError, match=r"^entity_scores: truth\[0\]: expected a sequence of tags, got str$"):
        entity_scores(["O"], ["O"])
