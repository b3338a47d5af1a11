"""CoNLL: blank lines, documents, comments, the word "#", columns, and CoNLL-U."""

from __future__ import annotations

import pytest

from npformer.text.labelled import read_examples


def sentences(path, **options):
    return [(item.words, item.label) for item in read_examples(path, "tag", **options).examples]


def test_four_columns_and_documents(write):
    path = write(
        "-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\nvotes VBZ B-VP O\n\n\n"
        "-DOCSTART- -X- -X- O\n\nRome NNP B-NP B-LOC\n-DOCSTART- -X- -X- O\nso RB O O"
    )
    assert sentences(path) == [(("EU", "votes"), ("B-ORG", "O")), (("Rome",), ("B-LOC",)), (("so",), ("O",))]
    assert sentences(path, columns="words=1,tags=2")[0] == (("EU", "votes"), ("NNP", "VBZ"))


@pytest.mark.parametrize("space", ["\t", " ", "   "])
def test_comments_and_the_word_hash(write, space):
    path = write(
        "# newdoc\n# text = # 1 wins\n#\tSYM\n1\tNUM\nwins\tVERB\n\n# sent_id = 2\n#tag\tX\n#\tSYM\n".replace(
            "\t", space
        )
    )
    assert sentences(path) == [(("#", "1", "wins"), ("SYM", "NUM", "VERB")), (("#tag", "#"), ("X", "SYM"))]
    assert ", 3 comments," in read_examples(path, "tag").about


def test_words_that_all_begin_with_a_hash(write):
    assert sentences(write("# id = 7\n#\tSYM\n\n#ab\tX\n")) == [(("#",), ("SYM",)), (("#ab",), ("X",))]


def test_words_with_blanks_in_a_file_of_tabs(write):
    path = write("10 000\tNUM\nmen\tNOUN\n\t\nvoted\tVERB\n")
    assert sentences(path) == [(("10 000", "men"), ("NUM", "NOUN")), (("voted",), ("VERB",))]


def test_a_header(write):
    path = write("word\tpos\nEU\tNNP\n\nso\tRB\n")
    assert sentences(path) == [(("EU",), ("NNP",)), (("so",), ("RB",))]
    path = write("pos\tform\tx\nNNP\tEU\t1\n")
    assert sentences(path, columns="words=form,tags=pos", format="conll") == [(("EU",), ("NNP",))]


def test_a_header_is_said_and_a_word_is_none(write):
    assert "CoNLL, a header, words in column 1" in read_examples(write("word\tpos\nEU\tNNP\n"), "tag").about
    path = write("quality target\nis O\n\ngood O\nfood target\n")  # two names of columns, and a tag
    assert sentences(path)[0] == (("quality", "is"), ("target", "O"))
    assert ", a header," not in read_examples(path, "tag").about


def test_columns_of_a_file_before(write):
    path = write("a DT O B-x\nb NN I-y O\n")
    assert sentences(path) == [(("a", "b"), ("B-x", "O"))]
    assert sentences(path, like="words=1,tags=3") == [(("a", "b"), ("O", "I-y"))]
    assert sentences(path, like="words=1,tags=5") == sentences(path)  # it has no such column
    assert sentences(path, like="words=form,tags=pos") == sentences(path)
    path = write("pos form\nDT a\nNN b\n")
    assert sentences(path, like="words=form,tags=pos") == [(("a", "b"), ("DT", "NN"))]
    path = write("1" + "\t{}" * 9)
    assert sentences(path, like="words=3,tags=5") == sentences(path)  # CoNLL-U tells its own


ROW = "{}\t{}\t{}\t{}\tX\t_\t0\tdep\t_\t_".format


@pytest.mark.parametrize("number", ["l2", "", "_", "2a"])
def test_a_row_of_conllu_without_a_number_is_bad(refused, number):
    rows = [ROW("1", "Do", "do", "AUX"), ROW(number, "n't", "not", "PART"), ROW("3", "go", "go", "VERB")]
    expected = f"a.txt:2: expected a word's number in column 1, got '{number}'"
    assert refused("\n".join(rows), "tag") == expected


def test_conllu(write):
    rows = [
        "# sent_id = 1\n# text = Don't go",
        ROW("1-2", "Don't", "_", "_"),
        ROW("1", "Do", "do", "AUX"),
        ROW("2", "n't", "not", "PART"),
        ROW("2.1", "you", "you", "PRON"),
        ROW("3", "go", "go", "VERB"),
        "",
        ROW("1", "#", "#", "SYM"),
    ]
    path = write("\n".join(rows))
    expected = [(("Do", "n't", "go"), ("AUX", "PART", "VERB")), (("#",), ("SYM",))]
    assert sentences(path) == expected
    found = read_examples(path, "tag")
    assert found.columns == "words=2,tags=4"
    assert [item.where for item in found.examples] == [f"{path}:4", f"{path}:9"]
    assert "CoNLL, ten columns as in CoNLL-U, words in column 2, tags in column 4, 2 comments" in found.about
    assert sentences(path, columns="words=3,tags=4")[0][0] == ("do", "not", "go")


def test_columns_that_are_not_there(refused):
    assert refused("a O\nb O\n", "tag", columns="words=1,tags=3").startswith("a.txt:1: expected a column 3")
    assert refused("a O\nb O\n", "tag", columns="words=1,tags=pos").startswith(
        "a.txt:1: expected a column named 'pos' in the header, got 'a', 'O'"
    )
    assert refused("a\n\nb\n", "tag", name="a.conll") == (
        "a.conll: expected a word and its tag on each line, got one column"
    )
