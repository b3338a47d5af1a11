"""Blocks composed out of `npformer.functional`.

A block holds its configuration and the names of its parameters, nothing else:
``y, cache = block.forward(params, x, ...)`` and ``dx = block.backward(params, dy, cache, grads)``, which adds
to `grads`. Any number of threads can run the same block, and a model can use a block twice.
"""

from ._projections import KeyValues
from .attention import SelfAttention
from .cross_attention import CrossAttention
from .decoder_layer import DecoderLayer
from .embeddings import Embeddings
from .encoder_layer import EncoderLayer
from .feed_forward import FeedForward, GatedFeedForward
from .layers import NORMS, Dropout, LayerNorm, Linear, RMSNorm
from .randomness import GatheredRandom, PairedRandom, SequenceRandom
from .residual import Residual

__all__ = [
    "NORMS",
    "CrossAttention",
    "DecoderLayer",
    "Dropout",
    "Embeddings",
    "EncoderLayer",
    "FeedForward",
    "GatedFeedForward",
    "GatheredRandom",
    "KeyValues",
    "LayerNorm",
    "Linear",
    "PairedRandom",
    "RMSNorm",
    "Residual",
    "SelfAttention",
    "SequenceRandom",
]
