"""Decoding: greedy, sampling, beam search, with the keys and values of earlier tokens kept."""

from .beam import beam_search
from .generate import generate, stream
from .results import Generation, Piece

__all__ = ["Generation", "Piece", "beam_search", "generate", "stream"]
