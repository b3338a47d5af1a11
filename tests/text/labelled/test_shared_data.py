"""The labelled data sets at hand are read whole, and as what they are."""

from __future__ import annotations

import pytest

from npformer.text import CorpusError
from npformer.text.labelled import check_labels, labels_of, read_examples

# file, task, columns that must be said -> examples, what is told
FILES = {
    "snips/train.jsonl classify": (13784, "JSONL, text in 'tokens', label in 'intent'"),
    "snips/validate.jsonl classify": (700, "JSONL, text in 'tokens', label in 'intent'"),
    "snips/train.jsonl tag": (13784, "JSONL, words in 'tokens', tags in 'tags', tags are BIO"),
    "snips/validate.jsonl tag": (700, "JSONL, words in 'tokens', tags in 'tags', tags are BIO"),
    "ud_ewt/train.tsv tag": (12544, "CoNLL, words in column 1, tags in column 2, tags are plain"),
    "ud_ewt/dev.tsv tag": (2001, "CoNLL, words in column 1, tags in column 2, tags are plain"),
    "ud_ewt/test.tsv tag": (2077, "CoNLL, words in column 1, tags in column 2, tags are plain"),
    "sms_spam/sms.tsv classify": (5574, "TSV, no header, text in column 2, label in column 1"),
    "stsb_en/train.csv regress": (
        5749, "CSV, no header, text1 in column 1, text2 in column 2, label in column 3"),
    "stsb_en/dev.csv similarity": (
        1500, "CSV, no header, text1 in column 1, text2 in column 2, label in column 3, labels are numbers"),
    "stsb_en/test.csv regress": (
        1379, "CSV, no header, text1 in column 1, text2 in column 2, label in column 3"),
    "bible_en_es/pairs.tsv seq2seq source=2,target=3": (
        9985, "TSV, no header, source in column 2, target in column 3"),
}  # fmt: skip


LARGE = {what for what, (n, _) in FILES.items() if n > 5000}


@pytest.mark.parametrize(
    "what", [pytest.param(what, marks=pytest.mark.thorough if what in LARGE else ()) for what in FILES]
)
def test_files(shared_data, what):
    file, task, columns = [*what.split(), None][:3]
    n, about = FILES[what]
    path = shared_data / file
    found = read_examples(path, task, columns=columns)
    assert found.about == f"{path}: {about}: {n:,} examples"
    assert len(found.examples) == n
    assert not found.skipped


def test_words_are_all_there(shared_data):
    path = shared_data / "ud_ewt" / "dev.tsv"
    found = read_examples(path, "tag").examples
    lines = path.read_text(encoding="utf-8").split("\n")
    words = [line.split("\t")[0] for line in lines if line]
    assert [word for item in found for word in item.words] == words
    assert "#" in words  # which begins no comment
    for item in found[:50]:
        assert lines[int(item.where.rpartition(":")[2]) - 1].split("\t")[0] == item.words[0]
    assert len(labels_of(found)) == 17


def test_slots_and_intents(shared_data):
    path = shared_data / "snips" / "validate.jsonl"
    intents, tags = (labels_of(read_examples(path, task).examples) for task in ("classify", "tag"))
    assert len(intents) == 7
    assert tags[:4] == ("O", "B-album", "I-album", "B-artist")
    check_labels(read_examples(path, "tag").examples, tags)
    unknown = r"validate.jsonl:1: expected a tag of training .*, got 'B-music_item'"
    with pytest.raises(CorpusError, match=unknown):
        check_labels(read_examples(path, "tag").examples, [tag for tag in tags if tag != "B-music_item"])


def test_sentences_without_labels_are_no_examples(shared_data):
    with pytest.raises(CorpusError, match="rt-polarity.neg: expected TSV, .*, got lines without columns"):
        read_examples(shared_data / "sentence_polarity" / "rt-polarity.neg", "classify")
