"""Whole models, their configurations and their parameters."""

from .adapters import load_adapter, save_adapter
from .config import EncoderConfig
from .decoder import Decoder, DecoderCache
from .decoder_config import DecoderConfig
from .decoding import DecodingState
from .electra import Electra
from .electra_config import ElectraConfig
from .encoder import Encoder, EncoderCache
from .encoder_decoder import EncoderDecoder, EncoderDecoderCache
from .encoder_decoder_config import EncoderDecoderConfig
from .freezing import freeze
from .heads import MaskedLMHead, Pooler, ReplacedTokenHead, Unembedding
from .inference import encode
from .lora import add_lora, merge_lora
from .lora_config import LoraConfig
from .memory import TrainingMemory, training_memory
from .parameters import Parameters
from .pretrained import from_pretrained, save_pretrained
from .task_heads import SequenceHead, TokenHead
from .with_task import with_task

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
    "LoraConfig",
    "MaskedLMHead",
    "Parameters",
    "Pooler",
    "ReplacedTokenHead",
    "SequenceHead",
    "TokenHead",
    "TrainingMemory",
    "Unembedding",
    "add_lora",
    "encode",
    "freeze",
    "from_pretrained",
    "load_adapter",
    "merge_lora",
    "save_adapter",
    "save_pretrained",
    "training_memory",
    "with_task",
]
