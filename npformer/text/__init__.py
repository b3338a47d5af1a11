"""Text: the WordPiece tokenizer, corpora, a held-out split, and packing into sequences.

Everything here works on its own: ``from npformer.text import WordPieceTokenizer``.
"""

from .corpus import Document, read_corpus
from .default_corpus import default_corpus
from .errors import CorpusError
from .packing import Packed, pack
from .split import split_corpus
from .text_files import TextFiles, open_corpus
from .wordpiece import Encoding, WordPieceTokenizer

__all__ = [
    "CorpusError",
    "Document",
    "Encoding",
    "Packed",
    "TextFiles",
    "WordPieceTokenizer",
    "default_corpus",
    "open_corpus",
    "pack",
    "read_corpus",
    "split_corpus",
]
