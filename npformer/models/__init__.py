"""Whole models, their configurations and their parameters."""

from .config import EncoderConfig
from .encoder import Encoder, EncoderCache
from .heads import MaskedLMHead, Pooler
from .inference import encode
from .memory import TrainingMemory, training_memory
from .parameters import Parameters
from .pretrained import from_pretrained, save_pretrained

__all__ = [
    "Encoder",
    "EncoderCache",
    "EncoderConfig",
    "MaskedLMHead",
    "Parameters",
    "Pooler",
    "TrainingMemory",
    "encode",
    "from_pretrained",
    "save_pretrained",
    "training_memory",
]
