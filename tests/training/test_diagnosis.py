"""A NaN or an infinity put into a block is found there, not where it comes out."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.objectives import MaskedLM, Seq2Seq, SequenceClassification, Similarity
from npformer.training.diagnosis import find_not_finite

B, T, V = 6, 6, 13


def make(make_encoder, norm="pre", dropout=0.0):
    model = make_encoder(0, norm=norm, positions="rotary", dropout=dropout)
    ids = np.random.default_rng(0).integers(5, V, (B, T))
    objective = MaskedLM(V, 4, range(5), rate=0.4)
    return model, objective, objective.make_batch(ids, ids > 0, generators(1))


def generators(purpose):
    return [np.random.default_rng((purpose, b)) for b in range(B)]


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize(
    ("parameter", "value", "where"),
    [
        ("encoder.0.attention.key.weight", np.nan, "the output of encoder.0.attention "),
        ("encoder.0.feed_forward.down.bias", np.inf, "the output of encoder.0.feed_forward "),
        ("encoder.1.attention.output.bias", -np.inf, "the output of encoder.1.attention "),
        ("encoder.1.feed_forward.up.weight", np.nan, "the output of encoder.1.feed_forward "),
        ("encoder.1.feed_forward_norm.beta", np.nan, "the output of encoder.1"),
        ("mlm.norm.gamma", np.nan, "the logits "),
        ("mlm.bias", np.inf, "the logits "),
    ],
)
def test_a_parameter(make_encoder, norm, parameter, value, where):
    model, objective, batch = make(make_encoder, norm)
    model.params[parameter].flat[1] = value
    found = find_not_finite(model, objective, batch)
    assert found.where.startswith(where)
    assert f"(parameter {parameter} is not finite)" in found.where


def test_a_token_of_one_sequence_points_to_its_micro_batch(make_encoder):
    model, objective, batch = make(make_encoder)
    batch.ids[...] = 7
    batch.ids[3, 2] = 9
    forward = model.embeddings.forward

    def poisoned(params, ids, *others):
        x, cache = forward(params, ids, *others)
        x[ids == 9] = np.nan
        return x, cache

    model.embeddings.forward = poisoned
    found = find_not_finite(model, objective, batch, micro_tokens=2 * T)
    assert found == ("the output of embeddings", (2, 4))


@pytest.mark.parametrize(("token", "where"), [(7, "source_embeddings"), (8, "embeddings")])
def test_an_embedding_of_either_side_of_a_pair(make_encoder_decoder, token, where):
    model = make_encoder_decoder()
    source, target = np.array([[5, 7, 2]]), np.array([[1, 8, 6, 2]])
    batch = Seq2Seq().make_batch(source, source > 0, target, target > 0)
    model.params["embeddings.token"][token] = np.nan
    found = find_not_finite(model, Seq2Seq(), batch)
    assert found.where == f"the output of {where} (parameter embeddings.token is not finite)"


def test_a_tied_embedding_shows_in_the_logits_of_sequences_that_do_not_hold_its_token(make_encoder):
    model, objective, batch = make(make_encoder)
    batch.ids[...] = 7
    model.params["embeddings.token"][9] = np.nan
    found = find_not_finite(model, objective, batch)
    assert found.where == "the logits (parameter embeddings.token is not finite)"


def test_an_overflow_of_finite_parameters(make_encoder):
    model, objective, batch = make(make_encoder)
    model.params["encoder.1.attention.value.weight"][...] = 1e200
    model.params["encoder.1.attention.output.weight"][...] = 1e200
    assert find_not_finite(model, objective, batch).where == "the output of encoder.1.attention"


def test_a_gradient_that_overflows_behind_a_sound_loss(make_encoder):
    model, objective, batch = make(make_encoder, dropout=0.2)
    block = model.stack.layers[0].feed_forward.branch
    backward = block.backward

    def overflows(params, dy, cache, grads):
        dx = backward(params, dy, cache, grads)
        dx[0, 0, 0] = np.inf
        return dx

    block.backward = overflows
    found = find_not_finite(model, objective, batch, generators(2))
    assert found.where.startswith("the gradient of encoder.0.feed_forward_norm")


def test_nothing_wrong_is_not_blamed_on_a_block(make_encoder):
    assert find_not_finite(*make(make_encoder)) == ("the sum of the gradients", None)


@pytest.mark.parametrize("pooling", ["mean", "pooler"])
def test_a_head_for_a_task_and_its_pooler(make_encoder, pooling):
    model = make_encoder(mlm=False, pooler=True, task="classify", n_labels=3, task_pooling=pooling)
    ids = np.random.default_rng(0).integers(5, V, (B, T))
    ids[1, 2:] = 0
    objective = SequenceClassification(3)
    batch = objective.make_batch(ids, ids > 0, [0, 1, 2, 0, 1, 2])
    name = "pooler.bias" if pooling == "pooler" else "task.weight"
    model.params[name].flat[0] = np.nan
    found = find_not_finite(model, objective, batch, generators(2))
    assert found.where == f"the logits (parameter {name} is not finite)"


def test_a_pair_without_a_head(make_encoder):
    model = make_encoder(mlm=False)
    ids = np.random.default_rng(0).integers(5, V, (B, 2, T))
    batch = Similarity().make_batch(ids, ids > 0, np.linspace(-1, 1, B))
    assert find_not_finite(model, Similarity(), batch).where == "the sum of the gradients"
    model.params["encoder.1.feed_forward.up.weight"][0, 0] = np.nan
    found = find_not_finite(model, Similarity(), batch)
    assert found.where.startswith("the output of encoder.1.feed_forward (parameter encoder.1.feed_forward.up")
