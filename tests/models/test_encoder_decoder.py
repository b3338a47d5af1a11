"""The encoder-decoder. Its gradients are in tests/proof; here is what they cannot show."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.nn import SequenceRandom

FORMS = {
    "post-norm, sinusoidal, tied": {},
    "pre-norm, learned, untied": {"norm": "pre", "positions": "learned", "tied": False, "activation": "gelu"},
}
SOURCE = np.array([[5, 6, 7, 6, 2], [8, 6, 2, 0, 0]])
TARGET = np.array([[1, 9, 4, 9], [1, 3, 0, 0]])


@pytest.fixture(params=FORMS.values(), ids=FORMS.keys())
def model(request, make_encoder_decoder):
    return make_encoder_decoder(**request.param)


def run(model, source=SOURCE, target=TARGET, **options):
    return model.forward(source, target, source_mask=source != 0, mask=target != 0, **options)


def gradient(model, dhidden, **options):
    hidden, cache = run(model, **options)
    grads = model.params.zeros_like()
    model.backward(dhidden, cache, grads)
    return hidden, grads


def per_sequence(seed, B=2):
    return SequenceRandom([np.random.default_rng((seed, b)) for b in range(B)])


def test_no_bit_comes_from_a_later_target_token_and_something_from_every_source_token(model):
    whole, _ = run(model)
    for t in range(1, 4):
        other = TARGET.copy()
        other[0, t:] = 11
        np.testing.assert_array_equal(run(model, target=other)[0][:, :t], whole[:, :t])
    for s in range(5):
        other = SOURCE.copy()
        other[0, s] = 11
        assert (np.abs(run(model, source=other)[0][0] - whole[0]).max(axis=-1) > 1e-6).all()


def test_masked_memory_is_deleted_memory_and_pairs_do_not_see_each_other(model):
    whole, _ = run(model)
    alone, _ = model.forward(SOURCE[1:, :3], TARGET[1:, :2])
    np.testing.assert_allclose(whole[1, :2], alone[0], rtol=0, atol=1e-12)
    other = np.where(SOURCE == 0, 9, SOURCE)
    same, _ = model.forward(other, TARGET, source_mask=SOURCE != 0, mask=TARGET != 0)
    np.testing.assert_array_equal(same[1, :2], whole[1, :2])


def test_padding_on_either_side_changes_nothing(model):
    source, target, dhidden = SOURCE[:1, :3], TARGET[:1], np.random.default_rng(4).standard_normal((1, 4, 8))
    alone, cache = model.forward(source, target)
    expected = model.params.zeros_like()
    model.backward(dhidden, cache, expected)
    for before, after in ((2, 0), (1, 1), (0, 2)):
        columns = ((0, 0), (before, after))
        masks = [np.pad(np.ones(ids.shape, bool), columns) for ids in (source, target)]
        longer = [np.pad(ids, columns, constant_values=3) for ids in (source, target)]
        padded, cache = model.forward(*longer, source_mask=masks[0], mask=masks[1])
        np.testing.assert_allclose(padded[:, before : before + 4], alone, rtol=0, atol=1e-12)
        grads = model.params.zeros_like()
        model.backward(np.pad(dhidden, (*columns, (0, 0))), cache, grads)
        np.testing.assert_allclose(grads.flat, expected.flat, atol=1e-12 * np.abs(expected.flat).max())
        written = model.step(longer[1], model.start(longer[0], 6, masks[0]), masks[1])
        np.testing.assert_allclose(written[masks[1]], alone[0], rtol=0, atol=1e-12)


def test_outputs_and_gradients_at_some_positions_are_those_of_the_full_pass(make_encoder_decoder):
    at = np.array([0, 2, 3, 5])
    for changes in FORMS.values():
        model = make_encoder_decoder(dropout=0.2, **changes)
        d_at, d_full = np.random.default_rng(2).standard_normal((4, 8)), np.zeros((8, 8))
        d_full[at] = d_at
        full, g_full = gradient(model, d_full.reshape(2, 4, 8), rng=per_sequence(3))
        some, g_some = gradient(model, d_at, at=at, rng=per_sequence(3))
        np.testing.assert_allclose(some, full.reshape(8, 8)[at], rtol=0, atol=1e-12)
        np.testing.assert_allclose(g_some.flat, g_full.flat, rtol=0, atol=1e-12 * np.abs(g_full.flat).max())


def test_recomputation_changes_no_bit(make_encoder_decoder):
    for changes in FORMS.values():
        model = make_encoder_decoder(dropout=0.3, **changes)
        dhidden = np.random.default_rng(7).standard_normal((2, 4, 8))
        out, expected = gradient(model, dhidden, rng=per_sequence(8))
        again, found = gradient(model, dhidden, rng=per_sequence(8), recompute=True)
        np.testing.assert_array_equal(again, out)
        np.testing.assert_array_equal(found.flat, expected.flat)


def test_collected_weights_sum_to_one_and_collecting_changes_nothing(model):
    hidden, cache = run(model, collect=model.collectable)
    assert list(cache.collected) == model.collectable
    np.testing.assert_array_equal(run(model)[0], hidden)
    cross = cache.collected["decoder.1.cross_attention.weights"]
    assert cross.shape == (2, 2, 4, 5)
    np.testing.assert_allclose(cross.sum(axis=-1), 1.0, rtol=1e-13)
    np.testing.assert_array_equal(cross[1, ..., 3:], 0)
    assert not np.triu(cache.collected["decoder.0.attention.weights"], 1).any()
    assert np.triu(cache.collected["encoder.0.attention.weights"][0], 1).any()
    assert not run(model)[1].collected


def test_the_embeddings_of_both_sides_are_collected(make_encoder_decoder):
    model = make_encoder_decoder(positions="learned")
    collected = run(model, collect=["embeddings", "source_embeddings"])[1].collected
    for name, ids in (("source_embeddings", SOURCE), ("embeddings", TARGET)):
        tokens = model.params["embeddings.token"][ids] * np.sqrt(8)
        expected = tokens + model.params["embeddings.position"][: ids.shape[1]]
        np.testing.assert_allclose(collected[name], expected, rtol=0, atol=1e-14)


def test_keep_false_gives_the_same_output_and_refuses_a_backward(model):
    hidden, cache = run(model, keep=False)
    np.testing.assert_array_equal(hidden, run(model)[0])
    with pytest.raises(ValueError, match="keep=True"):
        model.backward(hidden, cache, model.params.zeros_like())


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([[13]], [[1]]), {}, r"source_ids: expected integers in \[0, 13\), got 13"),
        (([[1]], [[13]]), {}, r"EncoderDecoder: ids: expected integers in \[0, 13\), got 13"),
        (([[1]], [[1], [1]]), {}, "ids: expected 1 sequences as source_ids has, got 2"),
        ((np.ones((1, 10), int), [[1]]), {}, "source_ids: expected at most max_positions = 9 tokens, got 10"),
        (([[1, 2]], [[1]]), {"source_mask": [[True]]}, r"source_mask: expected shape \(1, 2\)"),
        (([[1, 2]], [[1]]), {"collect": ["encoder.9"]}, "got 'encoder.9'"),
    ],
)
def test_bad_input_is_named(make_encoder_decoder, arguments, options, message):
    with pytest.raises(ValueError, match=message):
        make_encoder_decoder().forward(*arguments, **options)


def test_a_model_says_what_it_is_in_a_line(make_encoder_decoder):
    model = make_encoder_decoder(n_encoder_layers=1)
    count = sum(view.size for view in model.params.values())
    sizes = "n_encoder_layers=1, n_decoder_layers=2, d_model=8, n_heads=2, vocab_size=13"
    assert repr(model) == f"EncoderDecoder({sizes}, parameters={count:_})"
