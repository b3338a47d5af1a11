"""Objectives: what is predicted. Each makes a batch out of token ids, and gives a loss and its gradient."""

from ._tokens import Metrics
from .causal_lm import CausalLM, CausalLMBatch, bits_per_byte, perplexity
from .contrastive import Contrastive, ContrastiveBatch
from .hypersphere import alignment, uniformity
from .masked_lm import MaskedLM, MaskedLMBatch
from .seq2seq import Seq2Seq, Seq2SeqBatch

__all__ = [
    "CausalLM",
    "CausalLMBatch",
    "Contrastive",
    "ContrastiveBatch",
    "MaskedLM",
    "MaskedLMBatch",
    "Metrics",
    "Seq2Seq",
    "Seq2SeqBatch",
    "alignment",
    "bits_per_byte",
    "perplexity",
    "uniformity",
]
