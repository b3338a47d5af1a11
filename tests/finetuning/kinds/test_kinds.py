"""Labels as targets, scores and guesses."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.finetuning import KINDS, Prediction
from npformer.finetuning.examples import class_weights
from npformer.text import CorpusError
from npformer.text.labelled import Example


def of(label, words=None, texts=("x",)):
    return Example(texts, label, words, "a.tsv:1")


def test_tags_scores_are_those_of_entities_where_they_are_bio():
    kind = KINDS["tag"]
    examples = [of(("B-x", "I-x", "O"), ("a", "b", "c")), of(("O", "B-y"), ("a", "d"))]
    said = [Prediction(("B-x", "I-x", "O")), Prediction(("O", None))]  # the last word was cut off
    bio = ("O", "B-x", "I-x", "B-y")
    scores = kind.scores(examples, said, bio)
    assert scores == {"f1": pytest.approx(2 / 3), "precision": 1.0, "recall": 0.5, "accuracy": 0.8}
    cut = kind.scores([of(("O", "O"), ("a", "b"))], [Prediction(("O", None))], bio)
    assert cut["accuracy"] == 0.5  # what was not read is not right by being O
    plain = [of(("NOUN", "VERB"), ("a", "b"))]
    assert kind.scores(plain, [Prediction(("NOUN", None))], ("NOUN", "VERB")) == {"accuracy": 0.5}
    outside = [of(("O", "O"), ("a", "b"))]  # of a file that happens to have no entity, too
    assert list(kind.scores(outside, [Prediction(("O", "B-x"))], bio)) == [
        "f1",
        "precision",
        "recall",
        "accuracy",
    ]
    name, guess = kind.baseline(examples, plain, (*bio, "NOUN", "VERB"))
    assert (name, guess) == ("each word's most frequent tag", {"accuracy": 0.0})


def test_scores_of_each_label():
    examples = [of(("B-x", "I-x", "O"), ("a", "b", "c")), of(("O", "B-y"), ("a", "d"))]
    said = [Prediction(("B-x", "I-x", "O")), Prediction(("B-y", "B-y"))]
    found = KINDS["tag"].by_label(examples, said, ("O", "B-x", "I-x", "B-y"))
    assert found["x"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0, "number": 1}
    assert found["y"]["precision"] == 0.5
    plain = KINDS["tag"].by_label([of(("N", "V"), ("a", "b"))], [Prediction(("N", None))], ("N", "V"))
    assert plain["V"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "number": 1}
    assert list(plain) == ["N", "V"]  # what was cut off is no tag
    found = KINDS["classify"].by_label([of("a"), of("b")], [Prediction("a"), Prediction("a")], ("a", "b"))
    assert (found["a"]["recall"], found["a"]["precision"]) == (1.0, 0.5)
    assert KINDS["regress"].by_label([of(1.0)], [Prediction(1.0)], ()) == {}


def test_the_words_usual_tag_is_the_guess():
    train = [of(("N", "V", "N"), ("dog", "run", "Run")), of(("N",), ("run",)), of(("N",), ("cat",))]
    _, scores = KINDS["tag"].baseline(train, [of(("N", "N", "V"), ("RUN", "new", "dog"))], ("N", "V"))
    assert scores["accuracy"] == pytest.approx(2 / 3)


def test_numbers_are_scaled_and_scored_in_their_units():
    kind = KINDS["regress"]
    train = [of(2.0), of(4.0), of(9.0)]
    labels = kind.labels(train)
    scaled = np.array(kind.targets(train, labels))
    assert scaled.mean() == pytest.approx(0)
    assert scaled.std() == pytest.approx(1)
    said = kind.predictions(list(scaled), train, labels)
    assert [one.label for one in said] == pytest.approx([2.0, 4.0, 9.0])
    assert kind.scores(train, said, labels) == pytest.approx({"pearson": 1.0, "spearman": 1.0, "rmse": 0.0})
    assert kind.baseline(train, train, labels)[1]["rmse"] == pytest.approx(np.std([2, 4, 9]))
    with pytest.raises(CorpusError, match=r"a.tsv:1: expected a number within 1e\+100, got -1e\+308"):
        kind.labels([of(1.0), of(-1e308)])
    assert KINDS["regress"].labels([of(3.0)]) == ("3.0", "1.0")  # one number has no deviation


@pytest.mark.parametrize("task", ["regress", "similarity"])
@pytest.mark.parametrize("label", [1e200, -1e308, float("nan"), 10**400], ids="abcd")
def test_numbers_whose_squares_are_none_are_refused_wherever_they_come(task, label):
    kind, pair = KINDS[task], ("x", "y")
    train, far = [of(1.0, texts=pair), of(2.0, texts=pair)], [of(3.0, texts=pair), of(label, texts=pair)]
    labels, said = kind.labels(train), [Prediction(1.0)] * 2
    for use in (
        lambda: kind.labels(far),
        lambda: kind.targets(far, labels),
        lambda: kind.scores(far, said, labels),
        lambda: kind.baseline(train, far, labels),
    ):
        with pytest.raises(CorpusError, match=r"a.tsv:1: expected a number within 1e\+100, got (nan|-?1)"):
            use()


def test_similarities_are_stretched_to_cosines():
    kind, pair = KINDS["similarity"], ("x", "y")
    train = [of(1.0, texts=pair), of(5.0, texts=pair), of(2.0, texts=pair)]
    labels = kind.labels(train)
    assert kind.targets([*train, of(9.0, texts=pair)], labels) == [0.0, 1.0, 0.25, 1.0]
    with pytest.raises(CorpusError, match="a.tsv:1: expected two texts and how alike they are, a number"):
        kind.labels([of(1.0)])
    with pytest.raises(CorpusError, match="a.tsv:1: expected numbers that differ, got 2 in every row"):
        kind.labels([of(2.0, texts=pair), of(2.0, texts=pair)])


def test_balanced_weights_make_every_label_count_alike():
    kind = KINDS["classify"]
    examples = [of("a")] * 6 + [of("b")] * 2
    counts = kind.counts(examples, ("a", "b", "never"))
    weights = class_weights(counts, "balanced")
    assert (weights * counts).tolist() == pytest.approx([8 / 3, 8 / 3, 0])
    assert class_weights(counts, "none") is None
    assert KINDS["tag"].counts([of(("O", "B-x", "O"), ("a", "b", "c"))], ("O", "B-x")).tolist() == [2, 1]
    assert class_weights(KINDS["regress"].counts([of(1.0)], ()), "balanced") is None


def test_the_guess_without_a_look_is_the_most_frequent_label():
    train = [of("b"), of("b"), of("a")]
    name, scores = KINDS["classify"].baseline(train, [of("a"), of("b")], ("a", "b"))
    assert (name, scores["accuracy"], scores["matthews"]) == ("most frequent label", 0.5, 0.0)
