"""The dictionary that translations stand beside, and what a source is cut to."""

from __future__ import annotations

import numpy as np
import translation

from npformer.text import CharacterTokenizer

SPANISH = dict(the="la", house="casa", book="libro", a="una", green="verde", my="mi", **{"is": "es"})


def test_model_1_finds_the_dictionary_whatever_the_order():
    rng = np.random.default_rng(0)
    pairs = []
    for _ in range(200):
        words = rng.choice(list(SPANISH), 3, replace=False).tolist()
        pairs.append((words, [SPANISH[word] for word in rng.permutation(words)]))
    found = translation.ibm_model_1(pairs)
    assert {word: found[word] for word in SPANISH} == SPANISH


def test_model_1_is_expectation_and_maximisation():
    """One round by hand: each of two target words is shared by three source words, one of them empty."""
    pairs = [(["a", "b"], ["x", "y"]), (["a"], ["x"])]
    # counts of a: x 1/3 + 1/2, y 1/3; of b: x 1/3, y 1/3; so a is x after a round, and b is y after two
    assert translation.ibm_model_1(pairs, rounds=1)["a"] == "x"
    assert translation.ibm_model_1(pairs, rounds=2)["b"] == "y"


def test_unknown_words_stay_and_capitals_may_stand_for_small_letters():
    assert translation.word_for_word(SPANISH, "The house is Levi's!") == "la casa es Levi ' s !"


def test_a_source_is_cut_at_a_word():
    tokenizer = CharacterTokenizer.train(["abc "])
    assert translation.cut(tokenizer, "abc abc abc", 9) == "abc abc"  # with [CLS] and [SEP]
    assert translation.cut(tokenizer, "abc abc", 9) == "abc abc"
