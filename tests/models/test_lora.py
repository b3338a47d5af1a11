"""Models with adapters: what is trained, what they compute, merged too, how they come back from a folder."""

from __future__ import annotations

import json

import numpy as np
import pytest

from npformer.models import (
    EncoderConfig,
    LoraConfig,
    add_lora,
    from_pretrained,
    merge_lora,
    training_memory,
)
from npformer.objectives import MaskedLM
from npformer.optim import AdamW
from npformer.training.step import gradient

SOURCE = np.array([[5, 6, 7, 6, 2], [8, 6, 2, 0, 0]])
TARGET = np.array([[1, 9, 4, 9], [1, 3, 7, 2]])
LLAMA = {
    "activation": "swiglu", "norm_type": "rms_norm", "positions": "rotary", "bias": False, "tied": False,
    "n_heads": 4, "n_kv_heads": 2,
}  # fmt: skip
EVERYTHING = ("attention", "feed_forward")


def generic(model, seed=0):
    """Let A and B be random."""
    flat = model.params.flat
    flat[...] = 0.5 * np.random.default_rng(seed).standard_normal(flat.size)
    return model


@pytest.fixture
def models(make_encoder, make_decoder, make_encoder_decoder):
    return {
        "encoder": (make_encoder(), (SOURCE,)),
        "decoder": (make_decoder(**LLAMA), (TARGET,)),
        "encoder-decoder": (make_encoder_decoder(), (SOURCE, TARGET)),
    }


@pytest.mark.parametrize("kind", ["encoder", "decoder", "encoder-decoder"])
def test_a_new_adapter_changes_nothing_and_a_merged_one_computes_the_same(models, kind):
    model, arguments = models[kind]
    before, expected = model.params.copy(), model.forward(*arguments)[0]
    targets = (*EVERYTHING, "cross_attention") if kind == "encoder-decoder" else EVERYTHING
    adapted = add_lora(model, r=3, alpha=2, targets=targets)
    np.testing.assert_array_equal(adapted.forward(*arguments)[0], expected)
    generic(adapted)
    found = adapted.forward(*arguments)[0]
    assert np.abs(found - expected).max() > 0.1
    merged = merge_lora(adapted)
    np.testing.assert_allclose(merged.forward(*arguments)[0], found, rtol=0, atol=1e-12)
    assert merged.config == model.config
    assert list(merged.params) == list(model.params)
    assert not merged.params.frozen
    np.testing.assert_array_equal(model.params.flat, before.flat)  # of the model that was adapted


def test_decoding_with_kept_keys_and_values_is_adapted_too(models):
    for kind in ("decoder", "encoder-decoder"):
        targets = (*EVERYTHING, "cross_attention") if kind == "encoder-decoder" else EVERYTHING
        model, arguments = models[kind]
        adapted = generic(add_lora(model, r=2, targets=targets))
        whole, _ = adapted.forward(*arguments)
        for each in (adapted, merge_lora(adapted)):
            state = each.start(2, 4) if kind == "decoder" else each.start(SOURCE, 4)
            steps = [each.step(TARGET[:, t : t + 1], state) for t in range(4)]
            np.testing.assert_allclose(np.concatenate(steps, axis=1), whole, rtol=0, atol=1e-12)


def test_what_is_trained(make_encoder):
    model = make_encoder(pooler=True)
    maps = ("query", "value")
    expected = [f"encoder.{i}.attention.{m}.weight.lora_{x}" for i in range(2) for m in maps for x in "ab"]
    assert list(add_lora(model).params.layout) == expected
    with_pooler = add_lora(model, trained=["pooler"])
    assert list(with_pooler.params.layout) == ["pooler.weight", "pooler.bias", *expected]
    name = "encoder.1.attention.value.weight"
    params = add_lora(model, r=3, alpha=1.5).params
    assert (params[f"{name}.lora_a"].shape, params[f"{name}.lora_b"].shape) == ((8, 3), (3, 8))
    assert params[f"{name}.lora_scale"] == 0.5
    assert not params[f"{name}.lora_b"].any()
    assert params[f"{name}.lora_a"].all()


def test_the_first_a_keeps_the_size_of_what_it_reads(make_encoder):
    model = make_encoder(d_model=64, n_heads=2)
    one, other = (add_lora(model, 32, targets=["up"], rng=np.random.default_rng(s)).params for s in (3, 4))
    a = [x for name, x in one.items() if name.endswith("lora_a")]  # each (64, 32)
    assert abs(np.std(a) * 8 - 1) < 0.02
    assert not np.array_equal(other.flat, one.flat)


@pytest.mark.parametrize("target", ["query", "key", "value", "output", "up", "down"])
def test_each_target_is_read(make_encoder, inputs, target):
    """By the forward, for each layer by itself: no adapter has a gradient of zero."""
    model = generic(add_lora(make_encoder(), r=2, targets=[target]))
    hidden, cache = model.forward(**inputs)
    grads = model.params.zeros_like()
    model.backward(np.random.default_rng(1).standard_normal(hidden.shape), cache, grads)
    assert len(grads) == 4
    assert all(np.abs(gradient).max() > 1e-6 for gradient in grads.values())


