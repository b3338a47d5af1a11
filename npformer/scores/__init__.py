"""Scores of predictions: classes, entities, numbers, texts; and their spread over seeds.

A leaf: needs NumPy and nothing of the package. The truth comes first, the prediction second.
"""

from .classification import Confusion, accuracy, class_scores, confusion_matrix, macro_f1, matthews
from .correlation import pearson, ranks, spearman
from .entities import EntityScores, entities, entity_scores
from .precision_recall import PrecisionRecall
from .rouge import Rouge, rouge, rouge_l, rouge_l_sum, rouge_n, rouge_words
from .spread import MeanStd, mean_and_std, pooled_deviations, pooled_std

__all__ = [
    "Confusion",
    "EntityScores",
    "MeanStd",
    "PrecisionRecall",
    "Rouge",
    "accuracy",
    "class_scores",
    "confusion_matrix",
    "entities",
    "entity_scores",
    "macro_f1",
    "matthews",
    "mean_and_std",
    "pearson",
    "pooled_deviations",
    "pooled_std",
    "ranks",
    "rouge",
    "rouge_l",
    "rouge_l_sum",
    "rouge_n",
    "rouge_words",
    "spearman",
]
