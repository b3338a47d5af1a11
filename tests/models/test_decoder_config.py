"""Configurations: the two forms, and bad fields by name."""

from __future__ import annotations

import pytest

from npformer.models import DecoderConfig, EncoderDecoderConfig

SIZES = {"vocab_size": 13, "d_model": 8, "n_heads": 4, "n_layers": 2, "max_positions": 9}


def test_the_two_forms():
    gpt2 = DecoderConfig.gpt2(**SIZES)
    assert gpt2 == DecoderConfig(**SIZES, d_ff=32)
    assert (gpt2.norm, gpt2.norm_type, gpt2.activation) == ("pre", "layer_norm", "gelu_tanh")
    assert (gpt2.positions, gpt2.tied, gpt2.bias) == ("learned", True, True)
    llama = DecoderConfig.llama(**SIZES, d_ff=20, n_kv_heads=2)
    assert (llama.norm, llama.norm_type, llama.activation) == ("pre", "rms_norm", "swiglu")
    assert (llama.positions, llama.tied, llama.bias, llama.n_kv_heads) == ("rotary", False, False, 2)
    assert DecoderConfig.llama(**SIZES, d_ff=20, tied=True).tied


def test_a_configuration_comes_back_from_its_values():
    for config in (DecoderConfig.llama(**SIZES, d_ff=20), EncoderDecoderConfig(13, 8, 2, 12)):
        assert type(config).from_dict(config.to_dict()) == config
        with pytest.raises(ValueError, match="unknown field 'rotary'"):
            type(config).from_dict({**config.to_dict(), "rotary": 1})


def test_a_field_that_is_missing_or_unknown_is_named_by_both_forms():
    for form, missing, given in (
        (DecoderConfig.llama, "d_ff", SIZES),
        (DecoderConfig.gpt2, "n_heads", {name: n for name, n in SIZES.items() if name != "n_heads"}),
    ):
        with pytest.raises(TypeError, match=f"^DecoderConfig: {missing}: expected a value"):
            form(**given)
        with pytest.raises(ValueError, match="DecoderConfig: unknown field 'hidden_size'"):
            form(**{**given, missing: 4}, hidden_size=8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_heads": 3}, "n_heads: expected a divisor of d_model = 8, got 3"),
        ({"n_kv_heads": 3}, "n_kv_heads: expected a divisor of n_heads = 4, got 3"),
        ({"n_kv_heads": 0}, "n_kv_heads: expected at least 1, got 0"),
        ({"d_head": 3, "positions": "rotary"}, "d_head: expected an even number for rotary positions, got 3"),
        ({"window": 0}, "window: expected at least 1, got 0"),
        ({"softcap": 0.0}, "softcap"),
        ({"logit_softcap": -1.0}, "logit_softcap"),
        ({"activation": "swish"}, "activation: expected one of gelu, .*, swiglu, got 'swish'"),
        ({"norm_type": "batch"}, "norm_type: expected one of layer_norm, rms_norm"),
        ({"positions": "random"}, "positions: expected one of learned"),
        ({"dropout": 1.0}, "dropout"),
        ({"eps": float("nan")}, "eps"),
    ],
)
def test_bad_fields_are_named(changes, message):
    with pytest.raises(ValueError, match=f"DecoderConfig: .*{message}"):
        DecoderConfig(**{**SIZES, "d_ff": 12, **changes})


def test_odd_heads_are_fine_without_rotation():
    assert DecoderConfig(**{**SIZES, "d_ff": 12, "d_head": 3}).d_head == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_heads": 3}, "n_heads: expected a divisor of d_model = 8, got 3"),
        ({"positions": "rotary"}, "positions: expected one of sinusoidal, learned, got 'rotary'"),
        ({"n_decoder_layers": 0}, "n_decoder_layers: expected at least 1, got 0"),
        ({"init_std": -1.0}, "init_std"),
    ],
)
def test_bad_fields_of_an_encoder_decoder_are_named(changes, message):
    with pytest.raises(ValueError, match=f"EncoderDecoderConfig: {message}"):
        EncoderDecoderConfig(**{"vocab_size": 13, "d_model": 8, "n_heads": 2, "d_ff": 12, **changes})
