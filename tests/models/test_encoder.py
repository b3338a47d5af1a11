"""The encoder. Its gradients, every parameter by name, are in tests/proof; here is what they cannot show."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from npformer.models import Encoder, EncoderConfig, Parameters
from npformer.nn import SequenceRandom

CONFIGS = {
    "BERT": {},
    "pooler": {"pooler": True},
    "sinusoidal, relu": {"positions": "sinusoidal", "activation": "relu"},
    "pre-norm, rotary": {"norm": "pre", "positions": "rotary", "rotary_base": 50.0},
    "pre-norm, no segments, silu": {"norm": "pre", "n_segments": 0, "activation": "silu"},
}


@pytest.fixture(params=CONFIGS.values(), ids=CONFIGS.keys())
def model(request, make_encoder):
    return make_encoder(**request.param)


@pytest.fixture
def arguments(model, inputs):
    return inputs if model.config.n_segments else {k: v for k, v in inputs.items() if k != "segment_ids"}


def per_sequence(seed, B=3):
    return SequenceRandom([np.random.default_rng((seed, b)) for b in range(B)])


def gradient(model, dhidden, **arguments):
    hidden, cache = model.forward(**arguments)
    grads = model.params.zeros_like()
    model.backward(dhidden, cache, grads)
    return hidden, grads


def test_gradient_along_random_directions_by_complex_step(model, arguments):
    rng = np.random.default_rng(1)
    hidden, _ = model.forward(**arguments)
    dhidden = rng.standard_normal(hidden.shape)
    _, grads = gradient(model, dhidden, **arguments)
    for name in grads:
        direction = rng.standard_normal(grads[name].shape)
        params = model.params.astype(np.complex128)
        params[name] += 1e-30j * direction
        out, _ = model.forward(**arguments, params=params, keep=False)
        numeric = (out.imag * dhidden).sum() / 1e-30
        scale = max(np.abs(grads.flat).max(), 1.0) * np.sqrt(direction.size)
        assert abs((grads[name] * direction).sum() - numeric) <= 1e-13 * scale, name


def test_outputs_and_gradients_at_some_positions_are_those_of_the_full_pass(make_encoder, inputs):
    for changes in CONFIGS.values():
        model = make_encoder(dropout=0.2, **changes)
        arguments = dict(inputs) if model.config.n_segments else {k: inputs[k] for k in ("ids", "mask")}
        at = np.array([1, 2, 6, 10, 13])
        rng = np.random.default_rng(2)
        d_at = rng.standard_normal((at.size, 8))
        d_full = np.zeros((15, 8))
        d_full[at] = d_at
        full, g_full = gradient(model, d_full.reshape(3, 5, 8), **arguments, rng=per_sequence(3))
        some, g_some = gradient(model, d_at, **arguments, at=at, rng=per_sequence(3))
        np.testing.assert_allclose(some, full.reshape(15, 8)[at], rtol=0, atol=1e-13)
        np.testing.assert_allclose(g_some.flat, g_full.flat, rtol=0, atol=1e-12 * np.abs(g_full.flat).max())


def test_gradients_accumulate_over_parts_of_a_batch_with_dropout(make_encoder, inputs):
    model = make_encoder(dropout=0.3)
    dhidden = np.random.default_rng(4).standard_normal((3, 5, 8))
    _, whole = gradient(model, dhidden, **inputs, rng=per_sequence(5))
    parts = model.params.zeros_like()
    for rows in (slice(0, 1), slice(1, 3)):
        generators = SequenceRandom(per_sequence(5).generators[rows])
        _, cache = model.forward(**{k: v[rows] for k, v in inputs.items()}, rng=generators)
        model.backward(dhidden[rows], cache, parts)
    np.testing.assert_allclose(parts.flat, whole.flat, rtol=0, atol=1e-13 * np.abs(whole.flat).max())
    _, without = gradient(model, dhidden, **inputs)
    assert np.abs(without.flat - whole.flat).max() > 1e-3, "dropout did nothing"


def test_padding_changes_nothing(model, arguments):
    short = {k: v[:, :3] for k, v in arguments.items()}
    padded, _ = model.forward(**arguments)
    alone, _ = model.forward(**short)
    np.testing.assert_allclose(padded[1, :3], alone[1], rtol=0, atol=1e-13)
    other = dict(arguments, ids=np.where(arguments["mask"], arguments["ids"], 5))
    np.testing.assert_array_equal(model.forward(**other)[0][1, :3], padded[1, :3])


def test_a_sequence_of_padding_alone_gives_finite_outputs_and_gradients(model, arguments):
    mask = arguments["mask"].copy()
    mask[2] = False
    hidden, grads = gradient(
        model, np.random.default_rng(6).standard_normal((3, 5, 8)), **{**arguments, "mask": mask}
    )
    assert np.isfinite(hidden).all()
    assert np.isfinite(grads.flat).all()


def test_sequences_do_not_see_each_other(model, arguments):
    whole, _ = model.forward(**arguments)
    for b in range(3):
        alone, _ = model.forward(**{k: v[b : b + 1] for k, v in arguments.items()})
        np.testing.assert_allclose(alone[0], whole[b], rtol=0, atol=1e-13)


def test_without_positions_the_encoder_is_equivariant_and_with_them_it_is_not(model, arguments):
    order = np.array([0, 3, 1, 4, 2])
    shuffled = {k: v[:, order] for k, v in arguments.items()}
    moved = np.abs(model.forward(**shuffled)[0][0] - model.forward(**arguments)[0][0][order]).max()
    assert moved > 1e-2
    if model.config.positions == "learned":
        model.params["embeddings.position"] = 0.0
        moved = np.abs(model.forward(**shuffled)[0][0] - model.forward(**arguments)[0][0][order]).max()
        assert moved < 1e-13


def test_rotary_positions_are_relative(make_encoder):
    model = make_encoder(norm="pre", positions="rotary")
    ids = np.array([[5, 7, 9]])
    padded = np.array([[0, 0, 5, 7, 9]])
    late, _ = model.forward(padded, mask=padded != 0)
    early, _ = model.forward(ids)
    np.testing.assert_allclose(late[0, 2:], early[0], rtol=0, atol=1e-13)


def test_keep_false_gives_the_same_output_and_refuses_a_backward(model, arguments):
    kept, _ = model.forward(**arguments)
    hidden, cache = model.forward(**arguments, keep=False)
    np.testing.assert_array_equal(hidden, kept)
    assert cache.embeddings is None
    assert all(layer is None for layer in cache.stack.layers)
    with pytest.raises(ValueError, match="keep=True"):
        model.backward(hidden, cache, model.params.zeros_like())


def test_collected_arrays_are_the_ones_named(model, arguments):
    hidden, cache = model.forward(**arguments, collect=model.collectable)
    assert list(cache.collected) == model.collectable
    if model.stack.final_norm is None:
        np.testing.assert_array_equal(cache.collected["encoder.1"], hidden)
    else:
        x = cache.collected
        np.testing.assert_allclose(
            x["encoder.0"] + x["encoder.1.attention"] + x["encoder.1.feed_forward"],
            x["encoder.1"],
            atol=1e-14,
        )
    assert not model.forward(**arguments)[1].collected


def test_frozen_parameters_are_passed_over(make_encoder, inputs):
    model = make_encoder()
    dhidden = np.random.default_rng(7).standard_normal((3, 5, 8))
    _, everything = gradient(model, dhidden, **inputs)
    frozen = [name for name in model.params if name.startswith(("embeddings.", "encoder.0."))]
    model.params = type(model.params)(dict(model.params), frozen=frozen)
    _, grads = gradient(model, dhidden, **inputs)
    assert set(grads) == set(model.params) - set(frozen)
    for name in grads:
        np.testing.assert_array_equal(grads[name], everything[name])


def test_the_model_stores_nothing_and_threads_may_share_it(make_encoder, inputs):
    from concurrent.futures import ThreadPoolExecutor

    model = make_encoder(pooler=True)
    dhidden = np.random.default_rng(8).standard_normal((3, 5, 8))
    before = dict(vars(model))
    _, expected = gradient(model, dhidden, **inputs)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: gradient(model, dhidden, **inputs)[1].flat, range(16)))
    assert all(np.array_equal(result, expected.flat) for result in results)
    assert vars(model) == before


def test_initial_weights_are_reproducible_and_residual_projections_can_begin_smaller():
    config = EncoderConfig(50, 32, 4, 64, 4, 16, scale_residual=True, init_std=0.1)
    a, b = (Encoder(config, np.random.default_rng(3)).params for _ in range(2))
    np.testing.assert_array_equal(a.flat, b.flat)
    assert a["encoder.0.attention.query.weight"].std() == pytest.approx(0.1, rel=0.1)
    assert a["encoder.0.feed_forward.down.weight"].std() == pytest.approx(0.1 / np.sqrt(8), rel=0.1)
    assert a["encoder.3.attention.output.weight"].std() == pytest.approx(0.1 / np.sqrt(8), rel=0.1)
    assert a.flat.dtype == np.float32


def test_initial_embeddings_and_neighbours():
    values = {"vocab_size": 500, "d_model": 32, "n_heads": 4, "d_ff": 64, "n_layers": 2, "max_positions": 16}
    plain = Encoder(EncoderConfig(**values, positions="rotary", embedding_std=0.15)).params
    assert plain["embeddings.token"].std() == pytest.approx(0.15, rel=0.05)
    assert plain["encoder.0.attention.query.weight"].std() == pytest.approx(0.02, rel=0.1)
    assert not plain["encoder.0.attention.query.bias"].any()
    looking = Encoder(EncoderConfig(**values, positions="rotary", neighbour_heads=2)).params
    for i in range(2):
        heads = looking[f"encoder.{i}.attention.key.bias"].reshape(4, 8)
        assert heads.any(axis=1).tolist() == [True, True, False, False]
    for positions, number in (("rotary", 5), ("learned", 1), ("rotary", -1)):
        with pytest.raises(ValueError, match="neighbour_heads: expected at"):
            EncoderConfig(**values, positions=positions, neighbour_heads=number)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ids": [[13]]}, r"ids: expected integers in \[0, 13\), got 13"),
        ({"ids": [[-1]]}, r"ids: expected integers in \[0, 13\), got -1"),
        ({"ids": [1, 2]}, "ids: expected 2 axes"),
        ({"ids": np.ones((1, 8), int)}, "max_positions = 7 tokens, got 8"),
        ({"ids": [[1, 2]], "mask": [[True]]}, r"mask: expected shape \(1, 2\)"),
        ({"ids": [[1, 2]], "segment_ids": [[0, 2]]}, r"segment_ids: expected integers in \[0, 2\), got 2"),
        ({"ids": [[1, 2]], "at": [2]}, r"at: expected integers in \[0, 2\), got 2"),
        ({"ids": [[1, 2]], "collect": ["encoder.9"]}, "got 'encoder.9'"),
    ],
)
def test_bad_input_is_named(make_encoder, changes, message):
    with pytest.raises(ValueError, match=message):
        make_encoder().forward(**changes)


def test_bad_dtypes_are_named(make_encoder):
    with pytest.raises(TypeError, match="ids: expected integers, got dtype float64"):
        make_encoder().forward([[1.0, 2.0]])
    with pytest.raises(TypeError, match="mask: expected booleans"):
        make_encoder().forward([[1, 2]], mask=[[1, 0]])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_heads": 3}, "n_heads: expected a divisor of d_model = 8, got 3"),
        ({"n_heads": 8, "positions": "rotary"}, "even d_model / n_heads"),
        ({"norm": "between"}, "norm: expected one of post, pre"),
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": float("nan")}, "dropout"),
        ({"n_layers": 0}, "n_layers: expected at least 1, got 0"),
        ({"pair_head": True}, "pair_head: expected a pooler beneath it"),
    ],
)
def test_bad_configurations_are_named(make_encoder, changes, message):
    with pytest.raises(ValueError, match=message):
        make_encoder(**changes)


def test_recomputation_changes_no_bit(model, arguments):
    """With dropout: each layer must draw the second time what it drew the first."""
    layer = model.stack.layers[0]
    layer.attention.dropout.p = layer.attention.branch.dropout = 0.3
    at = np.array([1, 2, 6, 10, 13])
    dhidden = np.random.default_rng(7).standard_normal((at.size, 8))
    expected_out, expected = gradient(model, dhidden, **arguments, at=at, rng=per_sequence(8))
    hidden, cache = model.forward(**arguments, at=at, rng=per_sequence(8), recompute=True)
    np.testing.assert_array_equal(hidden, expected_out)
    for _ in range(2):  # a cache can be used any number of times
        grads = model.params.zeros_like()
        model.backward(dhidden, cache, grads)
        np.testing.assert_array_equal(grads.flat, expected.flat)


def test_recomputation_holds_the_activations_of_one_layer():
    def peak(recompute):
        tracemalloc.start()
        hidden, cache = model.forward(ids, recompute=recompute)
        model.backward(hidden, cache, grads)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    config = EncoderConfig(vocab_size=20, d_model=16, n_heads=2, d_ff=32, n_layers=8, max_positions=128)
    model = Encoder(config)
    grads, ids = model.params.zeros_like(), np.arange(4 * 128).reshape(4, 128) % 20
    assert peak(True) < 0.5 * peak(False)


def test_a_model_says_what_it_is_in_a_line(make_encoder):
    model = make_encoder(n_layers=3)
    count = sum(view.size for view in model.params.values())
    sizes = "n_layers=3, d_model=8, n_heads=2, vocab_size=13"
    assert repr(model) == f"Encoder({sizes}, parameters={count:_})"
    model.params = Parameters(dict(model.params), frozen=["embeddings.token"])
    assert repr(model) == f"Encoder({sizes}, parameters={count:_})"  # those that are not trained among them
