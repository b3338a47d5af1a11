"""What generation and encode are given is checked by one function, in one wording."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.generation import generate
from npformer.models import encode


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ("a text", TypeError, r"expected token ids, got text; tokenizer\.encode\(text\)\.ids"),
        ([[1, 2]], ValueError, r"expected one axis of integers, got shape \(1, 2\)"),
        ([], ValueError, "expected at least one token, got none"),
        ([1.0], TypeError, "expected integers, got dtype float64"),
        ([1, 13], ValueError, r"expected integers in \[0, 13\), got 13"),
        ([-1, 1], ValueError, r"expected integers in \[0, 13\), got -1"),
        (np.ones(10, int), ValueError, "expected at most max_positions = [79] tokens, got 10"),
    ],
)
def test_a_bad_sequence_is_named_alike(make_encoder, make_decoder, values, error, message):
    with pytest.raises(error, match=rf"^encode: sequences\[1\]: {message}$"):
        encode(make_encoder(), [[1], values])
    with pytest.raises(error, match=rf"^generate: prompts\[1\]: {message}$"):
        generate(make_decoder(), [[1], values])
