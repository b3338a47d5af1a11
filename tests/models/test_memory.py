"""Memory, predicted: the arrays a forward keeps, byte for byte; the peak of a step, measured."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from npformer.models import Encoder, EncoderConfig, training_memory
from npformer.models.memory import activations, n_parameters
from npformer.nn import SequenceRandom
from npformer.objectives import MaskedLM

SMALL = {"vocab_size": 50, "d_model": 16, "n_heads": 2, "d_ff": 40, "n_layers": 3, "max_positions": 16}
KINDS = [
    {"norm": "post", "positions": "learned"},
    {"norm": "pre", "positions": "rotary", "n_segments": 0},
    {"norm": "pre", "positions": "sinusoidal", "activation": "relu", "n_layers": 1},
    {"norm": "post", "positions": "rotary", "activation": "silu", "mlm": False, "pooler": True},
    {"norm": "post", "positions": "learned", "d_embedding": 6, "rtd": True},
    {"norm": "pre", "positions": "sinusoidal", "d_embedding": 20, "n_layers": 2},
    {"pooler": True, "pair_head": True},
]


def buffers(tree: Any) -> dict[int, np.ndarray]:
    """The arrays in a tree of tuples and lists; of views, what they look at, each once."""
    if isinstance(tree, np.ndarray):
        while isinstance(tree.base, np.ndarray):
            tree = tree.base
        return {id(tree): tree}
    found: dict[int, np.ndarray] = {}
    if isinstance(tree, (tuple, list)):
        for branch in tree:
            found |= buffers(branch)
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("at", [None, [1, 5, 9, 30]])
def test_what_a_forward_keeps_is_counted_to_the_byte(kind, dtype, dropout, recompute, at):
    config = EncoderConfig(**{**SMALL, **kind}, dropout=dropout)
    model = Encoder(config, dtype=dtype)
    ids = np.random.default_rng(0).integers(0, 50, (3, 12))
    mask = np.arange(12) < np.array([[12], [7], [9]])  # the batch's, not the forward's
    rng = SequenceRandom([np.random.default_rng(b) for b in range(3)]) if dropout else None
    at = None if at is None else np.array(at)
    _, cache = model.forward(ids, mask=mask, at=at, recompute=recompute, rng=rng)
    others = {id(model.params.flat), *buffers(mask)}
    kept = [array for key, array in buffers(cache[1:]).items() if key not in others]
    n = None if at is None else at.size
    expected = activations(config, 3, 12, n, np.dtype(dtype).itemsize, recompute=recompute)
    assert sum(array.nbytes for array in kept) == sum(sum(block.values()) for block in expected.values())
    for i, layer in enumerate(cache.stack.layers):  # and each block for itself
        name = f"encoder.{i}"
        if "attention.P" in expected[name]:
            assert layer.attention.branch.attention.P.nbytes == expected[name]["attention.P"]
            assert layer.feed_forward.branch.down.x.nbytes == expected[name]["feed_forward.activated"]
            assert layer.feed_forward.branch.activation[0].nbytes == expected[name]["feed_forward.slope"]


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_are_counted(kind):
    config = EncoderConfig(**{**SMALL, **kind})
    assert n_parameters(config) == Encoder(config).params.flat.size


@pytest.mark.parametrize(
    "changes", [{}, {"dropout": 0.1}, {"recompute": True, "B": 24}, {"T": 256, "B": 2}, {"V": 9000}]
)
def test_the_peak_of_a_step(changes):
    options = {"B": 8, "T": 64, "V": 1000, "dropout": 0.0, "recompute": False, **changes}
    B, T, V, again = (options[name] for name in ("B", "T", "V", "recompute"))
    config = EncoderConfig(
        vocab_size=V, d_model=96, n_heads=4, d_ff=384, n_layers=3, max_positions=T, dropout=options["dropout"]
    )
    objective = MaskedLM(V, 4, range(5))
    rngs = [np.random.default_rng(b) for b in range(B)]
    ids = np.random.default_rng(0).integers(5, V, (B, T))
    batch = objective.make_batch(ids, ids > 0, rngs)
    rng = SequenceRandom(rngs) if config.dropout else None
    tracemalloc.start()
    try:
        model = Encoder(config)
        grads, moments = model.params.zeros_like(), np.zeros((2, model.params.flat.size), np.float32)
        tracemalloc.reset_peak()
        objective.loss_and_grad(model, batch, grads, normalizer=batch.n_targets, rng=rng, recompute=again)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    predicted = training_memory(config, B, T, batch.n_targets, recompute=again)
    assert predicted.moments == moments.nbytes
    assert abs(predicted.total / peak - 1) < 0.1, (predicted.total, peak)


def test_the_table_adds_up():
    config = EncoderConfig(**SMALL)
    memory = training_memory(config, 2, 16, 5, lanes=3, threads=2)
    lines = str(memory).splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["parameters", "gradients", "optimizer"]
    assert any(line.startswith("kept: encoder.0 .. encoder.1 ") for line in lines)
    parts = [float(line.split()[-2]) for line in lines if not line.startswith(" ")]
    assert parts[-1] == pytest.approx(sum(parts[:-1]), abs=0.05)
    assert memory.gradients == 3 * memory.parameters
    assert memory.total == 6 * memory.parameters + 2 * (memory.activations + memory.worst.bytes)


def test_wrong_sizes_are_named():
    config = EncoderConfig(**SMALL)
    with pytest.raises(ValueError, match="training_memory: lanes: expected at least 1, got 0"):
        training_memory(config, 2, 16, 5, lanes=0)
    with pytest.raises(ValueError, match="training_memory: n_targets: expected at most 32 places, got 33"):
        training_memory(config, 2, 16, 33)
    with pytest.raises(
        ValueError, match="training_memory: seq_len: expected at most max_positions = 16, got 17"
    ):
        training_memory(config, 2, 17, 5)
