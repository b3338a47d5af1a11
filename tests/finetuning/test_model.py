"""The model that is fine-tuned, and what of it is trained."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from npformer.finetuning import Recipe, prepare_model
from npformer.finetuning.model import n_layers
from npformer.models import Encoder, EncoderConfig, EncoderDecoder


def test_the_weights_are_the_pretrained_ones_and_the_head_is_fresh(encoder):
    model = prepare_model(encoder, Recipe("classify"), 3)
    assert "mlm.bias" not in model.params
    assert model.params["task.weight"].shape == (16, 3)
    assert model.config.dropout == model.config.task_dropout == 0.1
    for name in model.params:
        if not name.startswith("task."):
            np.testing.assert_array_equal(model.params[name], encoder.params[name])
    other = prepare_model(encoder, Recipe("classify", seed=1), 3)
    assert not np.array_equal(other.params["task.weight"], model.params["task.weight"])


def test_from_scratch_nothing_is_left_of_them(encoder):
    model = prepare_model(encoder, Recipe("tag", from_scratch=True), 3)
    name = "encoder.1.attention.query.weight"
    assert model.params[name].shape == encoder.params[name].shape
    assert not np.array_equal(model.params[name], encoder.params[name])
    again = prepare_model(encoder, Recipe("tag", from_scratch=True), 3)
    np.testing.assert_array_equal(again.params.flat, model.params.flat)


def test_heads_of_pretraining_are_left_behind():
    sizes = {"d_model": 8, "n_heads": 2, "d_ff": 16, "n_layers": 1, "max_positions": 8}
    model = Encoder(EncoderConfig(10, **sizes, pooler=True, pair_head=True, rtd=True))
    for task in ("classify", "similarity"):
        tuned = prepare_model(model, Recipe(task), 2)
        others = set(model.params) - set(tuned.params)
        assert {name.partition(".")[0] for name in others} == {"mlm", "pair", "rtd", "pooler"}


def test_similarity_needs_no_head(encoder):
    model = prepare_model(encoder, Recipe("similarity"), 0)
    assert not [name for name in model.params if name.startswith(("task.", "mlm.", "pooler."))]


def test_a_pooler_that_is_not_there_is_made(encoder):
    model = prepare_model(encoder, Recipe("classify", pooling="pooler"), 2)
    assert "pooler.weight" in model.params


def test_frozen_layers_are_not_trained(encoder):
    model = prepare_model(encoder, Recipe("classify", freeze=1), 2)
    trained = list(model.params.layout)
    assert not [name for name in trained if name.startswith(("embeddings.", "encoder.0."))]
    assert [name for name in trained if name.startswith("encoder.1.")]
    assert "task.weight" in trained
    np.testing.assert_array_equal(model.params["embeddings.token"], encoder.params["embeddings.token"])
    with pytest.raises(ValueError, match="freeze: expected at most the 2 layers of the model, got 3"):
        prepare_model(encoder, Recipe("classify", freeze=3), 2)


def test_adapters_are_few_and_change_nothing_at_first(encoder):
    plain = prepare_model(encoder, Recipe("classify", dropout=0.0), 2)
    adapted = prepare_model(encoder, Recipe("classify", dropout=0.0, lora=2), 2)
    assert adapted.params.flat.size == 2 * 2 * 2 * (16 * 2) + 16 * 2 + 2  # layers, maps, A and B; the head
    ids = [[2, 5, 6, 3]]
    np.testing.assert_array_equal(adapted.forward(ids)[0], plain.forward(ids)[0])


def test_adapters_are_narrower_than_the_model(encoder):
    with pytest.raises(ValueError, match="lora: expected a rank below the width 16 of the model, got 16"):
        prepare_model(encoder, Recipe("classify", lora=16), 2)


def test_adapters_of_an_earlier_task_are_merged(encoder):
    adapted = prepare_model(encoder, Recipe("classify", dropout=0.0, lora=2), 2)
    adapted.params.flat[...] += 0.1
    again = prepare_model(adapted, Recipe("tag", dropout=0.0, lora=2), 3)
    assert again.params["task.weight"].shape == (16, 3)
    ids = [[2, 5, 6, 3]]
    np.testing.assert_allclose(again.forward(ids)[0], adapted.forward(ids)[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("task", ["classify", "pair", "tag", "regress", "similarity"])
def test_a_decoder_keeps_its_stack_and_leaves_its_logits(decoder, task):
    model = prepare_model(decoder, Recipe(task), 3)
    assert set(decoder.params) - set(model.params) == {"lm_head.weight"}
    assert ("task.weight" in model.params) == (task != "similarity")
    assert model.config.dropout == 0.1
    for name in set(model.params) & set(decoder.params):
        np.testing.assert_array_equal(model.params[name], decoder.params[name])
    fresh = prepare_model(decoder, Recipe(task, from_scratch=True), 3)
    assert not np.array_equal(fresh.params["embeddings.token"], decoder.params["embeddings.token"])


def test_of_a_decoder_too_a_part_can_be_trained(decoder):
    model = prepare_model(decoder, Recipe("classify", freeze=1), 2)
    assert not [name for name in model.params.layout if name.startswith(("embeddings.", "decoder.0."))]
    assert {"decoder.1.attention.query.weight", "decoder.norm.gamma", "task.bias"} <= set(model.params.layout)
    adapted = prepare_model(decoder, Recipe("classify", dropout=0.0, lora=2, pooling="last"), 2)
    assert adapted.params.flat.size == 2 * 2 * 2 * (16 * 2) + 16 * 2 + 2
    ids = [[2, 5, 6, 3]]
    np.testing.assert_array_equal(adapted.forward(ids)[0], decoder.forward(ids)[0])


@pytest.mark.parametrize("pooling", ["cls", "pooler"])
def test_a_decoder_is_not_pooled_by_its_first_token(decoder, pooling):
    with pytest.raises(ValueError, match=f"pooling: expected mean or last for a decoder, got {pooling}"):
        prepare_model(decoder, Recipe("classify", pooling=pooling), 2)


def test_a_decoder_that_has_learnt_labels_writes_no_more(decoder):
    for task in ("classify", "similarity"):
        model = prepare_model(decoder, Recipe(task), 2)
        with pytest.raises(ValueError, match="a Decoder that writes for clm, got one .* for labels"):
            prepare_model(model, Recipe("clm"), 0)
    wrote = prepare_model(decoder, Recipe("clm"), 0)
    assert "task.weight" in prepare_model(wrote, Recipe("classify"), 2).params


@pytest.mark.parametrize(
    ("task", "model", "message"),
    [
        ("classify", "encoder_decoder", r"an encoder or a decoder for classify \(.* mlm or clm\), got Enc"),
        ("clm", "encoder", r"a decoder for clm \(pretrain --objective clm\), got Encoder"),
        ("clm", "encoder_decoder", "a decoder for clm .*, got EncoderDecoder"),
        ("seq2seq", "decoder", "an encoder-decoder for seq2seq .* t5, prefix or seq2seq.*, got Decoder"),
    ],
)
def test_a_model_of_another_kind_is_refused(request, task, model, message):
    with pytest.raises(ValueError, match=message):
        prepare_model(request.getfixturevalue(model), Recipe(task), 2)


def test_what_writes_is_prepared_as_what_reads(writer):
    task, model = writer
    plain = prepare_model(model, Recipe(task, dropout=0.3), 0)
    assert plain.config.dropout == 0.3
    assert type(plain) is type(model)
    np.testing.assert_array_equal(plain.params.flat, model.params.flat)
    assert not np.shares_memory(plain.params.flat, model.params.flat)
    fresh = prepare_model(model, Recipe(task, from_scratch=True), 0)
    name = next(name for name in model.params if name.endswith("query.weight"))
    assert not np.array_equal(fresh.params[name], model.params[name])
    lowest = "embeddings", "encoder.0", "decoder.0"
    with pytest.raises(ValueError, match="freeze: expected at most the 1 layers of the model, got 2"):
        prepare_model(model, Recipe(task, freeze=2), 0)
    frozen = prepare_model(model, Recipe(task, freeze=1), 0).params
    assert frozen.frozen == {name for name in model.params if name.startswith(lowest)}
    adapted = prepare_model(model, Recipe(task, lora=2), 0).params
    assert all(name.endswith(("lora_a", "lora_b")) for name in adapted.layout)


def test_as_many_layers_as_the_higher_half_has_can_be_frozen(encoder_decoder):
    for halves in ((1, 2), (2, 1)):
        depths = dict(zip(("n_encoder_layers", "n_decoder_layers"), halves, strict=True))
        model = EncoderDecoder(replace(encoder_decoder.config, **depths))
        assert n_layers(model) == dict(zip(("encoder", "decoder"), halves, strict=True))
        frozen = prepare_model(model, Recipe("seq2seq", freeze=2), 0).params.frozen
        assert {name.split(".")[0] for name in frozen} == {"embeddings", "encoder", "decoder"}
