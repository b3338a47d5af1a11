"""The work that every peer of the benchmarks is given: sizes, weights and batches, from seeds.

Each peer runs in a process of its own and makes them for itself, so no arrays travel between processes, and
the benchmark compares the losses afterwards.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

RATE = 0.15  # share of the tokens that are targets
LR, BETAS, EPS, WEIGHT_DECAY, MAX_NORM = 1e-3, (0.9, 0.999), 1e-8, 0.01, 1.0
NORM_EPS = 1e-12
SEGMENTS = 2
EXCERPT = 4  # outputs of a token that are compared
PROMPT, NEW = 8, 24  # tokens, in decoding


class Sizes(NamedTuple):
    """L layers of width d with h heads, V tokens in the vocabulary, B sequences of T tokens."""

    L: int
    d: int
    h: int
    d_ff: int
    V: int
    T: int
    B: int


SIZES = {
    "base": Sizes(L=4, d=256, h=4, d_ff=1024, V=8192, T=128, B=32),
    "mini": Sizes(L=6, d=384, h=6, d_ff=1536, V=30522, T=128, B=16),
    "long": Sizes(L=4, d=256, h=4, d_ff=1024, V=8192, T=2048, B=2),
    "minilm": Sizes(L=6, d=384, h=12, d_ff=1536, V=30522, T=128, B=32),
    "gpt2": Sizes(L=12, d=768, h=12, d_ff=3072, V=50257, T=1024, B=1),
    "tiny": Sizes(L=2, d=128, h=2, d_ff=512, V=2000, T=64, B=16),
}


class Batch(NamedTuple):
    """Tokens, and what is asked about them."""

    ids: np.ndarray  # (B, T) int64
    segment_ids: np.ndarray  # (B, T) int64: each sequence is a pair of texts
    at: np.ndarray  # (n,) flat positions of the targets, ascending
    targets: np.ndarray  # (n,) the tokens that belong there
    mask: np.ndarray | None = None  # (B, T) True = a real token; None: there is no padding


def make_weights(s: Sizes, seed: int = 0) -> dict[str, np.ndarray]:
    """Return the weights of the encoder by npformer's names, matrices as (d_in, d_out), in float32."""
    rng = np.random.default_rng(seed)
    weights: dict[str, np.ndarray] = {}

    def normal(name: str, *shape: int) -> None:
        weights[name] = 0.02 * rng.standard_normal(shape, dtype=np.float32)

    def linear(name: str, d_in: int, d_out: int) -> None:
        normal(f"{name}.weight", d_in, d_out)
        normal(f"{name}.bias", d_out)

    def norm(name: str) -> None:  # not quite ones and zeros, so that a mix-up changes the loss
        weights[f"{name}.gamma"] = rng.uniform(0.9, 1.1, s.d).astype(np.float32)
        normal(f"{name}.beta", s.d)

    normal("embeddings.token", s.V, s.d)
    normal("embeddings.position", s.T, s.d)
    normal("embeddings.segment", SEGMENTS, s.d)
    norm("embeddings.norm")
    for i in range(s.L):
        for part in ("query", "key", "value", "output"):
            linear(f"encoder.{i}.attention.{part}", s.d, s.d)
        norm(f"encoder.{i}.attention_norm")
        linear(f"encoder.{i}.feed_forward.up", s.d, s.d_ff)
        linear(f"encoder.{i}.feed_forward.down", s.d_ff, s.d)
        norm(f"encoder.{i}.feed_forward_norm")
    linear("mlm.transform", s.d, s.d)
    norm("mlm.norm")
    normal("mlm.bias", s.V)
    return weights


def decoder_weights(s: Sizes, seed: int = 0) -> dict[str, np.ndarray]:
    """Return the weights of a decoder of GPT-2's form by npformer's names, in float32."""
    of_encoder = encoder_weights(s, seed)
    weights = {}
    for name, value in of_encoder.items():
        if not name.startswith(("embeddings.segment", "embeddings.norm")):
            weights[name.replace("encoder.", "decoder.")] = value
    for part in ("gamma", "beta"):
        weights[f"decoder.norm.{part}"] = of_encoder[f"embeddings.norm.{part}"]
    return weights


def make_prompt(s: Sizes, step: int) -> np.ndarray:
    """Return the tokens of a prompt (PROMPT,)."""
    return np.random.default_rng((3, step)).integers(0, s.V, PROMPT)


def make_batch(s: Sizes, step: int, padding: bool = False) -> Batch:
    """Return the batch of a step: frequent and rare tokens, so that there is something to learn at once.

    With `padding` the sequences have lengths drawn evenly from T / 4 to T; what is behind them is padding.
    """
    rng = np.random.default_rng((1, step))
    ids = (s.V * rng.random((s.B, s.T)) ** 3).astype(np.int64)
    segment_ids = np.broadcast_to((np.arange(s.T) >= s.T // 2).astype(np.int64), ids.shape).copy()
    target, mask = rng.random((s.B, s.T)) < RATE, None
    if padding:
        mask = np.arange(s.T) < lengths(s, step)[:, None]
        target &= mask
        ids[~mask] = segment_ids[~mask] = 0
    at = np.flatnonzero(target)
    targets = ids.reshape(-1)[at]
    ids.reshape(-1)[at] = s.V - 1  # what stands for [MASK]
    return Batch(ids, segment_ids, at, targets, mask)


def lengths(s: Sizes, step: int) -> np.ndarray:
    """Return how many tokens the sequences of a padded batch have (B,)."""
    return np.random.default_rng((4, step)).integers(s.T // 4, s.T + 1, s.B)


def make_sequences(s: Sizes, step: int) -> list[np.ndarray]:
    """Return the sequences of a round of inference: their tokens, without padding.

    All of length T at an even step; at an odd one of lengths from T / 16 to T, evenly spread and shuffled, so
    that every such round is the same work.
    """
    rng = np.random.default_rng((2, step))
    sizes = np.full(s.B, s.T)
    if step % 2:
        sizes = rng.permutation(np.linspace(s.T / 16, s.T, s.B).round().astype(int))
    return [(s.V * rng.random(n) ** 3).astype(np.int64) for n in sizes]


def pad(sequences: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the sequences as one array (B, longest), filled up with 0, and True where a token is real."""
    sizes = np.array([len(ids) for ids in sequences])
    mask = np.arange(sizes.max()) < sizes[:, None]
    ids = np.zeros(mask.shape, np.int64)
    ids[mask] = np.concatenate(sequences)
    return ids, mask


def encoder_weights(s: Sizes, seed: int = 0) -> dict[str, np.ndarray]:
    """Return the weights without those of the masked-LM head."""
    return {name: w for name, w in make_weights(s, seed).items() if not name.startswith("mlm.")}


def decays(name: str) -> bool:
    """Whether a weight decays: biases and norms do not."""
    return not name.endswith((".bias", ".beta", ".gamma"))
