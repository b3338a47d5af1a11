"""Objectives: what is predicted. Each makes a batch out of token ids, and gives a loss and its gradient."""

from ._tokens import Metrics
from .causal_lm import CausalLM, CausalLMBatch, bits_per_byte, perplexity
from .classification import ClassificationBatch, SequenceClassification
from .contrastive import Contrastive, ContrastiveBatch
from .distillation import Distillation
from .hypersphere import alignment, uniformity
from .masked_lm import MaskedLM, MaskedLMBatch
from .next_sentence import NextSentence
from .regression import Regression, RegressionBatch
from .replaced_tokens import ReplacedTokens, ReplacedTokensBatch
from .sentence_order import SentenceOrder
from .seq2seq import Seq2Seq, Seq2SeqBatch
from .similarity import Similarity, SimilarityBatch
from .span_corruption import SpanCorruption
from .summed import Summed, SummedBatch
from .tagging import TaggingBatch, TokenClassification
from .text_pairs import TextPairs, cut_anywhere

__all__ = [
    "CausalLM",
    "CausalLMBatch",
    "ClassificationBatch",
    "Contrastive",
    "ContrastiveBatch",
    "Distillation",
    "MaskedLM",
    "MaskedLMBatch",
    "Metrics",
    "NextSentence",
    "Regression",
    "RegressionBatch",
    "ReplacedTokens",
    "ReplacedTokensBatch",
    "SentenceOrder",
    "Seq2Seq",
    "Seq2SeqBatch",
    "SequenceClassification",
    "Similarity",
    "SimilarityBatch",
    "SpanCorruption",
    "Summed",
    "SummedBatch",
    "TaggingBatch",
    "TextPairs",
    "TokenClassification",
    "alignment",
    "bits_per_byte",
    "cut_anywhere",
    "perplexity",
    "uniformity",
]
