"""A pre-trained encoder with a head for a task: what is taken over, and what begins fresh."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.models import with_task
from npformer.models.with_task import without_heads


def test_the_encoder_stays_and_the_head_is_fresh(make_encoder, inputs):
    pretrained = make_encoder(norm="pre", positions="rotary", pooler=True)
    before = pretrained.params.flat.copy()
    model = with_task(pretrained, "classify", 3, pooling="cls", dropout=0.1, rng=np.random.default_rng(7))
    np.testing.assert_array_equal(model.forward(**inputs)[0], pretrained.forward(**inputs)[0])
    c = model.config
    assert (c.task, c.n_labels, c.task_pooling, c.task_dropout) == ("classify", 3, "cls", 0.1)
    assert (c.mlm, c.pooler, c.positions) == (False, False, "rotary")
    assert not any(name.startswith(("mlm.", "pooler.")) for name in model.params)
    assert model.params.flat.dtype == np.float64
    assert model.params["task.weight"].std() == pytest.approx(c.init_std, rel=0.5)
    assert not model.params["task.bias"].any()
    model.params.flat[...] = 0
    np.testing.assert_array_equal(pretrained.params.flat, before)


def test_the_pooler_comes_along_where_it_is_asked_for(make_encoder):
    pretrained = make_encoder(pooler=True)
    model = with_task(pretrained, "regress", 1, pooling="pooler")
    np.testing.assert_array_equal(model.params["pooler.weight"], pretrained.params["pooler.weight"])
    fresh = with_task(make_encoder(), "regress", 1, pooling="pooler")
    assert fresh.params["pooler.weight"].std() == pytest.approx(0.02, rel=0.3)
    assert "pooler.weight" not in with_task(pretrained, "tag", 4, pooling="pooler").params


def test_another_tasks_head_is_not_taken_over(make_encoder):
    one = make_encoder(mlm=False, task="classify", n_labels=3)
    two = with_task(one, "tag", 3, rng=np.random.default_rng(1))
    assert np.abs(two.params["task.weight"]).max() < 0.2 < np.abs(one.params["task.weight"]).max()
    again = with_task(one, "tag", 3, rng=np.random.default_rng(1))
    np.testing.assert_array_equal(again.params.flat, two.params.flat)


@pytest.mark.parametrize("tied", [True, False])
def test_a_decoder_leaves_its_logits_behind(make_decoder, tied):
    pretrained = make_decoder(positions="rotary", norm_type="rms_norm", bias=False, tied=tied)
    model = with_task(pretrained, "classify", 3, pooling="last", dropout=0.1, rng=np.random.default_rng(7))
    ids = [[2, 7, 5, 7, 3], [4, 9, 3, 1, 12]]
    np.testing.assert_array_equal(model.forward(ids)[0], pretrained.forward(ids)[0])
    c = model.config
    assert (c.lm, c.task, c.n_labels, c.task_pooling, c.task_dropout) == (False, "classify", 3, "last", 0.1)
    left = set(pretrained.params) - set(model.params)
    assert left == (set() if tied else {"lm_head.weight"})
    model.params.flat[...] = 0
    assert pretrained.params.flat.any()


def test_no_head_is_left_whichever_there_was(make_encoder, make_decoder):
    for model in (make_encoder(mlm=False, task="classify", n_labels=3), make_decoder(tied=False)):
        for one in (model, with_task(model, "tag", 4)):
            bare = without_heads(one)
            assert (bare.config.task, bare.config.n_labels) == (None, 0)
            heads = ("task.", "lm_head.", "mlm.", "pooler.")
            assert not [name for name in bare.params if name.startswith(heads)]
            np.testing.assert_array_equal(bare.forward([[2, 7, 5]])[0], one.forward([[2, 7, 5]])[0])


def test_bad_choices_are_named(make_encoder, make_decoder, make_encoder_decoder):
    with pytest.raises(ValueError, match="n_labels: expected at least 2"):
        with_task(make_encoder(), "classify", 1)
    with pytest.raises(ValueError, match="task_pooling: expected one of mean, last, got 'cls'"):
        with_task(make_decoder(), "classify", 2, pooling="cls")
    with pytest.raises(TypeError, match="expected an Encoder or Decoder, got EncoderDecoder"):
        with_task(make_encoder_decoder(), "classify", 2)
