"""State dicts in and out: exact round trips, npformer's names, every mistake told in one line."""

from __future__ import annotations

import re

import numpy as np
import pytest

import npformer
from npformer.interop import (
    TorchAttention,
    TorchDecoder,
    TorchEncoder,
    TorchTransformer,
    from_torch_state_dict,
    to_torch_state_dict,
)
from npformer.models import (
    Decoder,
    DecoderConfig,
    Encoder,
    EncoderConfig,
    EncoderDecoder,
    EncoderDecoderConfig,
)

KINDS = {
    "MultiheadAttention": TorchAttention,
    "TransformerEncoderLayer": TorchEncoder,
    "TransformerEncoder": TorchEncoder,
    "TransformerDecoderLayer": TorchDecoder,
    "TransformerDecoder": TorchDecoder,
    "Transformer": TorchTransformer,
}


def same(a, b):
    assert list(a) == list(b)
    for key in a:
        assert a[key].dtype == b[key].dtype, key
        np.testing.assert_array_equal(a[key], b[key], err_msg=key)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bias", [True, False])
def test_the_round_trip_is_exact(kind, dtype, bias, states):
    state = {k: x.astype(dtype) for k, x in states[kind].items() if bias or not k.endswith("bias")}
    module = from_torch_state_dict(state, n_heads=2)
    assert type(module) is KINDS[kind]
    assert module.structure.kind == kind
    assert module.params.flat.dtype == dtype
    same(module.state_dict(), state)
    same(to_torch_state_dict(module.params, kind), state)
    if not kind.endswith("Layer"):
        same(to_torch_state_dict(module.params), state)
    assert sum(x.size for x in state.values()) == module.params.flat.size


def test_separate_projections_and_a_path(tmp_path, rng):
    state = {
        "q_proj_weight": rng.standard_normal((4, 4)),
        "k_proj_weight": rng.standard_normal((4, 3)),
        "v_proj_weight": rng.standard_normal((4, 5)),
        "in_proj_bias": rng.standard_normal(12),
        "out_proj.weight": rng.standard_normal((4, 4)),
        "out_proj.bias": rng.standard_normal(4),
    }
    np.savez(tmp_path / "state.npz", **state)
    for path in (tmp_path / "state.npz", str(tmp_path / "state.npz")):
        module = from_torch_state_dict(path, n_heads=2)
        same(module.state_dict(), state)
        same(to_torch_state_dict(module.params), state)
    np.testing.assert_array_equal(module.params["attention.value.weight"], state["v_proj_weight"].T)


def test_the_parameters_are_copies_and_have_npformers_names(states):
    state = states["Transformer"]
    module = from_torch_state_dict(state, n_heads=3)
    before = module.params.flat.copy()
    for x in state.values():
        x[...] = 0
    np.testing.assert_array_equal(module.params.flat, before)
    config = EncoderDecoderConfig(
        vocab_size=9,
        d_model=6,
        n_heads=3,
        d_ff=7,
        n_encoder_layers=2,
        n_decoder_layers=1,
        max_positions=5,
        norm="pre",
    )
    model = EncoderDecoder(config)
    layers = {name for name in model.params if name.startswith(("encoder.", "decoder."))}
    assert layers == set(module.params)


def test_models_of_npformer_become_modules_of_pytorch():
    config = EncoderConfig(vocab_size=9, d_model=4, n_heads=2, d_ff=6, n_layers=2, max_positions=5)
    model = Encoder(config, dtype=np.float64)
    module = from_torch_state_dict(
        to_torch_state_dict(model.params), n_heads=2, activation="gelu", eps=config.eps, batch_first=True
    )
    ids = [[1, 2, 3], [4, 5, 6]]
    collected = model.forward(ids, collect=["embeddings"])[1].collected
    y, _ = module.forward(collected["embeddings"])
    np.testing.assert_array_equal(y, model.forward(ids)[0])
    decoder = Decoder(
        DecoderConfig.llama(vocab_size=9, d_model=4, n_heads=2, d_ff=6, n_layers=1, max_positions=5)
    )
    with pytest.raises(ValueError, match="decoder.0"):
        to_torch_state_dict(decoder.params)


ENCODER = "TransformerEncoder"


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"layers.1.linear1.bias": None}, {}, "layers.1.linear1.bias: expected shape (7,), got no such key"),
        ({"layers.0.norm2.weight": np.ones(5)}, {}, "layers.0.norm2.weight: expected shape (6,), got (5,)"),
        ({"embed.weight": np.ones(5)}, {}, "embed.weight: expected the keys of TransformerEncoder, got this"),
        ({"layers.0.self_attn.in_proj_bias": None}, {}, "in_proj_bias: expected shape (18,), got no such"),
        ({"layers.0.linear2.weight": None}, {}, "layers.0.linear2.weight: expected a matrix, got no such"),
        ({"layers.0.linear2.weight": np.ones(6)}, {}, "linear2.weight: expected a matrix, got shape (6,)"),
        ({"layers.3.norm1.weight": np.ones(6)}, {}, "layers.2.self_attn.in_proj_weight: expected shape"),
        ({}, {"n_heads": 4}, "n_heads: expected a divisor of d_model = 6, got 4"),
        ({}, {"n_heads": 0}, "n_heads: expected a divisor of d_model = 6, got 0"),
        ({}, {"activation": "swish"}, "activation: expected one of gelu, gelu_tanh, relu, silu, got"),
        ({}, {"eps": -1.0}, "eps: expected a number >= 0, got -1.0"),
        ({}, {"dropout": 1.0}, "dropout: expected a number in [0, 1), got 1.0"),
    ],
)
def test_mistakes_are_told_in_one_line(change, options, message, states):
    state = {key: x for key, x in (states[ENCODER] | change).items() if x is not None}
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        from_torch_state_dict(state, **{"n_heads": 2, **options})
    assert str(error.value).startswith("from_torch_state_dict: ")
    assert "\n" not in str(error.value)


