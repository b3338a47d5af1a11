"""Resuming a pass gives the bits of a whole one, and does less."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from npformer.nn import SelfAttention
from npformer.proof import decoder, encoder, encoder_decoder
from npformer.proof.models import Point
from npformer.proof.resumed import Resumed

POINTS: dict[str, Callable[[], Point]] = {
    label: lambda label=label, kind=kind: kind.draw_point(label, 0)  # type: ignore[misc]
    for kind in (encoder, decoder, encoder_decoder)
    for label in kind.MODELS
}


@pytest.mark.parametrize("label", POINTS)
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_the_bits_are_those_of_the_whole_pass(label: str, dtype: type) -> None:
    point = POINTS[label]()
    params = point.params.astype(dtype)
    resumed, rng = Resumed(point, params.copy()), np.random.default_rng(1)
    before = resumed.params.flat.copy()
    for name in params:
        start = params[name].copy()
        value = start + 0.01 * rng.standard_normal(start.shape)
        params[name] = value
        assert resumed.loss(name, value) == point.loss(params), name
        params[name] = start
    assert resumed.params.flat.tobytes() == before.tobytes()


def test_what_lies_before_the_parameter_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    point = POINTS[encoder_decoder.POST]()
    resumed, ran = Resumed(point, point.params.copy()), []
    true = SelfAttention.forward
    monkeypatch.setattr(
        SelfAttention, "forward", lambda self, *a, **k: (ran.append(self.name), true(self, *a, **k))[1]
    )
    for name, expected in {
        "encoder.1.attention.query.weight": ["encoder.1", "decoder.0", "decoder.1"],
        "decoder.0.cross_attention.query.weight": ["decoder.1"],
        "decoder.1.feed_forward.up.weight": [],
        "embeddings.token": ["encoder.0", "encoder.1", "decoder.0", "decoder.1"],
    }.items():
        ran.clear()
        resumed.loss(name, point.params[name])
        assert [block.removesuffix(".attention") for block in ran] == expected


def test_a_model_that_draws_otherwise_is_noticed() -> None:
    point = POINTS[next(iter(encoder.MODELS))]()
    resumed = Resumed(point, point.params.copy())
    resumed.drawn = [u[..., :1] for u in resumed.drawn]
    with pytest.raises(ValueError, match="expected a draw of shape"):
        resumed.loss("embeddings.token", point.params["embeddings.token"])
