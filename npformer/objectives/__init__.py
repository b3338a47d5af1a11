"""Objectives: what is predicted. Each makes a batch out of token ids, and gives a loss and its gradient."""

from ._tokens import Metrics
from .causal_lm import CausalLM, CausalLMBatch, bits_per_byte, perplexity
from .distillation import Distillation
from .masked_lm import MaskedLM, MaskedLMBatch
from .seq2seq import Seq2Seq, Seq2SeqBatch
from .span_corruption import SpanCorruption
from .text_pairs import TextPairs, cut_anywhere

__all__ = [
    "CausalLM",
    "CausalLMBatch",
    "Distillation",
    "MaskedLM",
    "MaskedLMBatch",
    "Metrics",
    "Seq2Seq",
    "Seq2SeqBatch",
    "SpanCorruption",
    "TextPairs",
    "bits_per_byte",
    "cut_anywhere",
    "perplexity",
]
