"""Layer-wise decay of the learning rate: which parameter has which power of the factor."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.models import Encoder, EncoderConfig
from npformer.optim import SGD, decays, layerwise_decay, make_segments


def test_the_last_layer_has_the_factor_and_the_embeddings_one_power_more_than_the_first():
    lr_scale = layerwise_decay(12, 0.9)
    assert lr_scale("encoder.11.feed_forward.up.weight") == 0.9
    assert lr_scale("encoder.0.attention_norm.beta") == pytest.approx(0.9**12)
    assert lr_scale("decoder.10.attention.query.weight.lora_a") == pytest.approx(0.81)
    for name in ("embeddings.token", "embeddings.norm.gamma"):
        assert lr_scale(name) == pytest.approx(0.9**13)
    for name in ("encoder.norm.gamma", "pooler.weight", "mlm.bias", "task.weight", "lm_head.weight"):
        assert lr_scale(name) == 1.0
    assert layerwise_decay(3, 1)("embeddings.token") == 1.0


def test_a_step_of_a_model_is_scaled_name_by_name():
    config = EncoderConfig(vocab_size=13, d_model=8, n_heads=2, d_ff=12, n_layers=2, max_positions=7)
    params = Encoder(config, dtype=np.float64).params
    before = params.copy()
    segments = make_segments(
        params.layout, decay=decays, weight_decay=0.0, lr_scale=layerwise_decay(2, 0.5)
    )
    SGD(params.flat, 1.0, segments=segments).step(np.ones_like(params.flat))
    moved = {name: before[name] - params[name] for name in params}
    expected = {"embeddings.": 0.125, "encoder.0.": 0.25, "encoder.1.": 0.5, "mlm.": 1.0}
    for name, change in moved.items():
        scale = next(value for prefix, value in expected.items() if name.startswith(prefix))
        np.testing.assert_allclose(change, scale, atol=1e-14)


def test_encoder_and_decoder_have_each_their_own_number_of_layers():
    lr_scale = layerwise_decay({"encoder": 4, "decoder": 2}, 0.5)
    names = ("encoder.3.x", "encoder.0.x", "decoder.1.x", "decoder.0.x", "embeddings.token", "task.weight")
    assert [lr_scale(name) for name in names] == [0.5, 0.0625, 0.5, 0.25, 0.03125, 1.0]
    with pytest.raises(ValueError, match=r"n_layers: expected at least 3, as there is decoder\.2\.x, got 2"):
        lr_scale("decoder.2.x")
    with pytest.raises(ValueError, match=r"n_layers: expected at least 1, as there is decoder\.0\.x, got 0"):
        layerwise_decay({"encoder": 4}, 0.5)("decoder.0.x")


@pytest.mark.parametrize(
    "arguments",
    [(0, 0.9), (2, 0.0), (2, 1.1), (2, float("nan")), ({}, 0.9), ({"other": 2}, 0.9), ({"encoder": 0}, 0.9)],
)
def test_numbers_out_of_range_are_refused(arguments):
    with pytest.raises(ValueError, match=r"layerwise_decay: (n_layers|factor): expected"):
        layerwise_decay(*arguments)


def test_a_layer_too_many_is_named():
    with pytest.raises(ValueError, match=r"n_layers: expected at least 3, as there is encoder\.2\.x, got 2"):
        layerwise_decay(2, 0.9)("encoder.2.x")
