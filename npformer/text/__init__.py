"""Text: WordPiece and character tokenizers, corpora and pairs, a held-out split, packing into sequences.

Everything here works on its own: ``from npformer.text import WordPieceTokenizer``.
"""

from .characters import CharacterTokenizer
from .corpus import Document, read_corpus
from .default_corpus import default_corpus
from .errors import CorpusError
from .packing import Packed, pack, packed_rows
from .pairs import Pair, pair_rows, read_pairs, split_pairs
from .parts import separate
from .sentence_rows import document_starts, sentence_rows
from .split import split_corpus, split_tail
from .stream import token_rows
from .text_files import TextFiles, open_corpus
from .tokenizers import Tokenizer, load_tokenizer, read_tokenizer, train_tokenizer
from .wordpiece import Encoding, WordPieceTokenizer

__all__ = [
    "CharacterTokenizer",
    "CorpusError",
    "Document",
    "Encoding",
    "Packed",
    "Pair",
    "TextFiles",
    "Tokenizer",
    "WordPieceTokenizer",
    "default_corpus",
    "document_starts",
    "load_tokenizer",
    "open_corpus",
    "pack",
    "packed_rows",
    "pair_rows",
    "read_corpus",
    "read_pairs",
    "read_tokenizer",
    "sentence_rows",
    "separate",
    "split_corpus",
    "split_pairs",
    "split_tail",
    "token_rows",
    "train_tokenizer",
]
