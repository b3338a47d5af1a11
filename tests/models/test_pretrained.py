from __future__ import annotations

import json

import numpy as np
import pytest

from npformer.models import from_pretrained


def test_a_saved_model_comes_back_bit_for_bit(make_encoder, inputs, tmp_path):
    model = make_encoder(norm="pre", positions="rotary", pooler=True, dropout=0.1)
    model.save_pretrained(tmp_path / "model")
    again = from_pretrained(tmp_path / "model")
    assert again.config == model.config
    np.testing.assert_array_equal(again.params.flat, model.params.flat)
    assert again.params.flat.dtype == np.float64
    assert from_pretrained(tmp_path / "model", dtype=np.float32).params.flat.dtype == np.float32
    np.testing.assert_array_equal(again.forward(**inputs)[0], model.forward(**inputs)[0])


def test_a_failed_write_leaves_the_former_model_whole(make_encoder, tmp_path, monkeypatch):
    model = make_encoder()
    model.save_pretrained(tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def full_disk(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("npformer.models.pretrained.np.savez", full_disk)
    model.params.flat += 1
    with pytest.raises(OSError, match="No space left"):
        model.save_pretrained(tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_what_is_not_a_model_is_refused_by_name(make_encoder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        from_pretrained(tmp_path)
    model = make_encoder()
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())

    (tmp_path / "config.json").write_text(json.dumps({**config, "d_model": 4}))
    with pytest.raises(ValueError, match=r"embeddings\.token: expected shape \(13, 4\), got \(13, 8\)"):
        from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**config, "n_layers": 1}))
    with pytest.raises(ValueError, match=r"'encoder\.1\..*' is not known"):
        from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**config, "colour": 1}))
    with pytest.raises(ValueError, match="unknown field 'colour'"):
        from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match="expected the configuration of a model"):
        from_pretrained(tmp_path)
    for values in ([], {"architecture": []}, {"architecture": "encoder"}, {**config, "n_layers": "two"}):
        (tmp_path / "config.json").write_text(json.dumps(values))
        with pytest.raises(ValueError, match=r"config\.json: expected the configuration of a model"):
            from_pretrained(tmp_path)

    (tmp_path / "config.json").write_text(json.dumps(config))
    np.savez(tmp_path / "model.npz", weights=np.array([{"an": "object"}], dtype=object))
    with pytest.raises(ValueError, match=r"expected an \.npz file of arrays"):
        from_pretrained(tmp_path)
    np.savez(tmp_path / "model.npz", weights=np.zeros(3))
    whole = (tmp_path / "model.npz").read_bytes()
    shape = whole.index(b"(3,)")  # NumPy reads it with Python's own tokenizer
    for damaged in (
        b"",
        b"PK\x03\x04 torn",
        b"hello",
        whole[: len(whole) // 2],
        whole[:shape] + b"\0" + whole[shape + 1 :],
        b"PK\x05\x06" + bytes(18),  # an archive of nothing
    ):
        (tmp_path / "model.npz").write_bytes(damaged)
        with pytest.raises(ValueError, match=r"model\.npz: expected an \.npz file of arrays") as raised:
            from_pretrained(tmp_path)
        assert "pickle" not in str(raised.value)


def test_decoders_and_encoder_decoders_come_back_bit_for_bit(make_decoder, make_encoder_decoder, tmp_path):
    ids = np.array([[2, 7, 5, 7]])
    llama = {
        "activation": "swiglu",
        "norm_type": "rms_norm",
        "positions": "rotary",
        "bias": False,
        "tied": False,
    }
    models = {
        "gpt2": (make_decoder(), (ids,)),
        "llama": (make_decoder(**llama, n_kv_heads=1), (ids,)),
        "transformer": (make_encoder_decoder(), (ids, ids)),
    }
    for name, (model, arguments) in models.items():
        model.save_pretrained(tmp_path / name)
        again = from_pretrained(tmp_path / name)
        assert type(again) is type(model)
        assert again.config == model.config
        assert list(again.params) == list(model.params)
        np.testing.assert_array_equal(again.params.flat, model.params.flat)
        np.testing.assert_array_equal(again.forward(*arguments)[0], model.forward(*arguments)[0])
        assert from_pretrained(tmp_path / name, dtype=np.float32).params.flat.dtype == np.float32
    config = tmp_path / "gpt2" / "config.json"
    config.write_text(config.read_text().replace('"decoder"', '"decorator"'))
    with pytest.raises(ValueError, match="expected the configuration of a model, got 'decorator'"):
        from_pretrained(tmp_path / "gpt2")
    config.write_text(config.read_text().replace('"decorator"', '"encoder_decoder"'))
    with pytest.raises(ValueError, match="EncoderDecoderConfig: unknown field"):
        from_pretrained(tmp_path / "gpt2")
