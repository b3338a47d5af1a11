"""Resuming a pass gives what whole ones give, for many values at once, and does less."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from npformer.nn import SelfAttention
from npformer.proof import contrastive, decoder, encoder, encoder_decoder, finetuning
from npformer.proof.models import Point
from npformer.proof.resumed import Resumed, copies_of_batch

POINTS: dict[str, Callable[[], Point]] = {
    label: lambda label=label, kind=kind: kind.draw_point(label, 0)  # type: ignore[misc]
    for kind in (encoder, decoder, encoder_decoder, contrastive)
    for label in kind.MODELS
}
for with_a_head in ("classification, mean", "similarity"):
    POINTS[with_a_head] = partial(finetuning.draw_point, with_a_head, 0)


@pytest.mark.parametrize("label", POINTS)
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_the_losses_are_those_of_whole_passes(label: str, dtype: type) -> None:
    """To the last bits: products of matrices with more rows may be summed in another order."""
    point = POINTS[label]()
    params = point.params.astype(dtype)
    resumed, rng = Resumed(point, params.copy()), np.random.default_rng(1)
    before = resumed.params.flat.copy()
    tilt = 1j if dtype is np.complex128 else 1.0
    names = list(params)
    for name in names if dtype is np.complex128 else names[::3]:  # the way through the blocks is the same
        start = params[name].copy()
        values = start + 0.01 * tilt * rng.standard_normal((2, *start.shape))
        whole = []
        for value in values:
            params[name] = value
            whole.append(point.loss(params))
        params[name] = start
        losses = resumed.losses(name, values)
        assert losses.dtype == dtype
        assert np.abs(losses - whole).max() <= 2e-15 * np.abs(whole).max(), name
    assert resumed.params.flat.tobytes() == before.tobytes()
    assert resumed.losses("embeddings.token", np.empty((0, *params["embeddings.token"].shape))).size == 0


def test_only_the_block_that_reads_the_parameter_is_run_for_each_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    point = POINTS[encoder_decoder.POST]()
    resumed, ran = Resumed(point, point.params.copy()), []
    true = SelfAttention.forward
    monkeypatch.setattr(
        SelfAttention, "forward", lambda self, *a, **k: (ran.append(self.name), true(self, *a, **k))[1]
    )
    for name, expected in {
        "encoder.1.attention.query.weight": [*["encoder.1"] * 3, "decoder.0", "decoder.1"],
        "decoder.0.cross_attention.query.weight": ["decoder.1"],
        "decoder.1.feed_forward.up.weight": [],
        "embeddings.token": ["encoder.0", "encoder.1", "decoder.0", "decoder.1"],
    }.items():
        ran.clear()
        resumed.losses(name, np.stack([point.params[name]] * 3))
        assert [block.removesuffix(".attention") for block in ran] == expected


def test_a_model_that_draws_otherwise_is_noticed() -> None:
    point = POINTS[next(iter(encoder.MODELS))]()
    resumed = Resumed(point, point.params.copy())
    resumed.random.drawn = [u[..., :1] for u in resumed.random.drawn]
    with pytest.raises(ValueError, match="expected a draw of shape"):
        resumed.losses("embeddings.token", point.params["embeddings.token"][None])


def test_a_parameter_of_two_blocks_in_a_row_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second block's input would depend on the value as well."""
    point = POINTS[next(iter(encoder.MODELS))]()
    first, second = point.model.stack.layers
    monkeypatch.setattr(second, "feed_forward", first.feed_forward)
    resumed = Resumed(point, point.params.copy())
    name = "encoder.0.feed_forward.up.weight"
    with pytest.raises(ValueError, match=f"{name} is read again"):
        resumed.losses(name, 2 * point.params[name][None])


def test_copies_of_a_batch_keep_their_targets() -> None:
    for label, make in POINTS.items():
        batch = make().batch
        twice = copies_of_batch(batch, 2)
        B = len(batch.ids)
        for part in (twice.rows(0, B), twice.rows(B, 2 * B)):
            for mine, true in zip(part, batch, strict=True):
                assert np.array_equal(mine, true), label
