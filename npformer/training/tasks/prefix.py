"""Prefix language modelling: an encoder-decoder reads the beginning of a text and writes the rest.

Everything but the rule that makes pairs, where a row is cut in two, is as in t5.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...objectives import TextPairs, cut_anywhere
from ...text import Tokenizer
from . import pairs
from .t5 import CHOICES as CHOICES
from .t5 import LABELS as LABELS
from .t5 import PARTS as PARTS
from .t5 import PRESETS as PRESETS
from .t5 import batch as batch
from .t5 import build_model as build_model
from .t5 import compare as compare
from .t5 import evaluation as evaluation
from .t5 import finished as finished
from .t5 import initial_embeddings as initial_embeddings
from .t5 import left_out as left_out
from .t5 import model_config as model_config
from .t5 import order as order
from .t5 import read as read
from .t5 import rows as rows
from .t5 import split as split
from .t5 import table as table
from .t5 import text_pairs
from .t5 import texts as texts
from .t5 import try_it as try_it
from .t5 import width as width

if TYPE_CHECKING:
    from ..config import RunConfig

USES = pairs.USES


def build_objective(config: RunConfig, tokenizer: Tokenizer) -> TextPairs:
    """Return the objective of training."""
    return text_pairs(cut_anywhere, config, tokenizer)
