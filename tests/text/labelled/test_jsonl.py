"""JSON lines: fields by name, lists and texts, and the fields that most objects have."""

from __future__ import annotations

from npformer.text.labelled import read_examples


def test_lists_and_texts_are_alike(write):
    for words, tags in (('["see", "Rome"]', '["O", "B-city"]'), ('"see  Rome"', '"O B-city "')):
        path = write(f'{{"tags": {tags}, "tokens": {words}, "intent": "go"}}\n')
        item = read_examples(path, "tag").examples[0]
        assert (item.words, item.label) == (("see", "Rome"), ("O", "B-city"))
        assert read_examples(path, "classify").examples[0].texts[0].split() == ["see", "Rome"]


def test_labels_of_other_kinds(write):
    path = write('{"text": "a", "label": 3}\n{"text": "b", "label": true}\n{"text": "c", "label": " d "}\n')
    assert [item.label for item in read_examples(path, "classify").examples] == ["3", "true", "d"]
    path = write('{"text": "a", "score": 3}\n{"text": "b", "score": "-1.5"}\n')
    assert [item.label for item in read_examples(path, "regress").examples] == [3.0, -1.5]
    path = write('{"tokens": ["a", "b"], "ner_tags": [0, 3]}\n')
    assert read_examples(path, "tag").examples[0].label == ("0", "3")


def test_fields_that_are_named(write):
    path = write('{"a": "one", "b": "uno"}\n{"a": "two", "b": "dos", "c": null}\n')
    found = read_examples(path, "seq2seq", columns="source=b,target=a")
    assert [item.texts for item in found.examples] == [("uno", "one"), ("dos", "two")]
    assert found.columns == "source=b,target=a"


def test_a_field_that_a_few_have_is_not_taken(write):
    row = '{"text": "a", "class": "x"}\n'
    path = write(row + '{"text": "b", "class": "y", "label": "z"}\n' + row)
    assert read_examples(path, "classify").columns == "text=text,label=class"


def test_fields_that_are_not_there(refused):
    line = '{"text": "a", "kind": "x"}\n'
    assert refused(line, "classify") == (
        "a.txt:1: expected fields for classify, got 'text', 'kind' "
        "(say which: --columns text=1,label=2, with your numbers or names)"
    )
    for field, columns in (("Kind", "text=text,label=Kind"), ("1", "text=1,label=2")):
        assert refused(line, "classify", columns=columns) == (
            f"a.txt:1: expected a field '{field}', got 'text', 'kind'"
        )
    nothing = refused("{}\n", "classify", format="jsonl")
    assert nothing.startswith("a.txt:1: expected fields for classify, got none")
