"""Two encoders in one vector of parameters."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.models import Electra, Encoder, from_pretrained
from npformer.models.electra import PartOf

SHARED = {"token", "position", "segment", "norm.gamma", "norm.beta"}


@pytest.mark.parametrize("d_embedding", [None, 5])
def test_everything_is_in_one_vector_and_the_embeddings_once(make_electra, d_embedding):
    model = make_electra(d_embedding=d_embedding)
    assert model.params.flat.size == sum(view.size for view in model.params.values())
    names = set(model.params)
    shared = {f"embeddings.{name}" for name in SHARED}
    generators = {name for name in names if name.startswith("generator.")}
    assert shared < names
    assert "generator.embeddings.projection.weight" in generators  # 4 wide, of embeddings 8 or 5 wide
    assert ("embeddings.projection.weight" in names) == (d_embedding is not None)
    alone = Encoder(model.config.discriminator)
    assert names - generators == set(alone.params)
    own = {name.removeprefix("generator.") for name in generators}
    assert own | shared == set(Encoder(model.config.generator).params)
    for name in shared:
        assert np.shares_memory(model.generator.params[name], model.discriminator.params[name])


def test_the_parts_see_every_change(make_electra, inputs):
    model = make_electra()
    before = [part.forward(**inputs)[0] for part in (model.generator, model.discriminator)]
    model.params.flat[...] *= 1.1
    after = [part.forward(**inputs)[0] for part in (model.generator, model.discriminator)]
    given = model.generator.forward(**inputs, params=model.of_generator(model.params))[0]
    assert [x.shape for x in after] == [(3, 5, 4), (3, 5, 8)]
    assert all(np.abs(a - b).max() > 1e-3 for a, b in zip(before, after, strict=True))
    np.testing.assert_array_equal(given, after[0])


def test_gradients_of_what_is_shared_add_up(make_electra, inputs):
    model = make_electra()
    parts = {"generator": model.generator, "discriminator": model.discriminator}
    single = {}
    both = model.params.zeros_like()
    for name, part in parts.items():
        grads = model.params.zeros_like()
        for into in (grads, both):
            hidden, cache = part.forward(**inputs)
            part.backward(hidden, cache, model.of_generator(into) if name == "generator" else into)
        single[name] = grads
    np.testing.assert_allclose(both.flat, single["generator"].flat + single["discriminator"].flat, rtol=1e-14)
    assert all(grads["embeddings.token"].any() for grads in single.values())
    assert not single["discriminator"]["generator.encoder.0.attention.value.weight"].any()
    assert not single["generator"]["encoder.0.attention.value.weight"].any()


def test_the_discriminator_alone_is_an_encoder(make_electra, inputs, tmp_path):
    model = make_electra(d_embedding=5)
    alone = model.discriminator_alone()
    expected, _ = model.discriminator.forward(**inputs)
    alone.save_pretrained(tmp_path)
    again = from_pretrained(tmp_path)
    assert type(again) is Encoder
    for one in (alone, again):
        np.testing.assert_array_equal(one.forward(**inputs)[0], expected)
        logits, _ = one.rtd_head.forward(one.params, expected)
        assert logits.shape == (3, 5)
    alone.params.flat[...] = 0
    assert model.params.flat.all()


def test_the_pair_comes_back_from_a_folder(make_electra, tmp_path):
    model = make_electra(norm="pre", positions="rotary", n_segments=0)
    model.save_pretrained(tmp_path)
    again = from_pretrained(tmp_path)
    assert type(again) is Electra
    assert again.config == model.config
    np.testing.assert_array_equal(again.params.flat, model.params.flat)
    assert from_pretrained(tmp_path, dtype=np.float32).params.flat.dtype == np.float32


def test_what_is_frozen_is_in_no_part():
    part = PartOf({"a": np.zeros(2)}, {"x": "a", "y": "b"})
    assert "y" not in part
    assert list(part) == ["x"]
    assert (len(part), part.size) == (1, 2)
