"""Against torch.nn itself: drawn configurations, outputs and every gradient; state dicts that it loads."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npformer.gradcheck import error_of
from npformer.interop import from_torch_state_dict, to_torch_state_dict
from npformer.models import EncoderDecoder, EncoderDecoderConfig

pytestmark = pytest.mark.extra
torch = pytest.importorskip("torch", reason="needs torch: pip install '.[parity]'")

TOLERANCE = 1e-12
LAYERS = ["TransformerEncoderLayer", "TransformerDecoderLayer"]
KINDS = [*LAYERS, "TransformerEncoder", "TransformerDecoder", "Transformer"]


@st.composite
def configurations(draw):
    h = draw(st.integers(1, 3))
    return {
        "kind": draw(st.sampled_from(KINDS)),
        "h": h,
        "d": h * draw(st.integers(4 - h, 4)),  # layer norm of one or two features hands on rounding alone
        "d_ff": draw(st.integers(1, 5)),
        "layers": draw(st.integers(1, 3)),
        "sizes": [draw(st.integers(1, 4)) for _ in range(3)],  # B, T, S
        "norm_first": draw(st.booleans()),
        "activation": draw(st.sampled_from(["relu", "gelu"])),
        "bias": draw(st.booleans()),
        "final_norm": draw(st.booleans()),
        "batch_first": draw(st.booleans()),
        "batched": draw(st.booleans()),
        "eps": draw(st.sampled_from([1e-5, 1e-3])),
        "masks": draw(st.sampled_from(["none", "bool", "float", "by head"])),
        "seed": draw(st.integers(0, 2**32 - 1)),
    }


def build(c):
    options = {
        "dim_feedforward": c["d_ff"],
        "dropout": 0.0,
        "activation": c["activation"],
        "layer_norm_eps": c["eps"],
        "batch_first": c["batch_first"],
        "norm_first": c["norm_first"],
        "bias": c["bias"],
        "dtype": torch.float64,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if c["kind"] == "Transformer":
            module = torch.nn.Transformer(c["d"], c["h"], c["layers"], 1, **options)
        else:
            module = getattr(torch.nn, c["kind"].removesuffix("Layer") + "Layer")(c["d"], c["h"], **options)
            if c["kind"] not in LAYERS:
                norm = torch.nn.LayerNorm(c["d"], c["eps"], dtype=torch.float64) if c["final_norm"] else None
                module = getattr(torch.nn, c["kind"])(module, c["layers"], norm)
    generator = torch.Generator().manual_seed(c["seed"])
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(
                torch.randn(p.shape, generator=generator, dtype=p.dtype) / p.shape[-1] ** 0.5 + (p.ndim == 1)
            )
    return module.train()


def draw_mask(rng, which, h, batch, t, s):
    """An attention mask and a padding mask of one kind; every query has a key."""
    if which == "none":
        return None, None
    attention = rng.random((batch * h, t, s) if which == "by head" else (t, s)) < 0.4
    padding = rng.random((batch, s)) < 0.3
    attention[..., 0] = padding[:, 0] = False
    if which != "float":
        return attention, padding
    return tuple(np.where(x, -np.inf, rng.standard_normal(x.shape)) for x in (attention, padding))


def layout(x, c):
    return x[0] if not c["batched"] else x if c["batch_first"] else np.ascontiguousarray(x.swapaxes(0, 1))


def problem(c, rng):
    """Inputs and masks by name, as PyTorch wants them."""
    batch, t, s = c["sizes"]
    batch = batch if c["batched"] else 1
    lengths = {"src": s, "tgt": t, "memory": s}
    names = ["src", "tgt"] if c["kind"] == "Transformer" else ["tgt", "memory"]
    names = ["src"] if "Encoder" in c["kind"] else names
    inputs = {name: layout(rng.standard_normal((batch, lengths[name], c["d"])), c) for name in names}
    masks = {}
    for name in ("src", "tgt", "memory"):
        if name in inputs or name == "memory" and "tgt" in inputs:
            t_q = t if name == "memory" else lengths[name]
            attention, padding = draw_mask(rng, c["masks"], c["h"], batch, t_q, lengths[name])
            if attention is not None:
                masks[f"{name}_mask"] = attention
                masks[f"{name}_key_padding_mask"] = padding if c["batched"] else padding[0]
    return inputs, masks


@settings(max_examples=150, deadline=None, derandomize=True)
@given(configurations())
def test_outputs_and_every_gradient_are_those_of_torch(c):
    rng = np.random.default_rng(c["seed"])
    reference = build(c)
    inputs, masks = problem(c, rng)
    tensors = {name: torch.tensor(x, requires_grad=True) for name, x in inputs.items()}
    theirs = {name: torch.tensor(x) for name, x in masks.items()}
    if c["kind"] == "TransformerEncoder" and "src_mask" in theirs:
        theirs["mask"] = theirs.pop("src_mask")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out = reference(*tensors.values(), **theirs)
    dy = rng.standard_normal(out.shape)
    out.backward(torch.tensor(dy))

    module = from_torch_state_dict(
        reference.state_dict(),
        n_heads=c["h"],
        norm_first=c["norm_first"],
        activation=c["activation"],
        eps=c["eps"],
        batch_first=c["batch_first"],
    )
    assert module.structure.kind == c["kind"]
    y, cache = module.forward(*tensors.values(), **masks)  # tensors are taken as they are
    grads = module.params.zeros_like()
    dx = module.backward(dy, cache, grads)
    dx = dx if isinstance(dx, tuple) else (dx,)
    given = module.gradients_as_state_dict(grads) | dict(zip(inputs, dx, strict=True))
    expected = {name: p.grad.numpy() for name, p in reference.named_parameters()}
    expected |= {name: x.grad.numpy() for name, x in tensors.items()}
    assert given.keys() == expected.keys()
    scale = max(np.abs(x).max() for x in expected.values())
    assert error_of(y, out.detach().numpy()) <= TOLERANCE
    for name, x in expected.items():
        assert error_of(given[name], x, scale) <= TOLERANCE, name


@settings(max_examples=80, deadline=None, derandomize=True)
@given(configurations(), st.sampled_from(["self", "cross", "widths"]))
def test_attention_and_its_maps_are_those_of_torch(c, use):
    rng = np.random.default_rng(c["seed"])
    batch, t, s = c["sizes"]
    batch = batch if c["batched"] else 1
    widths = {"kdim": c["d"] + 1, "vdim": c["d_ff"]} if use == "widths" else {}
    reference = torch.nn.MultiheadAttention(
        c["d"], c["h"], bias=c["bias"], batch_first=c["batch_first"], dtype=torch.float64, **widths
    )
    s = t if use == "self" else s
    shapes = [
        (batch, t, c["d"]),
        (batch, s, widths.get("kdim", c["d"])),
        (batch, s, widths.get("vdim", c["d"])),
    ]
    inputs = [
        layout(rng.standard_normal(shape), c) for shape in shapes[: {"self": 1, "cross": 2, "widths": 3}[use]]
    ]
    attention, padding = draw_mask(rng, c["masks"], c["h"], batch, t, s)
    masks = {
        "attn_mask": attention,
        "key_padding_mask": padding if c["batched"] or padding is None else padding[0],
    }
    tensors = [torch.tensor(x, requires_grad=True) for x in inputs]
    theirs = {name: None if x is None else torch.tensor(x) for name, x in masks.items()}
    out, maps = reference(*(tensors + 2 * tensors[-1:])[:3], **theirs, average_attn_weights=c["final_norm"])
    dy = rng.standard_normal(out.shape)
    out.backward(torch.tensor(dy))

    module = from_torch_state_dict(reference.state_dict(), n_heads=c["h"], batch_first=c["batch_first"])
    y, cache = module.forward(*inputs, **masks, need_weights=True, average_attn_weights=c["final_norm"])
    grads = module.params.zeros_like()
    dx = module.backward(dy, cache, grads)
    expected = {name: p.grad.numpy() for name, p in reference.named_parameters()}
    given = module.gradients_as_state_dict(grads)
    scale = max(np.abs(x).max() for x in expected.values())
    assert error_of(y, out.detach().numpy()) <= TOLERANCE
    assert error_of(cache.attention_weights["attention.weights"], maps.detach().numpy()) <= TOLERANCE
    assert given.keys() == expected.keys()
    for name, x in expected.items():
        assert error_of(given[name], x, scale) <= TOLERANCE, name
    for mine, tensor in zip(dx, tensors, strict=False):
        assert error_of(mine, tensor.grad.numpy(), scale) <= TOLERANCE


@pytest.mark.parametrize("kind", ["MultiheadAttention", *KINDS])
def test_torch_loads_what_is_given_back(kind):
    c = {"kind": kind, "h": 2, "d": 6, "d_ff": 5, "layers": 2, "norm_first": False, "activation": "relu"}
    c |= {"bias": True, "final_norm": True, "batch_first": True, "eps": 1e-5, "seed": 3}
    one = torch.nn.MultiheadAttention(6, 2) if kind == "MultiheadAttention" else build(c)
    module = from_torch_state_dict(one.state_dict(), n_heads=2)
    other = torch.nn.MultiheadAttention(6, 2) if kind == "MultiheadAttention" else build({**c, "seed": 4})
    state = to_torch_state_dict(module.params, kind)
    assert list(state) == list(one.state_dict())
    other.load_state_dict({key: torch.from_numpy(x) for key, x in state.items()})
    for key, x in one.state_dict().items():
        assert torch.equal(x, other.state_dict()[key]), key


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("norm", ["post", "pre"])
def test_torch_loads_an_encoder_decoder_of_either_form(norm):
    config = EncoderDecoderConfig(9, 4, 2, 6, 2, 2, max_positions=5, norm=norm)
    state = to_torch_state_dict(EncoderDecoder(config).params)
    tensors = {key: torch.from_numpy(x) for key, x in state.items()}
    whole = torch.nn.Transformer(4, 2, 2, 2, 6)
    if norm == "post":
        with pytest.raises(RuntimeError, match="Missing key.*encoder.norm.weight.*decoder.norm.bias"):
            whole.load_state_dict(tensors)
        encoder = torch.nn.TransformerEncoder(torch.nn.TransformerEncoderLayer(4, 2, 6), 2, norm=None)
        decoder = torch.nn.TransformerDecoder(torch.nn.TransformerDecoderLayer(4, 2, 6), 2, norm=None)
        whole = torch.nn.Transformer(4, 2, custom_encoder=encoder, custom_decoder=decoder)
    whole.load_state_dict(tensors)
    for key, x in tensors.items():
        assert torch.equal(x, whole.state_dict()[key]), key


def test_what_the_page_says_of_rows_without_keys_is_so():
    module = torch.nn.MultiheadAttention(4, 2, batch_first=True, dtype=torch.float64)
    x, padding = torch.ones(1, 3, 4, dtype=torch.float64), torch.ones(1, 3, dtype=torch.bool)
    assert module(x, x, x, key_padding_mask=padding)[0].isnan().all()
    assert not module(x, x, x, key_padding_mask=padding, need_weights=False)[0].isnan().any()
    with torch.no_grad():
        module.eval()
        assert module(x, x, x, key_padding_mask=padding, need_weights=False)[0].isnan().all()


def test_bfloat16_is_refused_in_one_line():
    module = torch.nn.MultiheadAttention(4, 2, dtype=torch.bfloat16)
    with pytest.raises(TypeError, match=r"in_proj_weight: expected .* got dtype torch\.bfloat16"):
        from_torch_state_dict(module.state_dict(), n_heads=2)
