"""Decoding with keys and values kept equals the full pass, for ragged batches, beams, and every form."""

from __future__ import annotations

import copy

import numpy as np
import pytest

FORMS = {
    "GPT-2": {},
    "Llama": {
        "activation": "swiglu", "norm_type": "rms_norm", "positions": "rotary", "bias": False, "tied": False,
        "n_heads": 4, "n_kv_heads": 2,
    },
    "ALiBi, window": {"positions": "alibi", "window": 3, "softcap": 2.0, "qk_norm": True},
    "sinusoidal, post-norm": {"positions": "sinusoidal", "norm": "post"},
}  # fmt: skip
PROMPT = np.array([[0, 0, 5, 7], [4, 9, 3, 1], [0, 11, 7, 12]])
REST = np.array([[6, 2, 8], [3, 3, 1], [12, 4, 6]])
SOURCE = np.array([[5, 6, 7, 6, 2], [8, 6, 2, 0, 0]])
TARGET = np.array([[1, 9, 4, 9], [1, 3, 7, 2]])


@pytest.mark.parametrize("form", FORMS)
def test_each_step_of_a_ragged_batch_equals_the_full_pass(make_decoder, form):
    model = make_decoder(**FORMS[form])
    ids = np.concatenate([PROMPT, REST], axis=1)
    whole, _ = model.forward(ids, mask=ids != 0)
    state = model.start(3, 7)
    parts = [model.step(PROMPT, state, PROMPT != 0)]
    parts += [model.step(REST[:, t : t + 1], state) for t in range(3)]
    found = np.concatenate(parts, axis=1)
    np.testing.assert_allclose(found[ids != 0], whole[ids != 0], rtol=0, atol=1e-12)
    assert (state.length, state.capacity) == (7, 7)
    np.testing.assert_array_equal(state.positions, (ids != 0).sum(axis=1))


@pytest.mark.parametrize("form", FORMS)
def test_parameters_laid_out_for_decoding_give_the_same(make_decoder, form):
    model = make_decoder(**FORMS[form])
    whole, _ = model.forward(TARGET)
    model.params = model.params.for_decoding()
    assert model.params.transposed
    state = model.start(*TARGET.shape)
    steps = [model.step(TARGET[:, t : t + 1], state) for t in range(TARGET.shape[1])]
    np.testing.assert_allclose(np.concatenate(steps, axis=1), whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_selected_rows_go_on_by_themselves(make_decoder, form):
    model = make_decoder(**FORMS[form])
    state = model.start(3, 7)
    model.step(PROMPT, state, PROMPT != 0)
    rows = [2, 0, 2, 1]
    chosen = state.select(rows)
    found = model.step(REST[rows, :1], chosen)
    np.testing.assert_allclose(found, model.step(REST[:, :1], state)[rows], rtol=0, atol=1e-13)
    state.layers[0].k[...] = np.nan  # nothing is shared
    state.real[...] = False
    again = model.step(REST[rows, 1:2], chosen)
    assert np.isfinite(again).all()
    ids = np.concatenate([PROMPT, REST[:, :2]], axis=1)[rows]
    whole, _ = model.forward(ids, mask=ids != 0)
    np.testing.assert_allclose(again[:, 0], whole[:, -1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("changes", [{}, {"norm": "pre", "positions": "learned", "tied": False}])
def test_each_step_of_a_target_equals_the_full_pass(make_encoder_decoder, changes):
    model = make_encoder_decoder(**changes)
    whole, _ = model.forward(SOURCE, TARGET, source_mask=SOURCE != 0)
    state = model.start(SOURCE, 4, SOURCE != 0)
    for t in range(2):
        found = model.step(TARGET[:, t : t + 1], state)
        np.testing.assert_allclose(found[:, 0], whole[:, t], rtol=0, atol=1e-12)
    rows = [1, 1, 0]
    beams = state.select(rows)
    for t in range(2, 4):
        found = model.step(TARGET[rows, t : t + 1], beams)
        np.testing.assert_allclose(found[:, 0], whole[rows, t], rtol=0, atol=1e-12)


def test_bad_sizes_are_named(make_decoder, make_encoder_decoder):
    model = make_decoder()
    with pytest.raises(ValueError, match=r"Decoder.start: batch: expected at least 1, got 0"):
        model.start(0, 4)
    for start in (lambda: model.start(1, 0), lambda: make_encoder_decoder().start(SOURCE, 0)):
        with pytest.raises(ValueError, match="start: capacity: expected at least 1, got 0"):
            start()
    state = model.start(1, 20)  # padding takes room, and no position
    model.step([9 * [1]], state, [9 * [False]])
    model.step([9 * [2]], state)
    with pytest.raises(ValueError, match="expected at most max_positions = 9 tokens in all, got 10"):
        model.step([[1]], state)


@pytest.mark.parametrize(
    ("ids", "mask", "error", "message"),
    [
        ([[1]], None, ValueError, "ids: expected 2 sequences, got 1"),
        ([[1, 2], [3, 4]], None, ValueError, r"expected at most 1 more tokens \(capacity 3\), got 2"),
        ([[13], [1]], None, ValueError, r"ids: expected integers in \[0, 13\), got 13"),
        ([[1.5], [1]], None, TypeError, "ids: expected integers"),
        ([[1], [1]], [[1], [1]], TypeError, "mask: expected booleans"),
        ([[1], [1]], [[True]], ValueError, r"mask: expected shape \(2, 1\)"),
    ],
)
def test_bad_input_is_named_and_leaves_the_state_as_it_was(make_decoder, ids, mask, error, message):
    model = make_decoder()
    state = model.start(2, 3)
    model.step([[5, 6], [7, 8]], state)
    before = copy.deepcopy(state)
    with pytest.raises(error, match=message):
        model.step(ids, state, mask)
    assert state.length == before.length
    np.testing.assert_array_equal(state.real, before.real)
    np.testing.assert_array_equal(state.positions, before.positions)
    expected, found = model.step([[1], [2]], before), model.step([[1], [2]], state)
    np.testing.assert_array_equal(found, expected)
