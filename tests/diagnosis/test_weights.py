"""What an attention keeps of its weights, told by its output alone."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.diagnosis.weights import kept_weights
from npformer.functional import flash_attention
from npformer.functional.flash_attention import whole_keep

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("d_v", [1, 2, 5, 9])
@pytest.mark.parametrize("h_kv", [1, 2])
def test_it_is_what_dropout_kept(d_v, h_kv):
    q, k, v = (RNG.standard_normal((3, h, n, d)) for h, n, d in ((2, 4, 3), (h_kv, 5, 3), (h_kv, 5, d_v)))

    def output_at(changed):
        rng = np.random.default_rng(1)
        return flash_attention(**{"q": q, "k": k, "v": v, **changed}, dropout_p=0.4, rng=rng)[0]

    (kept,) = kept_weights(output_at, "v", v)
    cache = flash_attention(q, k, v, dropout_p=0.4, rng=np.random.default_rng(1))[1]
    np.testing.assert_array_equal(kept, whole_keep(cache))


def test_nothing_is_told_where_nothing_is_dropped_or_the_forward_fails():
    v = RNG.standard_normal((4, 2))
    weights = RNG.uniform(0.1, 1, (3, 4))
    assert kept_weights(lambda changed: weights @ changed["v"], "v", v) == []
    assert kept_weights(lambda changed: np.full((3, 2), np.nan), "v", v) == []
    assert kept_weights(lambda changed: np.zeros((3, 2)), "v", v) == []
    assert kept_weights(lambda changed: weights @ changed["v"], "v", v[0]) == []
