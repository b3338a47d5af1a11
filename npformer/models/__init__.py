"""Whole models, their configurations and their parameters."""

from .config import EncoderConfig
from .encoder import Encoder, EncoderCache
from .heads import MaskedLMHead, Pooler
from .parameters import Parameters
from .pretrained import from_pretrained, save_pretrained

__all__ = [
    "Encoder",
    "EncoderCache",
    "EncoderConfig",
    "MaskedLMHead",
    "Parameters",
    "Pooler",
    "from_pretrained",
    "save_pretrained",
]
