"""Optimizers on one flat vector of parameters: SGD, Adam and AdamW, clipping, learning-rate schedules.

A leaf: needs NumPy and nothing of the package but `_threads`. Each optimizer exists as a function of
plain vectors (`adamw_step`), which is the formula, and as a class that keeps its state (`AdamW`). Both work
in place.
"""

from .adam import Adam, adam_step
from .adamw import AdamW, adamw_step
from .clipping import clip_by_global_norm, global_norm
from .layerwise import layerwise_decay
from .schedules import Schedule, constant, cosine, linear, noam
from .segments import Segment, decays, make_segments, segments_within
from .sgd import SGD, sgd_step

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Schedule",
    "Segment",
    "adam_step",
    "adamw_step",
    "clip_by_global_norm",
    "constant",
    "cosine",
    "decays",
    "global_norm",
    "layerwise_decay",
    "linear",
    "make_segments",
    "noam",
    "segments_within",
    "sgd_step",
]
