"""The decoder. Its gradients, every parameter by name, are in tests/proof; here is what they cannot show."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.nn import SequenceRandom

FORMS = {
    "GPT-2": {},
    "Llama": {
        "activation": "swiglu", "norm_type": "rms_norm", "positions": "rotary", "bias": False, "tied": False,
        "n_heads": 4, "n_kv_heads": 2,
    },
    "interleaved": {"positions": "rotary", "rotary_interleaved": True, "norm": "post"},
    "ALiBi, window, softcap": {"positions": "alibi", "window": 3, "softcap": 2.0, "qk_norm": True},
    "sinusoidal, post-norm": {"positions": "sinusoidal", "norm": "post", "activation": "relu"},
    "no positions": {"positions": "none", "n_kv_heads": 1},
}  # fmt: skip
IDS = np.array([[2, 7, 5, 7, 3, 9], [4, 9, 3, 1, 12, 7], [2, 11, 7, 12, 3, 5]])


@pytest.fixture(params=FORMS.values(), ids=FORMS.keys())
def model(request, make_decoder):
    return make_decoder(**request.param)


def per_sequence(seed, B=3):
    return SequenceRandom([np.random.default_rng((seed, b)) for b in range(B)])


def gradient(model, dhidden, *arguments, **options):
    hidden, cache = model.forward(*arguments, **options)
    grads = model.params.zeros_like()
    model.backward(dhidden, cache, grads)
    return hidden, grads


def test_no_bit_comes_from_a_later_token(model):
    whole, _ = model.forward(IDS)
    for t in range(1, 6):
        other = IDS.copy()
        other[:, t:] = (other[:, t:] + 3) % 13
        hidden, _ = model.forward(other)
        np.testing.assert_array_equal(hidden[:, :t], whole[:, :t])
        assert np.abs(hidden[:, t] - whole[:, t]).max() > 1e-3


def test_the_tokens_of_a_prefix_see_one_another(model):
    prefix = np.array([3, 1, 0])
    whole, _ = model.forward(IDS, prefix=prefix)
    other = IDS.copy()
    other[:, 2] = 6
    moved, _ = model.forward(other, prefix=prefix)
    changed = np.abs(moved - whole).max(axis=-1) > 1e-6
    assert changed[:, :3].tolist() == [[True, True, True], [False, False, True], [False, False, True]]
    alone, _ = model.forward(IDS)
    np.testing.assert_allclose(whole[1:], alone[1:], rtol=0, atol=1e-13)  # a prefix of one sees itself anyway


def test_padding_is_no_part_of_a_prefix(model):
    alone, _ = model.forward(IDS[:1, :3], prefix=[2])
    mask = np.array([[True, True, True, False, False, False]])
    padded, _ = model.forward(IDS[:1], mask=mask, prefix=[5])
    wide, _ = model.forward(IDS[:1, :3], prefix=[3])
    np.testing.assert_allclose(padded[:, :3], wide, rtol=0, atol=1e-12)
    assert np.abs(wide[:, 1] - alone[:, 1]).max() > 1e-6


def test_padding_on_the_left_is_no_part_of_a_prefix_either(model):
    alone, _ = model.forward(IDS[:1, :4], prefix=[3])
    ids, mask = np.zeros((1, 6), int), np.zeros((1, 6), dtype=bool)
    ids[:, 2:], mask[:, 2:] = IDS[:1, :4], True
    padded, _ = model.forward(ids, mask=mask, prefix=[3])
    np.testing.assert_allclose(padded[:, 2:], alone, rtol=0, atol=1e-12)


def test_padding_on_either_side_changes_nothing(model):
    n = 4
    alone, _ = model.forward(IDS[:1, :n])
    for left in (0, 1, 2):
        ids, mask = np.zeros((1, n + 2), int), np.zeros((1, n + 2), dtype=bool)
        ids[:, left : left + n], mask[:, left : left + n] = IDS[:1, :n], True
        both, of_both = np.concatenate([ids, IDS[1:]]), np.concatenate([mask, np.ones((2, 6), dtype=bool)])
        padded, _ = model.forward(both, mask=of_both)
        np.testing.assert_allclose(padded[0, left : left + n], alone[0], rtol=0, atol=1e-12)
        whole, _ = model.forward(IDS)
        np.testing.assert_allclose(padded[1:], whole[1:], rtol=0, atol=1e-12)


GAP = np.array([[False, True, True, True, True, False], [True, True, False, False, True, True]])


@pytest.mark.parametrize("changes", [{}, {"positions": "rotary"}, {"positions": "rotary", "window": 6}])
def test_padding_between_tokens_changes_nothing(make_decoder, changes):
    model = make_decoder(**changes)
    whole, _ = model.forward(IDS[:2], mask=GAP)
    alone, _ = model.forward(IDS[1:2][GAP[1:]][None])
    np.testing.assert_allclose(whole[1, GAP[1]], alone[0], rtol=0, atol=1e-12)
    state = model.start(2, 6)
    parts = (slice(0, 3), slice(3, 4), slice(4, 6))
    steps = [model.step(IDS[:2, part], state, GAP[:, part]) for part in parts]
    np.testing.assert_allclose(np.concatenate(steps, axis=1)[GAP], whole[GAP], rtol=0, atol=1e-12)


@pytest.mark.parametrize("changes", [{"positions": "alibi"}, {"positions": "rotary", "window": 3}])
def test_padding_between_tokens_is_refused_where_it_would_count_as_distance(make_decoder, changes):
    model = make_decoder(**changes)
    message = "mask: expected no padding between real tokens, .* got some in sequence 1"
    with pytest.raises(ValueError, match=f"^Decoder: {message}"):
        model.forward(IDS[:2], mask=GAP)
    state = model.start(2, 6)
    model.step(IDS[:2, :4], state, GAP[:, :4])  # so far it is on either side
    real = state.real.copy()
    with pytest.raises(ValueError, match=f"^Decoder.step: {message}"):
        model.step(IDS[:2, 4:], state)
    assert state.length == 4
    np.testing.assert_array_equal(state.real, real)


def test_outputs_and_gradients_at_some_positions_are_those_of_the_full_pass(make_decoder):
    at = np.array([1, 2, 6, 10, 13])
    for changes in FORMS.values():
        model = make_decoder(dropout=0.2, **changes)
        rng = np.random.default_rng(2)
        d_at, d_full = rng.standard_normal((at.size, 8)), np.zeros((18, 8))
        d_full[at] = d_at
        full, g_full = gradient(model, d_full.reshape(3, 6, 8), IDS, rng=per_sequence(3))
        some, g_some = gradient(model, d_at, IDS, at=at, rng=per_sequence(3))
        np.testing.assert_allclose(some, full.reshape(18, 8)[at], rtol=0, atol=1e-12)
        np.testing.assert_allclose(g_some.flat, g_full.flat, rtol=0, atol=1e-12 * np.abs(g_full.flat).max())


def test_collected_arrays_are_the_ones_named_and_change_nothing(model):
    hidden, cache = model.forward(IDS, collect=model.collectable)
    assert list(cache.collected) == model.collectable
    np.testing.assert_array_equal(model.forward(IDS)[0], hidden)
    if model.stack.final_norm is None:
        np.testing.assert_array_equal(cache.collected["decoder.1"], hidden)
    for i in range(2):
        weights = cache.collected[f"decoder.{i}.attention.weights"]
        np.testing.assert_allclose(weights.sum(axis=-1), 1.0, rtol=1e-13)
        assert not np.triu(weights, 1).any()
    assert not model.forward(IDS)[1].collected


def test_collected_weights_are_the_softmax_by_hand(make_decoder):
    model = make_decoder()
    p, name = model.params, "decoder.1.attention"
    hidden = model.forward(IDS, collect=["decoder.0", f"{name}.weights"])[1].collected
    x = hidden["decoder.0"]
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    x = x * p["decoder.1.attention_norm.gamma"] + p["decoder.1.attention_norm.beta"]
    q, k = (
        (x @ p[f"{name}.{part}.weight"] + p[f"{name}.{part}.bias"]).reshape(3, 6, 2, 4).swapaxes(1, 2)
        for part in ("query", "key")
    )
    scores = np.exp(q @ k.swapaxes(-1, -2) / 2) * np.tri(6)
    expected = scores / scores.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(hidden[f"{name}.weights"], expected, rtol=0, atol=1e-13)


def test_recomputation_changes_no_bit(make_decoder):
    """With dropout: each layer must draw the second time what it drew the first."""
    for changes in FORMS.values():
        model = make_decoder(dropout=0.3, **changes)
        dhidden = np.random.default_rng(7).standard_normal((3, 6, 8))
        options = {"prefix": np.array([2, 0, 1]), "mask": np.array([[9], [7], [5]]) != IDS}
        out, expected = gradient(model, dhidden, IDS, rng=per_sequence(8), **options)
        again, found = gradient(model, dhidden, IDS, rng=per_sequence(8), recompute=True, **options)
        np.testing.assert_array_equal(again, out)
        np.testing.assert_array_equal(found.flat, expected.flat)


def test_keep_false_gives_the_same_output_and_refuses_a_backward(model):
    hidden, cache = model.forward(IDS, keep=False)
    np.testing.assert_array_equal(hidden, model.forward(IDS)[0])
    with pytest.raises(ValueError, match="keep=True"):
        model.backward(hidden, cache, model.params.zeros_like())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ids": [[13]]}, r"Decoder: ids: expected integers in \[0, 13\), got 13"),
        ({"ids": [1, 2]}, "ids: expected 2 axes"),
        ({"ids": np.ones((1, 10), int)}, "max_positions = 9 tokens, got 10"),
        ({"ids": [[1, 2]], "mask": [[True]]}, r"mask: expected shape \(1, 2\)"),
        ({"ids": [[1, 2]], "prefix": [3]}, r"prefix: expected integers in \[0, 3\), got 3"),
        ({"ids": [[1, 2]], "prefix": [1, 1]}, r"prefix: expected shape \(1,\), got \(2,\)"),
        ({"ids": [[1, 2]], "at": [2]}, r"at: expected integers in \[0, 2\), got 2"),
        ({"ids": [[1, 2]], "collect": ["decoder.9"]}, "got 'decoder.9'"),
        ({"ids": [[1, 2]], "collect": "decoder.0"}, "collect: expected a list of names, got the string"),
    ],
)
def test_bad_input_is_named(make_decoder, changes, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make_decoder().forward(**changes)


def test_a_model_says_what_it_is_in_a_line(make_decoder):
    model = make_decoder()
    count = sum(view.size for view in model.params.values())
    assert repr(model) == f"Decoder(n_layers=2, d_model=8, n_heads=2, vocab_size=13, parameters={count:_})"
