"""Adapters in folders of their own: back on their model, and on no other."""

from __future__ import annotations

import json

import numpy as np
import pytest

from npformer.models import Encoder, add_lora, from_pretrained, load_adapter, save_adapter


@pytest.fixture
def base(make_encoder):
    return make_encoder(pooler=True)


@pytest.fixture
def adapted(base):
    model = add_lora(base, r=2, targets=("query", "feed_forward"), trained=("pooler",))
    model.params.flat[...] = np.random.default_rng(1).standard_normal(model.params.flat.size)
    return model


def test_an_adapter_comes_back_on_its_model(base, adapted, inputs, tmp_path):
    save_adapter(adapted, tmp_path / "adapter")
    assert sorted(p.name for p in (tmp_path / "adapter").iterdir()) == ["adapter.json", "adapter.npz"]
    again = load_adapter(base, tmp_path / "adapter")
    assert again.config == adapted.config
    assert again.params.frozen == adapted.params.frozen
    np.testing.assert_array_equal(again.params.flat, adapted.params.flat)
    np.testing.assert_array_equal(again.params.frozen_flat, adapted.params.frozen_flat)
    np.testing.assert_array_equal(again.forward(**inputs)[0], adapted.forward(**inputs)[0])
    assert not np.shares_memory(again.params.frozen_flat, base.params.flat)


def test_it_holds_what_was_trained_alone(adapted, tmp_path):
    save_adapter(adapted, tmp_path)
    with np.load(tmp_path / "adapter.npz", allow_pickle=False) as stored:
        assert set(stored.files) == set(adapted.params.layout) | {
            name for name in adapted.params if name.endswith("lora_scale")
        }


def test_a_head_that_the_model_lacks_comes_with_the_adapter(base, adapted, inputs, tmp_path, make_encoder):
    save_adapter(adapted, tmp_path)
    headless = make_encoder()
    for name in headless.params:
        headless.params[name] = base.params[name]
    again = load_adapter(headless, tmp_path)
    np.testing.assert_array_equal(again.params["pooler.weight"], adapted.params["pooler.weight"])
    np.testing.assert_array_equal(again.forward(**inputs)[0], adapted.forward(**inputs)[0])


def test_the_base_may_be_read_in_another_dtype(base, adapted, tmp_path):
    base.save_pretrained(tmp_path / "base")
    save_adapter(adapted, tmp_path)
    again = load_adapter(from_pretrained(tmp_path / "base", dtype=np.float32), tmp_path)
    assert again.params.flat.dtype == np.float32
    np.testing.assert_array_equal(again.params.flat, adapted.params.flat.astype(np.float32))


def test_another_model_is_refused(base, adapted, tmp_path, make_encoder, make_decoder):
    save_adapter(adapted, tmp_path)
    for other in (make_encoder(seed=1), make_encoder(n_layers=1), make_encoder(d_ff=8)):
        with pytest.raises(ValueError, match="expected the model that was adapted, got one with other"):
            load_adapter(other, tmp_path)
    with pytest.raises(ValueError, match="expected adapters for the class Decoder, got some for Encoder"):
        load_adapter(make_decoder(), tmp_path)
    with pytest.raises(ValueError, match="load_adapter: model: expected one without adapters"):
        load_adapter(adapted, tmp_path)
    with pytest.raises(ValueError, match="save_adapter: model: expected one with adapters"):
        save_adapter(base, tmp_path)


def test_what_is_no_adapter_is_refused_by_name(base, adapted, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"adapter\.json, found none"):
        load_adapter(base, tmp_path)
    save_adapter(adapted, tmp_path)
    path, arrays = tmp_path / "adapter.json", tmp_path / "adapter.npz"
    values = json.loads(path.read_text())
    for wrong in ({}, {**values, "colour": 1}, {k: v for k, v in values.items() if k != "base"}):
        path.write_text(json.dumps(wrong))
        with pytest.raises(ValueError, match=r"adapter\.json: expected the configuration of a model"):
            load_adapter(base, tmp_path)
    path.write_text(json.dumps(values))
    with np.load(arrays, allow_pickle=False) as stored:
        own = dict(stored)
    name = "encoder.0.attention.query.weight.lora_a"
    np.savez(arrays, **{**own, name: own[name][:, :1]})
    with pytest.raises(ValueError, match=r"adapter\.npz: .*lora_a: expected shape \(8, 2\), got \(8, 1\)"):
        load_adapter(base, tmp_path)
    np.savez(arrays, **{k: v for k, v in own.items() if k != name})
    with pytest.raises(ValueError, match=r"adapter\.npz: weight '.*lora_a' is missing"):
        load_adapter(base, tmp_path)
    arrays.write_bytes(arrays.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"adapter\.npz: expected an \.npz file of arrays"):
        load_adapter(base, tmp_path)


def test_a_failed_write_leaves_the_former_adapter_whole(base, adapted, tmp_path, monkeypatch):
    save_adapter(adapted, tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def full_disk(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    adapted.params.flat[...] += 1
    monkeypatch.setattr("npformer.models.adapters.np.savez", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_adapter(adapted, tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
    assert isinstance(load_adapter(base, tmp_path), Encoder)