def test_keys_of_something_else(states):
    whole = {f"model.{key}": x for key, x in states[ENCODER].items()}
    for state, got in ((whole, "model.layers.0.self_attn.in_proj_weight, "), ({}, "no key")):
        message = f"from_torch_state_dict: state: expected the keys of torch.nn's .*, no prefix, got {got}"
        with pytest.raises(ValueError, match=message):
            from_torch_state_dict(state, n_heads=2)


def test_what_is_not_supported_is_said(states):
    state = states["MultiheadAttention"]
    more = {"bias_k": np.ones((1, 1, 6)), "bias_v": np.ones((1, 1, 6))}
    with pytest.raises(ValueError, match="bias_k: add_bias_kv=True is not supported"):
        from_torch_state_dict(state | more, n_heads=2)
    with pytest.raises(TypeError, match="n_heads: expected an integer, got 2.0"):
        from_torch_state_dict(state, n_heads=2.0)
    with pytest.raises(TypeError, match="out_proj.bias: expected .* float32 or float64, got dtype int64"):
        from_torch_state_dict(state | {"out_proj.bias": np.ones(6, int)}, n_heads=2)


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "damaged.npz"
    np.savez_compressed(path, x=np.arange(1000.0))
    whole = path.read_bytes()
    for place in range(60, len(whole) - 150, 100):  # in the compressed array
        path.write_bytes(whole[:place] + bytes(20) + whole[place + 20 :])
        with pytest.raises(ValueError, match=r"damaged\.npz: expected an \.npz file of plain arrays"):
            from_torch_state_dict(path, n_heads=2)


def test_nothing_is_unpickled(tmp_path):
    for name in ("model.pt", "model.pth", "model.bin"):
        (tmp_path / name).write_bytes(b"never read")
        with pytest.raises(ValueError, match=r"expected an \.npz file, got a pickle.*safetensors"):
            from_torch_state_dict(tmp_path / name, n_heads=2)
    np.savez(tmp_path / "objects.npz", x=np.array([{}, {}], dtype=object))
    np.save(tmp_path / "one.npy", np.ones(3))
    (tmp_path / "text.npz").write_text("no")
    for name in ("objects.npz", "text.npz", "one.npy"):
        with pytest.raises(ValueError, match=r"expected an \.npz file of plain arrays"):
            from_torch_state_dict(tmp_path / name, n_heads=2)
    for name in ("missing.npz", "missing.pt"):
        with pytest.raises(FileNotFoundError, match="expected an .npz file, found no file of that name"):
            from_torch_state_dict(tmp_path / name, n_heads=2)
    with pytest.raises(TypeError, match="state: expected a mapping .* got list"):
        from_torch_state_dict([], n_heads=2)


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("Nonsense", {}, "kind: expected one of MultiheadAttention, TransformerEncoderLayer, "),
        ("TransformerEncoderLayer", {}, "encoder: expected one layer for TransformerEncoderLayer, got 2"),
        ("Transformer", {}, "decoder: expected layers for Transformer, got 0"),
        ("MultiheadAttention", {}, "attention.query.weight: expected a parameter, got no such name"),
        (None, {"encoder.1.feed_forward.up.bias": None}, "encoder.1.feed_forward.up.bias: expected"),
        (None, {"encoder.0.attention.query_norm.gamma": 1}, "TransformerEncoder has no place for it"),
        (None, {"encoder.0.attention.key.weight": np.ones((6, 3))}, "of shape (18, 6), got (15, 6)"),
    ],
)
def test_parameters_that_pytorch_has_no_place_for(kind, change, message, states):
    params = dict(from_torch_state_dict(states[ENCODER], n_heads=2).params) | change
    params = {name: x for name, x in params.items() if x is not None}
    with pytest.raises(ValueError, match=re.escape(message)):
        to_torch_state_dict(params, kind)


@pytest.mark.parametrize(
    ("kind", "sizes"),
    [
        ("MultiheadAttention", "d_model=6"),
        ("TransformerDecoderLayer", "decoder_layers=1, d_model=6"),
        ("Transformer", "encoder_layers=2, decoder_layers=1, d_model=6"),
    ],
)
def test_a_module_says_what_it_is_in_a_line(kind, sizes, states):
    module = from_torch_state_dict(states[kind], n_heads=2)
    count = sum(x.size for x in states[kind].values())
    assert repr(module) == f"{KINDS[kind].__name__}({kind}, {sizes}, n_heads=2, parameters={count:_})"


def test_the_room_is_among_the_lazy_names():
    assert npformer.interop.from_torch_state_dict is from_torch_state_dict
