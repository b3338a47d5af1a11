"""Halves of a row, in order or swapped."""

from __future__ import annotations

import numpy as np

from npformer.objectives import SentenceOrder
from npformer.objectives.sentence_order import IN_ORDER, SWAPPED

CLS, SEP, PAD = 2, 3, 0
T = 16


def test_the_classes_say_in_which_order_the_halves_stand():
    n = 1500
    lengths = np.random.default_rng(0).integers(1, 5, (n, 3))
    rows, texts = np.full((n, T - 1), PAD), []
    for i, each in enumerate(lengths.tolist()):
        starts = [5, 5 + each[0], 5 + each[0] + each[1]]
        texts.append([list(range(start, start + size)) for start, size in zip(starts, each, strict=True)])
        row = [SEP, *texts[-1][0], SEP, *texts[-1][1], SEP, *texts[-1][2]]
        rows[i, : len(row)] = row
    rngs = [np.random.default_rng((1, i)) for i in range(n)]
    pairs = SentenceOrder(CLS, SEP, PAD).make_pairs(rows, None, rngs, T)
    assert set(pairs.targets.tolist()) == {IN_ORDER, SWAPPED} == {0, 1}
    one = 0
    for i, (x, y, z) in enumerate(texts):
        ids = pairs.ids[i][pairs.mask[i]].tolist()
        middle = ids.index(SEP)
        a, b = ids[1:middle], ids[middle + 1 : -1]
        assert ids == [CLS, *a, SEP, *b, SEP]
        assert (a < b) == pairs.targets[i]  # tokens of a row ascend
        first = min(a, b)
        assert first in (x, x + y)
        assert max(a, b) == (x + y + z)[len(first) :]
        one += first == x
        assert pairs.segment_ids[i].sum() == len(b) + 1
    for count in (int(pairs.targets.sum()), one):
        assert abs(count / n - 0.5) <= 4 * np.sqrt(0.25 / n)
