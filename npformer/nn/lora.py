"""Low-rank adaptation of a weight matrix (LoRA), and the weight as the blocks read it.

    W' = W + s A B          A (d_in, r), B (r, d_out), s = α / r

A, B and s are parameters beside W: `name`.lora_a, `name`.lora_b and `name`.lora_scale, where `name` is that
of W. Where they are not, W' is W. Every linear map of a layer reads its weight by `weight_of` and hands the
gradient of what it read to `add_weight_gradient`: there is one implementation of a block, adapted or not.

s is a frozen parameter and no option: what a model computes is then in its arrays alone.

References
----------
Hu et al.: LoRA: Low-Rank Adaptation of Large Language Models, arXiv:2106.09685, section 4.1, equation 3.
(There weights multiply from the left, W' = W + s B A, and A is the one that reads the input, as here.)
"""

from __future__ import annotations

from ._blocks import Array, Grads, Params, add_gradient

# What stands behind the name of W in those of A, B and s.
A, B, SCALE = ".lora_a", ".lora_b", ".lora_scale"


def weight_of(params: Params, name: str) -> Array:
    """Return the weight matrix `name` as its block is to use it.

    Parameters
    ----------
    params : mapping
    name : str

    Returns
    -------
    ndarray, shape (d_in, d_out)
        The parameter itself, or a new array W + s A B where A is among the parameters.

    Examples
    --------
    >>> import numpy as np
    >>> params = {"up.weight": np.eye(2)}
    >>> weight_of(params, "up.weight") is params["up.weight"]
    True
    >>> params["up.weight.lora_a"] = np.array([[1.0], [2.0]])  # r = 1
    >>> params["up.weight.lora_b"] = np.array([[3.0, 4.0]])
    >>> params["up.weight.lora_scale"] = np.array(0.5)
    >>> weight_of(params, "up.weight")
    array([[2.5, 2. ],
           [3. , 5. ]])
    """
    weight = params[name]
    if name + A not in params:
        return weight
    adapted: Array = (params[name + SCALE] * params[name + A]) @ params[name + B]
    adapted += weight
    return adapted


# The backward, step by step. W'_ij = W_ij + s Σ_k A_ik B_kj, and dW' is the gradient that the block found.
#
#   1. W_ij is in W'_ij alone, as it is:                 dW    = dW'
#   2. A_ik multiplies s B_kj in W'_ij for every j:      dA_ik = s Σ_j dW'_ij B_kj,    dA = s dW' Bᵀ
#   3. B_kj multiplies s A_ik in W'_ij for every i:      dB_kj = s Σ_i A_ik dW'_ij,    dB = s Aᵀ dW'
def add_weight_gradient(params: Params, grads: Grads, name: str, dweight: Array | None) -> None:
    """Add to `grads` what follows from `dweight`, the gradient of what `weight_of` returned.

    Each of W, A and B that is frozen, and so has no place in `grads`, is passed over.
    """
    assert dweight is not None
    add_gradient(grads, name, dweight)  # 1
    if name + A in params:
        s = params[name + SCALE]
        add_gradient(grads, name + A, s * (dweight @ params[name + B].T))  # 2
        add_gradient(grads, name + B, s * (params[name + A].T @ dweight))  # 3
