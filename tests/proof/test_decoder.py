"""The whole decoder passes its proof, and fails it where the model or what is stored is broken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import npformer.models.decoder
import npformer.models.heads
import npformer.nn.feed_forward
import npformer.nn.layers
from npformer.nn import SelfAttention
from npformer.proof import models
from npformer.proof.decoder import (
    GPT2,
    LEFT_PADDED,
    LLAMA,
    MODELS,
    MODERN,
    PREFIXED,
    draw_point,
    prove_decoder,
)

FILE = "golden_decoder"


# One direction of the eight, or two: `npformer verify`, which .ci/run runs, takes all, as do twenty seeds.
PASSES = pytest.mark.parametrize(
    ("seed", "directions"),
    [
        (0, 1),
        pytest.param(1, 2, marks=pytest.mark.thorough),
        *(pytest.param(seed, models.DIRECTIONS, marks=pytest.mark.exhaustive) for seed in range(20)),
    ],
)


@PASSES
def test_the_decoder_passes(
    seed: int, directions: int, judged_well: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "DIRECTIONS", directions)
    judged_well(prove_decoder(seed), MODELS, lambda label: draw_point(label, seed))


@pytest.mark.parametrize("label", MODELS)
@pytest.mark.parametrize("seed", range(20))
def test_the_point_is_generic(label: str, seed: int, generic: Callable[..., None]) -> None:
    point = draw_point(label, seed)
    generic(point)
    ids, mask = point.batch.ids, point.batch.mask
    assert not mask[-1].any()  # a sequence that is nothing but padding
    assert mask[1, 0]
    assert not mask[1, -1]
    assert (not mask[2, 0] and mask[2, -1]) == (label in LEFT_PADDED)
    assert (point.batch.prefix is not None) == (label in PREFIXED)
    assert (ids[mask][:, None] == ids[mask]).sum() > mask.sum()  # repeats
    assert ids.shape[1] < point.model.config.max_positions


def test_the_gradients_known_to_be_zero_are_those_of_the_key_biases() -> None:
    assert draw_point(GPT2, 0).zero == {f"decoder.{i}.attention.key.bias" for i in range(2)}
    assert not draw_point(LLAMA, 0).zero
    assert not draw_point(MODERN, 0).zero


# One line each: where it is, what stands there then, and parameters whose gradient is wrong.
MISTAKES: dict[str, tuple[str, Any, str, Callable[..., Any], list[str]]] = {
    "the causal mask is missing in the forward that the backward belongs to": (
        GPT2,
        SelfAttention,
        "forward",
        lambda true: (
            lambda self, *a, keep=True, causal=False, **k: true(
                self, *a, keep=keep, causal=causal and not keep, **k
            )
        ),
        ["decoder.0.attention.query.weight"],
    ),
    "the gate's gradient is missing in SwiGLU": (
        LLAMA,
        npformer.nn.feed_forward,
        "swiglu_backward",
        lambda true: lambda da, cache: (true(da, cache)[0] * 0, true(da, cache)[1]),
        ["decoder.1.feed_forward.gate.weight"],
    ),
    "RMSNorm's gamma is averaged over the rows": (
        LLAMA,
        npformer.nn.layers,
        "rms_norm_backward",
        lambda true: lambda dy, cache: (true(dy, cache)[0], true(dy, cache)[1] / dy[..., 0].size),
        ["decoder.1.attention_norm.gamma", "decoder.norm.gamma"],
    ),
    "the soft cap of the logits has no slope": (
        MODERN,
        npformer.models.heads,
        "tanh_backward",
        lambda true: lambda dlogits, cache: dlogits,
        ["decoder.1.feed_forward_norm.beta"],
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_broken_block_fails(mistake: str, monkeypatch: pytest.MonkeyPatch, failures: Any) -> None:
    label, place, name, breaks, wrong = MISTAKES[mistake]
    monkeypatch.setattr(place, name, breaks(getattr(place, name)))
    failed = failures(draw_point(label, 0), FILE, label, wrong)
    for parameter in wrong:
        assert {"fd", "complex", "torch"} <= set(failed[parameter])
    assert ("out" in failed) == (name == "forward")


FORGOTTEN: dict[str, tuple[str, Any, str, Callable[..., Any]]] = {
    "learned positions count the padding on the left": (
        GPT2,
        npformer.models._arguments,
        "positions",
        lambda true: lambda mask: None,
    ),
    "attention to later tokens": (
        MODERN,
        SelfAttention,
        "forward",
        lambda true: lambda self, *a, causal=False, **k: true(self, *a, **k),
    ),
}


@pytest.mark.parametrize("mistake", FORGOTTEN)
def test_what_the_forward_forgets_is_seen_by_the_stored_values(
    mistake: str, monkeypatch: pytest.MonkeyPatch, failures: Any
) -> None:
    """Forward and backward agree, PyTorch does not."""
    label, place, name, breaks = FORGOTTEN[mistake]
    monkeypatch.setattr(place, name, breaks(getattr(place, name)))
    failed = failures(draw_point(label, 0), FILE, label)
    assert failed["out"] == ["torch"]
    assert failed["decoder.0.attention.value.weight"] == ["torch"]


@pytest.mark.parametrize("option", ["window", "softcap", "alibi"])
def test_an_option_of_attention_that_is_passed_over_is_seen(option: str, failures: Any) -> None:
    point = draw_point(MODERN, 0)
    for layer in point.model.stack.layers:
        setattr(layer.attention.branch, option, None)
    assert failures(point, FILE, MODERN)["out"] == ["torch"]
