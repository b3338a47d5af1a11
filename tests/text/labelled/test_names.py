"""Names of columns: the likeliest has the role, capitals and hyphens aside, and none has two."""

from __future__ import annotations

import pytest

from npformer.text.labelled.names import by_name, known_names

# task, names, and the place of each role's column; the names of well-known data sets among them
NAMES = {
    "SST-2": ("classify", "sentence label", [0, 1]),
    "snips": ("classify", "intent tokens tags", [1, 0]),
    "MRPC": ("pair", "Quality,#1 ID,#2 ID,#1 String,#2 String", [3, 4, 0]),
    "QQP": ("pair", "id qid1 qid2 question1 question2 is_duplicate", [3, 4, 5]),
    "QNLI": ("pair", "index question sentence label", [1, 2, 3]),
    "MNLI": ("pair", "index premise hypothesis label1 gold_label", [1, 2, 4]),
    "STS-B": ("regress", "index genre sentence1 sentence2 score", [2, 3, 4]),
    "SICK": ("regress", "pair_ID sentence_A sentence_B relatedness_score", [1, 2, 3]),
    "stars": ("regress", "Review Stars", [0, 1]),
    "SimCSE": ("similarity", "sent0 sent1 hard_neg", [0, 1, 2]),
    "STS": ("similarity", "score,Sentence 1,Sentence 2", [1, 2, 0]),
    "pairs": ("similarity", "anchor positive", [0, 1]),
    "slots": ("tag", "intent tokens tags", [1, 2]),
    "NER": ("tag", "id tokens ner_tags", [1, 2]),
    "words": ("tag", "Word POS", [0, 1]),
    "SAMSum": ("seq2seq", "id dialogue summary", [1, 2]),
    "no label": ("classify", "id sentence", None),
    "no second text": ("pair", "text label", None),
    "no number": ("regress", "text intent", None),
    "a target is no text": ("seq2seq", "source goal", None),
}


@pytest.mark.parametrize("what", NAMES)
def test_roles_of_names(what):
    task, names, places = NAMES[what]
    found = by_name(task, names.split("," if "," in names else " "))
    assert places == (None if found is None else list(found.values()))


def test_known_names_are_counted_once():
    assert known_names(["Text", "text", "gold-label", "weather"]) == 2
