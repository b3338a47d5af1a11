"""Objectives: what is predicted. Each makes a batch out of token ids, and gives a loss and its gradient."""

from .masked_lm import MaskedLM, MaskedLMBatch, Metrics

__all__ = ["MaskedLM", "MaskedLMBatch", "Metrics"]
