"""Decoding: greedy, sampling, beam search, with the keys and values of earlier tokens kept."""

from .beam import beam_search
from .generate import generate, stream
from .results import Generation, Piece
from .texts import generate_texts, stream_text

__all__ = ["Generation", "Piece", "beam_search", "generate", "generate_texts", "stream", "stream_text"]
