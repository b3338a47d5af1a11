"""Blocks composed out of `npformer.functional`.

A block holds its configuration and the names of its parameters, nothing else:
``y, cache = block.forward(params, x, ...)`` and ``dx = block.backward(params, dy, cache, grads)``, which adds
to `grads`. Any number of threads can run the same block, and a model can use a block twice.
"""

from .attention import SelfAttention
from .embeddings import Embeddings
from .encoder_layer import EncoderLayer
from .feed_forward import FeedForward
from .layers import Dropout, LayerNorm, Linear
from .randomness import GatheredRandom, SequenceRandom

__all__ = [
    "Dropout",
    "Embeddings",
    "EncoderLayer",
    "FeedForward",
    "GatheredRandom",
    "LayerNorm",
    "Linear",
    "SelfAttention",
    "SequenceRandom",
]