def test_the_gradients_of_adapters_are_the_same_whether_the_weights_are_trained_or_not(make_encoder, inputs):
    model = generic(add_lora(make_encoder(), r=2, targets=EVERYTHING, trained=["mlm"]))
    whole = type(model.params)(model.params)  # nothing is frozen
    objective = MaskedLM(13, mask_id=1, special_ids=range(2))
    chosen, zeros = inputs["mask"], np.zeros(inputs["ids"].shape)
    batch = objective.corrupt(inputs["ids"], inputs["mask"], chosen, zeros, zeros, inputs["segment_ids"])
    of_all, own = whole.zeros_like(), model.params.zeros_like()
    for params, grads in ((whole, of_all), (model.params, own)):
        objective.loss_and_grad(model, batch, grads, normalizer=batch.n_targets, params=params)
    assert of_all["encoder.0.attention.query.weight"].any()
    for name in own:
        np.testing.assert_array_equal(own[name], of_all[name])


def test_lanes_of_a_training_step_sum_to_the_same_gradient(make_encoder):
    model = generic(add_lora(make_encoder(), r=2, trained=["mlm"]))
    rng = np.random.default_rng(6)
    ids, mask, half = rng.integers(2, 13, (5, 6)), np.ones((5, 6), bool), np.full((5, 6), 0.5)
    mask[3, 4:] = False
    objective = MaskedLM(13, mask_id=1, special_ids=range(2))
    batch = objective.corrupt(ids, mask, rng.random((5, 6)) < 0.5, half, half)
    whole = model.params.zeros_like()
    objective.loss_and_grad(model, batch, whole, normalizer=batch.n_targets)
    lanes = [model.params.zeros_like() for _ in range(2)]
    gradient(model, objective, batch, lanes, micro_tokens=6)
    np.testing.assert_allclose(lanes[0].flat, whole.flat, rtol=0, atol=1e-12 * np.abs(whole.flat).max())


def test_training_moves_the_adapters_alone_and_lowers_the_loss(make_encoder):
    model = add_lora(make_encoder(), r=2, alpha=4)
    before = model.params.frozen_flat.copy()
    ids = np.random.default_rng(7).integers(2, 13, (8, 6))
    objective = MaskedLM(13, mask_id=1, special_ids=range(2))
    zeros = np.zeros(ids.shape)
    batch = objective.corrupt(ids, zeros == 0, np.arange(6) % 2 * np.ones((8, 1)) > 0, zeros, zeros)
    optimizer, losses = AdamW(model.params.flat, 0.03), []
    for _ in range(40):
        grads = model.params.zeros_like()
        losses.append(objective.loss_and_grad(model, batch, grads, normalizer=batch.n_targets).loss)
        optimizer.step(grads.flat)
    assert losses[-1] < 0.8 * losses[0]
    np.testing.assert_array_equal(model.params.frozen_flat, before)


def test_it_comes_back_from_a_folder(models, tmp_path):
    for kind, (model, arguments) in models.items():
        adapted = generic(add_lora(model, 3, 5.0, ["attention"], trained=["embeddings"]))
        adapted.save_pretrained(tmp_path / kind)
        again = from_pretrained(tmp_path / kind)
        assert again.config == adapted.config
        assert again.config.lora == LoraConfig(3, 5.0, ("attention",), ("embeddings",))
        assert again.params.frozen == adapted.params.frozen
        assert {n: x.tobytes() for n, x in again.params.items()} == {
            n: x.tobytes() for n, x in adapted.params.items()
        }
        np.testing.assert_array_equal(again.forward(*arguments)[0], adapted.forward(*arguments)[0])


def test_a_folder_of_before_there_were_adapters_is_read(make_encoder, tmp_path):
    make_encoder().save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    values = json.loads(path.read_text())
    assert values.pop("lora") is None
    path.write_text(json.dumps(values))
    assert from_pretrained(tmp_path).config.lora is None
    path.write_text(json.dumps({**values, "lora": {"rank": 8}}))
    with pytest.raises(ValueError, match="LoraConfig: unknown field 'rank', expected alpha, r, targets"):
        from_pretrained(tmp_path)
    path.write_text(json.dumps({**values, "lora": {"r": 8}}))
    with pytest.raises(ValueError, match=r"weight 'encoder\.0\..*lora_a' is missing"):
        from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"r": 0}, ValueError, "LoraConfig: r: expected at least 1, got 0"),
        ({"r": 2.0}, TypeError, "r: expected an integer, got 2.0"),
        ({"alpha": -1}, ValueError, "alpha: expected a number in"),
        ({"targets": "query"}, TypeError, "targets: expected a list of names, got 'query'"),
        ({"targets": None}, TypeError, "targets: expected a list of names, got None"),
        ({"targets": ()}, ValueError, "targets: expected at least one, got none"),
        ({"targets": ["gate"]}, ValueError, "expected names among attention, .*, value, got 'gate'"),
        ({"trained": ["poler"]}, ValueError, "trained: expected beginnings of .*, got 'poler'"),
    ],
)
def test_bad_options_are_named(make_encoder, options, error, message):
    with pytest.raises(error, match=message):
        add_lora(make_encoder(), **options)


def test_adapters_are_put_on_once_and_merged_where_there_are_some(make_encoder):
    model = make_encoder()
    with pytest.raises(ValueError, match="add_lora: model: expected one without adapters"):
        add_lora(add_lora(model))
    with pytest.raises(ValueError, match="merge_lora: model: expected one with adapters"):
        merge_lora(model)


def test_the_memory_of_such_a_training_step_is_not_guessed():
    config = EncoderConfig(13, 8, 2, 12, 2, 7, lora=LoraConfig())
    with pytest.raises(ValueError, match="config: expected a model that is trained whole, got adapters"):
        training_memory(config, 1, 4, 1)
