"""The configuration of generator and discriminator."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from npformer.models import ElectraConfig, EncoderConfig

BASE = EncoderConfig(
    vocab_size=50,
    d_model=24,
    n_heads=4,
    d_ff=96,
    n_layers=3,
    max_positions=16,
    positions="rotary",
    neighbour_heads=2,
)


@pytest.mark.parametrize(
    ("size", "heads", "neighbours"), [(1e-3, 1, 0), (0.25, 1, 0), (0.5, 2, 1), (0.6, 2, 1), (1.0, 4, 2)]
)
def test_the_generator_has_a_share_of_the_heads(size, heads, neighbours):
    config = ElectraConfig.scaled(BASE, size)
    g = config.generator
    assert (g.n_heads, g.d_model, g.d_ff, g.n_layers) == (heads, 6 * heads, 24 * heads, 3)
    assert g.neighbour_heads == neighbours
    assert g.embedding_width == config.discriminator.embedding_width == 24
    assert (g.mlm, g.rtd) == (True, False)
    assert config.discriminator == replace(BASE, mlm=False, rtd=True)


def test_json_and_back():
    config = ElectraConfig.scaled(replace(BASE, d_embedding=8), 0.5)
    assert ElectraConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    with pytest.raises(ValueError, match="unknown field 'colour'"):
        ElectraConfig.from_dict({**config.to_dict(), "colour": 1})


@pytest.mark.parametrize("size", [0.0, -1.0, 1.5, float("nan")])
def test_a_size_is_a_share(size):
    with pytest.raises(ValueError, match=r"generator_size: expected a number in \(0, 1\], got"):
        ElectraConfig.scaled(BASE, size)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mlm": False}, r"generator: expected mlm = True, rtd = False, got False, False"),
        ({"vocab_size": 51}, r"generator: expected the discriminator's vocab_size = 50, got 51"),
        ({"d_embedding": 23}, r"generator: expected the discriminator's embedding_width = 24, got 23"),
        ({"norm": "pre"}, r"generator: expected the discriminator's norm = post, got pre"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes, message):
    config = ElectraConfig.scaled(BASE, 0.5)
    with pytest.raises(ValueError, match=f"ElectraConfig: {message}"):
        ElectraConfig(config.discriminator, replace(config.generator, **changes))
    with pytest.raises(TypeError, match="generator: expected an EncoderConfig"):
        ElectraConfig(config.discriminator, {})
