"""Masked language modelling: hide some tokens, and remember which they were.

each ordinary, real token is a target with probability 0.15
a target becomes [MASK] with probability 0.8, a random ordinary token with 0.1, and stays with 0.1
targets hold the true id where there is a target, and -100 elsewhere
"""

import numpy as np

Array = np.ndarray


def corrupt(
    ids: Array,
    mask: Array,
    rng: np.random.Generator,
    vocab_size: int,
    n_special: int,
    mask_id: int,
    rate: float = 0.15,
) -> tuple[Array, Array]:
    """Return (inputs, targets), both (B, T) of integers, and leave ids as it is.

    ids is (B, T); mask is (B, T) of bool, True = a real token, False = padding. The ids below n_special are
    special ([PAD], [CLS], [SEP], [MASK], ...): they are never targets and never random replacements; the
    ordinary ones are n_special .. vocab_size - 1, each as likely as any other. All randomness comes from rng.
    """
    target = (rng.random(ids.shape) < rate) & mask & (ids >= n_special)
    how = rng.random(ids.shape)
    inputs = np.where(target & (how < 0.8), mask_id, ids)
    random_ids = rng.integers(n_special, vocab_size, ids.shape)
    inputs = np.where(target & (how >= 0.8) & (how < 0.9), random_ids, inputs)
    return inputs, np.where(target, ids, -100)
