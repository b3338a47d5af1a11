"""Labelled examples: TSV, CSV, JSONL and CoNLL files, for fine-tuning.

``from npformer.text.labelled import read_examples``
"""

from .columns import parse_columns
from .example import Example, Labelled
from .labels import check_bio, check_labels, header_as_example, is_bio, labels_of, numbers_as_names
from .read import read_examples

__all__ = [
    "Example",
    "Labelled",
    "check_bio",
    "check_labels",
    "header_as_example",
    "is_bio",
    "labels_of",
    "numbers_as_names",
    "parse_columns",
    "read_examples",
]
