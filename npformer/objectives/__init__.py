"""Objectives: what is predicted. Each makes a batch out of token ids, and gives a loss and its gradient."""

from ._tokens import Metrics
from .causal_lm import CausalLM, CausalLMBatch, bits_per_byte, perplexity
from .classification import ClassificationBatch, SequenceClassification
from .masked_lm import MaskedLM, MaskedLMBatch
from .regression import Regression, RegressionBatch
from .seq2seq import Seq2Seq, Seq2SeqBatch
from .similarity import Similarity, SimilarityBatch
from .tagging import TaggingBatch, TokenClassification

__all__ = [
    "CausalLM",
    "CausalLMBatch",
    "ClassificationBatch",
    "MaskedLM",
    "MaskedLMBatch",
    "Metrics",
    "Regression",
    "RegressionBatch",
    "Seq2Seq",
    "Seq2SeqBatch",
    "SequenceClassification",
    "Similarity",
    "SimilarityBatch",
    "TaggingBatch",
    "TokenClassification",
    "bits_per_byte",
    "perplexity",
]
