"""Freezing: the same values, no gradient for what is frozen, and the same gradient for the rest."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.functional import cross_entropy, cross_entropy_backward
from npformer.models import add_lora, freeze
from npformer.nn import DecoderLayer, Embeddings, EncoderLayer
from npformer.optim import AdamW

SOURCE = np.array([[5, 6, 7, 6, 2], [8, 6, 2, 0, 0]])
TARGET = np.array([[1, 9, 4, 9], [1, 3, 7, 2]])
KINDS = ("encoder", "encoder, pre-norm", "decoder", "modern decoder", "encoder-decoder")


@pytest.fixture
def make(make_encoder, make_decoder, make_encoder_decoder):
    modern = {
        "activation": "swiglu", "norm_type": "rms_norm", "positions": "rotary", "tied": False, "qk_norm": True
    }  # fmt: skip
    makers = (
        lambda: (make_encoder(pooler=True), (SOURCE,)),
        lambda: (make_encoder(norm="pre", positions="rotary", pooler=True), (SOURCE,)),
        lambda: (make_decoder(), (TARGET,)),
        lambda: (make_decoder(**modern), (TARGET,)),
        lambda: (make_encoder_decoder(positions="learned"), (SOURCE, TARGET)),
    )
    return dict(zip(KINDS, makers, strict=True))


def backward_of(model, arguments):
    """Of a loss that every parameter is in: of all tokens, and of the pooled vectors if there is a pooler."""
    params = model.params
    hidden, cache = model.forward(*arguments)
    head = model.mlm_head if hasattr(model, "mlm_head") else model.lm_head
    logits, c_head = head.forward(params, hidden)
    _, c_loss = cross_entropy(logits, arguments[-1])
    pooled = None
    if hasattr(model, "pooler"):
        pooled, c_pooler = model.pooler.forward(params, hidden[:, 0])

    def gradients(of):
        grads = of.params.zeros_like()
        dhidden = head.backward(params, cross_entropy_backward(1.0, c_loss), c_head, grads)
        if pooled is not None:
            dhidden[:, 0] += model.pooler.backward(params, pooled, c_pooler, grads)
        model.backward(dhidden, cache, grads)
        return grads

    return gradients


@pytest.mark.parametrize("kind", KINDS)
def test_any_parameter_can_be_frozen_and_the_others_have_the_same_gradients(make, kind):
    model, arguments = make[kind]()
    gradients = backward_of(model, arguments)
    whole, names = gradients(model), list(model.params)
    assert list(whole) == names
    assert all(np.abs(whole[name]).max() > 0 for name in names)
    for frozen in (names[::2], names[1::2], *(names[:i] + names[i + 1 :] for i in range(len(names)))):
        others = gradients(freeze(model, frozen))
        assert set(others) == set(names) - set(frozen)
        for name in others:
            np.testing.assert_array_equal(others[name], whole[name], err_msg=name)


def test_the_values_are_the_same_and_shared_with_nobody(make_encoder):
    model = make_encoder()
    before = model.params.copy()
    frozen = freeze(model, ["embeddings", "encoder.0"])
    assert {n.split(".")[0] + n.split(".")[1][:1] for n in frozen.params.frozen if n[:3] == "enc"} == {
        "encoder0"
    }
    for name in model.params:
        np.testing.assert_array_equal(frozen.params[name], model.params[name])
    AdamW(frozen.params.flat, 0.1).step(np.ones_like(frozen.params.flat))
    np.testing.assert_array_equal(frozen.params["embeddings.token"], before["embeddings.token"])
    assert (frozen.params["encoder.1.feed_forward.up.bias"] != before["encoder.1.feed_forward.up.bias"]).all()
    np.testing.assert_array_equal(model.params.flat, before.flat)
    assert not model.params.frozen


def test_names_are_whole_parts_and_a_predicate_may_choose(make_encoder):
    model = make_encoder(n_layers=11)
    frozen = freeze(model, ["encoder.1"]).params.frozen
    assert {name.split(".")[1] for name in frozen} == {"1"}
    biases = freeze(model, lambda name: not name.endswith((".bias", ".beta")))  # train biases alone
    assert all(name.endswith((".bias", ".beta")) for name in biases.params.layout)


def test_what_is_frozen_stays_frozen(make_encoder):
    adapted = add_lora(make_encoder(), r=2)
    more = freeze(adapted, ["encoder.0"])
    assert more.params.frozen > adapted.params.frozen
    assert all(name.startswith("encoder.1.") for name in more.params.layout)
    assert more.config == adapted.config


def test_bad_names_are_refused(make_encoder):
    model = make_encoder()
    with pytest.raises(TypeError, match="names: expected a list of names, got the string 'embeddings'"):
        freeze(model, "embeddings")
    with pytest.raises(ValueError, match=r"expected beginnings of parameters' names, .*, got 'encoder\.2'"):
        freeze(model, ["encoder.0", "encoder.2"])
    with pytest.raises(ValueError, match="expected something left to train, got all parameters"):
        freeze(model, ["embeddings", "encoder", "mlm"])


@pytest.mark.parametrize(
    ("kind", "names", "expected"),
    [
        ("encoder", [], ["encoder.1", "encoder.0", "embeddings"]),
        ("encoder", ["embeddings"], ["encoder.1", "encoder.0"]),
        ("encoder", ["encoder.0"], ["encoder.1", "encoder.0", "embeddings"]),
        ("decoder", ["embeddings", "decoder.0"], ["decoder.1"]),
        ("encoder, pre-norm", ["embeddings", "encoder.0", "encoder.1"], []),
        ("encoder-decoder", ["embeddings", "encoder", "decoder.0"], ["decoder.1"]),
        (
            "encoder-decoder",
            ["embeddings", "encoder.0", "decoder.0"],
            ["decoder.1", "decoder.0", "encoder.1"],
        ),
    ],
)
def test_a_backward_ends_at_the_lowest_layer_that_is_trained(make, monkeypatch, kind, names, expected):
    model, arguments = make[kind]()
    gradients, ran = backward_of(model, arguments), []
    for block in (EncoderLayer, DecoderLayer, Embeddings):
        true = block.backward

        def noted(self, *arguments, true=true, **more):
            ran.append(getattr(self, "name", "embeddings"))
            return true(self, *arguments, **more)

        monkeypatch.setattr(block, "backward", noted)
    gradients(freeze(model, names))
    assert ran == expected
