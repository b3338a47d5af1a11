"""ELECTRA passes its proof, and fails it where a loss, a gradient or what is stored is broken."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from npformer.models.heads import ReplacedTokenHead
from npformer.nn import Embeddings
from npformer.objectives import ReplacedTokens
from npformer.objectives.replaced_tokens import ReplacedTokensBatch
from npformer.proof import golden, models
from npformer.proof.electra import MODELS, draw_point, prove_electra

GENERATOR, DISCRIMINATOR = MODELS
FILE = "golden_electra"


@pytest.mark.parametrize(
    ("seed", "directions"),
    [
        pytest.param(0, 1, marks=pytest.mark.thorough),
        *(pytest.param(seed, models.DIRECTIONS, marks=pytest.mark.exhaustive) for seed in range(20)),
    ],
)
def test_electra_passes(
    seed: int, directions: int, judged_well: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "DIRECTIONS", directions)
    judged_well(prove_electra(seed), MODELS, lambda label: draw_point(label, seed))


@pytest.mark.parametrize("label", MODELS)
@pytest.mark.parametrize("seed", range(20))
def test_the_point_is_generic(label: str, seed: int) -> None:
    point = draw_point(label, seed)
    batch, (_, grads) = point.batch, point.gradients(point.params)
    assert batch.tokens is not None
    wrong = batch.tokens != batch.targets
    assert wrong.any()
    assert not wrong.all()  # a token that happens to be right
    assert not batch.mask[-1].any()
    assert not batch.mask[1].all()
    assert set(np.unique(batch.segment_ids)) == {0, 1}
    assert point.apart < point.zero
    for name, gradient in grads.items():
        if name not in point.zero:
            assert np.abs(gradient).max() > 1e-5, name
        elif name in point.apart:
            assert not gradient.any(), name


@pytest.mark.parametrize(
    ("label", "own"),
    [(GENERATOR, "generator.embeddings.projection.bias"), (DISCRIMINATOR, "rtd.transform.bias")],
)
def test_some_parameters_by_every_check(label: str, own: str, failures: Any) -> None:
    """A shared one, one of the part's, and all by what is stored."""
    assert failures(draw_point(label, 0), FILE, label, ["embeddings.norm.gamma", own]) == {}


def test_both_losses_are_of_one_point() -> None:
    one, other = (golden.part(golden.load(FILE), label) for label in MODELS)
    for key, value in one.items():
        if not key.startswith(("grad/", "loss")):
            np.testing.assert_array_equal(other[key], value)


# A mistake: the parameters whose gradient is then wrong, and of which loss.
def _leak(monkeypatch: pytest.MonkeyPatch) -> None:
    """The discriminator's gradient goes on into the generator."""
    true = ReplacedTokens._discriminator

    def leaks(self: Any, model: Any, batch: Any, tokens: Any, params: Any, grads: Any, *rest: Any) -> Any:
        if grads is not None:
            grads["generator.mlm.bias"] += 1e-6 * self.weight
        return true(self, model, batch, tokens, params, grads, *rest)

    monkeypatch.setattr(ReplacedTokens, "_discriminator", leaks)


def _guesses_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that happens to be right counts as replaced: PyTorch alone can tell."""
    true = ReplacedTokensBatch.filled

    def filled(self: Any, tokens: Any) -> Any:
        ids, replaced = true(self, tokens)
        replaced.reshape(-1)[self.at] = True
        return ids, replaced

    monkeypatch.setattr(ReplacedTokensBatch, "filled", filled)


def _no_projection(monkeypatch: pytest.MonkeyPatch) -> None:
    """The projection's bias has no gradient."""
    true = Embeddings.backward

    def backward(self: Any, params: Any, dx: Any, cache: Any, grads: Any) -> None:
        before = grads[self.projection.bias].copy()
        true(self, params, dx, cache, grads)
        grads[self.projection.bias] = before

    monkeypatch.setattr(Embeddings, "backward", backward)


def _head(monkeypatch: pytest.MonkeyPatch) -> None:
    """The head's gradient is a tenth of a per mille too large below its first layer."""
    true = ReplacedTokenHead.backward
    monkeypatch.setattr(ReplacedTokenHead, "backward", lambda *arguments: true(*arguments) * 1.0001)


MISTAKES = [
    (_leak, DISCRIMINATOR, {"generator.mlm.bias": {"zero"}}),
    (_guesses_are_replaced, DISCRIMINATOR, {"rtd.logit.bias": {"torch"}, "out": {"torch"}}),
    (_no_projection, DISCRIMINATOR, {"embeddings.projection.bias": {"fd", "complex", "torch"}}),
    (_no_projection, GENERATOR, {"generator.embeddings.projection.bias": {"fd", "complex", "torch"}}),
    (_head, DISCRIMINATOR, {"embeddings.segment": {"fd", "complex", "torch"}}),
]


@pytest.mark.parametrize(("mistake", "label", "wrong"), MISTAKES)
def test_a_mistake_fails(
    mistake: Any, label: str, wrong: dict[str, set[str]], monkeypatch: pytest.MonkeyPatch, failures: Any
) -> None:
    mistake(monkeypatch)
    names = {*wrong, "rtd.logit.weight"} - {"out"}
    failed = failures(draw_point(label, 0), FILE, label, names)
    for name, checks in wrong.items():
        assert checks <= set(failed[name]), name
    if mistake is not _guesses_are_replaced:
        assert "rtd.logit.weight" not in failed
