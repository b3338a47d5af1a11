"""Objectives: what is predicted. Each makes a batch out of token ids, and gives a loss and its gradient."""

from ._tokens import Metrics
from .causal_lm import CausalLM, CausalLMBatch, bits_per_byte, perplexity
from .masked_lm import MaskedLM, MaskedLMBatch
from .next_sentence import NextSentence
from .replaced_tokens import ReplacedTokens, ReplacedTokensBatch
from .sentence_order import SentenceOrder
from .seq2seq import Seq2Seq, Seq2SeqBatch
from .summed import Summed, SummedBatch

__all__ = [
    "CausalLM",
    "CausalLMBatch",
    "MaskedLM",
    "MaskedLMBatch",
    "Metrics",
    "NextSentence",
    "ReplacedTokens",
    "ReplacedTokensBatch",
    "SentenceOrder",
    "Seq2Seq",
    "Seq2SeqBatch",
    "Summed",
    "SummedBatch",
    "bits_per_byte",
    "perplexity",
]
