"""How much work a training step is, by formula: FLOPs of its products, parameters, bytes that are kept.

What is counted is the encoder of peers/workload.py as npformer runs it: the last layer's position-wise part
and the head at the n targets alone. A product of (a, b) and (b, c) is 2 a b c FLOP; its backward is two such
products. Element-wise work is not counted.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "peers"))

from workload import RATE, SEGMENTS, Sizes  # noqa: E402

FLOAT32 = 4  # bytes


def flops(s: Sizes, n: float | None = None) -> float:
    """FLOP of one step's products, forward and backward; n targets, 15 % of the tokens if not given."""
    N = s.B * s.T
    n = RATE * N if n is None else n
    forward = 0.0
    for i in range(s.L):
        rows = n if i == s.L - 1 else N  # of the position-wise part
        forward += 2 * N * 3 * s.d * s.d  # queries, keys, values
        forward += 2 * 2 * N * s.T * s.d  # Q Kᵀ and P V, over all heads together
        forward += 2 * rows * (s.d * s.d + 2 * s.d * s.d_ff)  # output, up, down
    forward += 2 * n * (s.d * s.d + s.d * s.V)  # the head: transform, tied embedding
    return 3 * forward


def parameters(s: Sizes) -> int:
    """Number of parameters; the head's matrix is the embedding's."""
    layer = 4 * (s.d * s.d + s.d) + 2 * s.d * s.d_ff + s.d_ff + s.d + 2 * 2 * s.d
    embeddings = (s.V + s.T + SEGMENTS) * s.d + 2 * s.d
    head = s.d * s.d + s.d + 2 * s.d + s.V
    return s.L * layer + embeddings + head


def kept_bytes(s: Sizes, lanes: int, tokens_of_micro_batch: int) -> float:
    """Bytes a step has to hold: weights, two moments, a gradient a lane; what one backward a lane needs.

    A layer keeps for each token its input, q, k, v, the context, both normalised sums, the first norm's
    output (8 d), the activation and its slope (2 d_ff), and the weights of attention (h T); the head keeps
    the probabilities and makes their gradient (2 V a target). What the last layer does at the targets alone
    is counted for them alone.
    """
    vectors = parameters(s) * (3 + lanes)
    tokens = tokens_of_micro_batch
    n = RATE * tokens
    everywhere = tokens * (5 * s.d + s.h * s.T)
    position_wise = 3 * s.d + 2 * s.d_ff
    activations = s.L * everywhere + ((s.L - 1) * tokens + n) * position_wise + 2 * n * s.V
    return FLOAT32 * (vectors + lanes * activations)
