"""The names by which the columns of a header and the fields of JSON are known."""

from __future__ import annotations

from collections.abc import Sequence

from .columns import roles_of

# role -> names, the likeliest first, as `_plain` leaves them
_NAMES = {
    "text": "text sentence utterance message sms tweet review comment content document question query body",
    "number": "score similarity similarity_score relatedness_score rating stars value label target",
    "class": "label labels class category intent gold_label sentiment polarity topic is_duplicate quality "
    "relation target",
    "words": "tokens words token word form",
    "tags": "tags ner_tags pos_tags slots labels tag ner pos upos label",
    "text3": "text3 sentence3 negative hard_neg hard_negative",
}
# two roles -> pairs of names that go together
_PAIRS = {
    "text1 text2": "text1 text2, text_1 text_2, sentence1 sentence2, sentence_1 sentence_2, sent0 sent1, "
    "sent1 sent2, premise hypothesis, question1 question2, anchor positive, text_a text_b, "
    "sentence_a sentence_b, s1 s2, #1_string #2_string, question sentence, query passage",
    "source target": "source target, src tgt, input output, document summary, article highlights, "
    "article summary, dialogue summary, text summary, question answer, prompt response, prompt completion",
}
KNOWN = {name for names in [*_NAMES.values(), *_PAIRS.values()] for name in names.replace(",", "").split()}


def known_names(fields: Sequence[str]) -> int:
    """How many of the fields are names by which columns are known.

    Examples
    --------
    >>> known_names(["ID", "Text", "gold label"])
    2
    """
    return len({_plain(field) for field in fields} & KNOWN)


def by_name(task: str, names: Sequence[str]) -> dict[str, int] | None:
    """Return which of `names` has each role; None if the roles of the task are not all there.

    Examples
    --------
    >>> by_name("regress", ["id", "Sentence1", "sentence2", "score"])
    {'text1': 1, 'text2': 2, 'label': 3}
    >>> by_name("texts of seq2seq", ["id", "document"]), by_name("seq2seq", ["id", "document"])
    ({'source': 1}, None)
    """
    plain = [_plain(name) for name in names]
    label = {"regress": ["number"], "similarity": ["number", "class"]}.get(task, ["class"])
    looked_for = {
        "text": ["text", "words"],
        "text3": ["text3"],
        "label": label,
        "words": ["words", "text"],
        "tags": ["tags"],
    }
    places: dict[str, int] = {}
    for role, lists in looked_for.items():
        for name in " ".join(_NAMES[key] for key in lists).split():
            if name in plain:
                places.setdefault(role, plain.index(name))
    for two, pairs in _PAIRS.items():
        for pair in (pair.split() for pair in pairs.split(", ")):
            if set(pair) <= set(plain):
                for role, name in zip(two.split(), pair, strict=True):
                    places.setdefault(role, plain.index(name))
    for name in (pair.split()[0] for pair in _PAIRS["source target"].split(", ")):
        if name in plain:  # without a target: for those who look at none
            places.setdefault("source", plain.index(name))
    for roles in roles_of(task):
        found = {role: places[role] for role in roles if role in places}
        if len(found) == len(roles):
            return found
    return None


def _plain(name: str) -> str:
    return name.strip().strip('"').lower().replace(" ", "_").replace("-", "_")
