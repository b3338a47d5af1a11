"""Whole models, their configurations and their parameters."""

from .config import EncoderConfig
from .decoder import Decoder, DecoderCache
from .decoder_config import DecoderConfig
from .decoding import DecodingState
from .electra import Electra
from .electra_config import ElectraConfig
from .encoder import Encoder, EncoderCache
from .encoder_decoder import EncoderDecoder, EncoderDecoderCache
from .encoder_decoder_config import EncoderDecoderConfig
from .heads import MaskedLMHead, Pooler, ReplacedTokenHead, Unembedding
from .inference import encode
from .memory import TrainingMemory, training_memory
from .parameters import Parameters
from .pretrained import from_pretrained, save_pretrained

__all__ = [
    "Decoder",
    "DecoderCache",
    "DecoderConfig",
    "DecodingState",
    "Electra",
    "ElectraConfig",
    "Encoder",
    "EncoderCache",
    "EncoderConfig",
    "EncoderDecoder",
    "EncoderDecoderCache",
    "EncoderDecoderConfig",
    "MaskedLMHead",
    "Parameters",
    "Pooler",
    "ReplacedTokenHead",
    "TrainingMemory",
    "Unembedding",
    "encode",
    "from_pretrained",
    "save_pretrained",
    "training_memory",
]
