"""The whole encoder-decoder passes its proof, and fails it where the model or what is stored is broken."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import npformer.objectives._tokens
from npformer.models import Unembedding
from npformer.nn import CrossAttention, Embeddings
from npformer.proof import encoder_decoder as proof
from npformer.proof import models
from npformer.proof.encoder_decoder import MODELS, POST, PRE, draw_point, prove_encoder_decoder

FILE = "golden_encoder_decoder"


# One direction of the eight, of one of the models, or two: `npformer verify`, which .ci/run runs, takes all,
# as do twenty seeds.
PASSES = pytest.mark.parametrize(
    ("seed", "directions", "labels"),
    [
        (0, 1, [PRE]),
        pytest.param(1, 2, list(MODELS), marks=pytest.mark.thorough),
        *(
            pytest.param(seed, models.DIRECTIONS, list(MODELS), marks=pytest.mark.exhaustive)
            for seed in range(20)
        ),
    ],
)


@PASSES
def test_the_encoder_decoder_passes(
    seed: int, directions: int, labels: list[str], judged_well: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "DIRECTIONS", directions)
    true = proof.prove_points
    monkeypatch.setattr(proof, "prove_points", lambda _, *more: true(labels, *more))
    judged_well(prove_encoder_decoder(seed), labels, lambda label: draw_point(label, seed))


@pytest.mark.parametrize("label", MODELS)
@pytest.mark.parametrize("seed", range(20))
def test_the_point_is_generic(label: str, seed: int, generic: Callable[..., None]) -> None:
    point = draw_point(label, seed)
    generic(point)
    batch = point.batch
    assert not batch.mask[-1].any()  # a target that is nothing but padding
    assert not batch.source_mask[-2].any()  # and such a source
    assert batch.mask[-2].all()
    assert batch.source_mask[1].any()
    assert not batch.source_mask[1].all()
    assert batch.mask[2].any()
    assert not batch.mask[2].all()
    S, T = batch.source_ids.shape[1], batch.ids.shape[1]
    assert T < S < point.model.config.max_positions
    assert point.zero == {
        f"{block}.key.bias"
        for i in range(2)
        for block in (f"encoder.{i}.attention", f"decoder.{i}.attention", f"decoder.{i}.cross_attention")
    }


def _without_scale(true: Any) -> Any:
    def backward(self: Any, *arguments: Any) -> None:
        unscaled = copy.copy(self)
        unscaled.scale = 1.0
        true(unscaled, *arguments)

    return backward


# Whose backward, what stands in its place, and parameters whose gradient is then wrong.
MISTAKES: dict[str, tuple[str, Any, Callable[..., Any], list[str]]] = {
    "the memory's gradient is missing from one layer": (
        POST,
        CrossAttention,
        lambda true: (
            lambda self, params, dy, cache, grads, dmemory: true(
                self, params, dy, cache, grads, dmemory * 0 if self.name.startswith("decoder.1") else dmemory
            )
        ),
        ["encoder.1.feed_forward.down.weight"],
    ),
    "each layer overwrites the memory's gradient": (
        PRE,
        CrossAttention,
        lambda true: (
            lambda self, params, dy, cache, grads, dmemory: true(
                self, params, dy, cache, grads, np.multiply(dmemory, 0, out=dmemory)
            )
        ),
        ["encoder.norm.gamma"],
    ),
    "the tied embedding is counted as an input alone": (
        POST,
        Unembedding,
        lambda true: lambda self, params, dlogits, cache, grads: true(self, params, dlogits, cache, {}),
        ["embeddings.token"],
    ),
    "the embedding's scale is forgotten": (PRE, Embeddings, _without_scale, ["embeddings.token"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_broken_block_fails(mistake: str, monkeypatch: pytest.MonkeyPatch, failures: Any) -> None:
    label, block, breaks, wrong = MISTAKES[mistake]
    monkeypatch.setattr(block, "backward", breaks(block.backward))
    right = "decoder.1.feed_forward.down.bias"
    failed = failures(draw_point(label, 0), FILE, label, [*wrong, right])
    for parameter in wrong:
        assert {"fd", "complex", "torch"} <= set(failed[parameter])
    assert not {"out", right} & set(failed)


def test_smoothing_that_the_backward_forgets_fails(monkeypatch: pytest.MonkeyPatch, failures: Any) -> None:
    true = npformer.objectives._tokens.cross_entropy

    def forgetful(logits: Any, targets: Any, *, reduction: str, label_smoothing: float) -> Any:
        loss, _ = true(logits, targets, reduction=reduction, label_smoothing=label_smoothing)
        return loss, true(logits, targets, reduction=reduction)[1]

    monkeypatch.setattr(npformer.objectives._tokens, "cross_entropy", forgetful)
    wrong = "decoder.1.feed_forward.down.bias"
    failed = failures(draw_point(POST, 0), FILE, POST, [wrong])
    assert failed[wrong] == ["fd", "complex", "torch"]
    assert "out" not in failed


def test_a_mask_that_cross_attention_drops_is_seen_by_the_stored_values(
    monkeypatch: pytest.MonkeyPatch, failures: Any
) -> None:
    """Attention to the source's padding: forward and backward agree, PyTorch does not."""
    true = CrossAttention.forward
    monkeypatch.setattr(CrossAttention, "forward", lambda self, *a, mask=None, **k: true(self, *a, **k))
    failed = failures(draw_point(POST, 0), FILE, POST, ["decoder.0.cross_attention.output.bias"])
    assert failed["out"] == ["torch"]
    assert failed["decoder.0.cross_attention.output.bias"] == ["torch"]
