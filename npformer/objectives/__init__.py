"""Objectives: what is predicted. Each makes a batch out of token ids, and gives a loss and its gradient."""

from ._tokens import Metrics
from .causal_lm import CausalLM, CausalLMBatch, bits_per_byte, perplexity
from .masked_lm import MaskedLM, MaskedLMBatch
from .replaced_tokens import ReplacedTokens, ReplacedTokensBatch
from .seq2seq import Seq2Seq, Seq2SeqBatch

__all__ = [
    "CausalLM",
    "CausalLMBatch",
    "MaskedLM",
    "MaskedLMBatch",
    "Metrics",
    "ReplacedTokens",
    "ReplacedTokensBatch",
    "Seq2Seq",
    "Seq2SeqBatch",
    "bits_per_byte",
    "perplexity",
]
