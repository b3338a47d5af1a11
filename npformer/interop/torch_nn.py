"""torch.nn's Transformer modules with npformer's blocks inside, made out of a state dict.

    state dict of torch.nn's                       becomes                    inside
    MultiheadAttention                             TorchAttention             SelfAttention, CrossAttention
    TransformerEncoderLayer, TransformerEncoder    TorchEncoder               Stack of EncoderLayer
    TransformerDecoderLayer, TransformerDecoder    TorchDecoder               Stack of DecoderLayer
    Transformer                                    TorchTransformer           both

Inputs, masks and outputs are as PyTorch has them, parameters and gradients as npformer has them, and
``state_dict`` returns either under PyTorch's keys.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..models import Parameters
from ..nn.feed_forward import ACTIVATIONS
from .torch_arrays import Array, read_state_dict
from .torch_attention import TorchAttention
from .torch_module import Options
from .torch_names import structure_of_params, structure_of_state
from .torch_stacks import TorchDecoder, TorchEncoder, TorchTransformer

MODULES: dict[
    str, type[TorchAttention] | type[TorchEncoder] | type[TorchDecoder] | type[TorchTransformer]
] = {
    "MultiheadAttention": TorchAttention,
    "TransformerEncoderLayer": TorchEncoder,
    "TransformerEncoder": TorchEncoder,
    "TransformerDecoderLayer": TorchDecoder,
    "TransformerDecoder": TorchDecoder,
    "Transformer": TorchTransformer,
}


def from_torch_state_dict(
    state: Mapping[str, Any] | str | os.PathLike[str],
    *,
    n_heads: int,
    norm_first: bool = False,
    activation: str = "relu",
    eps: float = 1e-5,
    final_eps: float | None = None,
    dropout: float = 0.0,
    batch_first: bool = False,
) -> Any:
    """Make a module of torch.nn out of its state dict, with npformer's blocks inside.

    Which module it is, its sizes, layers, biases and norms follow from the arrays. What does not follow is
    asked for; the defaults are PyTorch's, but for dropout.

    Parameters
    ----------
    state : mapping of str to array or tensor, or path of an .npz file
        float32 or float64. Nothing is unpickled: .pt and .pth files are refused.
    n_heads : int
        ``nhead``, ``num_heads``.
    norm_first : bool
        Pre-norm in place of post-norm.
    activation : {"relu", "gelu", "gelu_tanh", "silu"}
    eps : float
        ``layer_norm_eps``.
    final_eps : float, optional
        Of the norms behind the stacks; default `eps`.
    dropout : float
        Of attention weights, activations and branches, in a forward with a Generator.
    batch_first : bool
        Whether inputs and outputs are (B, T, d) in place of (T, B, d).

    Returns
    -------
    TorchAttention, TorchEncoder, TorchDecoder or TorchTransformer
        With `params`, ``forward``, ``backward``, ``state_dict`` and ``gradients_as_state_dict``.

    Raises
    ------
    ValueError, TypeError, FileNotFoundError
        In one line that names the key or argument, what was expected and what came.

    References
    ----------
    PyTorch: torch.nn.Transformer, torch.nn.MultiheadAttention.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> state = {
    ...     "in_proj_weight": rng.standard_normal((12, 4)),  # queries, keys and values stacked
    ...     "in_proj_bias": rng.standard_normal(12),
    ...     "out_proj.weight": rng.standard_normal((4, 4)),
    ...     "out_proj.bias": rng.standard_normal(4),
    ... }
    >>> module = from_torch_state_dict(state, n_heads=2, batch_first=True)
    >>> y, cache = module.forward(rng.standard_normal((1, 3, 4)))
    >>> grads = module.params.zeros_like()
    >>> dx, _, _ = module.backward(np.ones_like(y), cache, grads)
    >>> y.shape, module.gradients_as_state_dict(grads)["in_proj_weight"].shape
    ((1, 3, 4), (12, 4))
    """
    op = "from_torch_state_dict"
    arrays = read_state_dict(op, state)
    structure = structure_of_state(op, arrays)
    d = structure.d_model
    if isinstance(n_heads, bool) or not isinstance(n_heads, (int, np.integer)):
        raise TypeError(f"{op}: n_heads: expected an integer, got {n_heads!r}")
    if n_heads < 1 or d % n_heads:
        raise ValueError(f"{op}: n_heads: expected a divisor of d_model = {d}, got {n_heads}")
    if activation not in ACTIVATIONS:
        raise ValueError(f"{op}: activation: expected one of {', '.join(ACTIVATIONS)}, got {activation!r}")
    final_eps = eps if final_eps is None else final_eps
    for name, value, high in (
        ("eps", eps, np.inf),
        ("final_eps", final_eps, np.inf),
        ("dropout", dropout, 1.0),
    ):
        if not 0.0 <= value < high:
            expected = "a number >= 0" if high == np.inf else "a number in [0, 1)"
            raise ValueError(f"{op}: {name}: expected {expected}, got {value}")
    named = {name: part for entry in structure.entries() for name, part in entry.split(arrays[entry.key])}
    params = Parameters(named, np.result_type(*named.values()))
    options = Options(int(n_heads), norm_first, activation, eps, final_eps, dropout, batch_first)
    return MODULES[structure.kind](structure, options, params)


def to_torch_state_dict(params: Mapping[str, Array], kind: str | None = None) -> dict[str, Array]:
    """Return parameters (or gradients) under PyTorch's keys and in its layout.

    Parameters
    ----------
    params : mapping of str to ndarray
        By npformer's names, e.g. the `params` of an `Encoder`, an `EncoderDecoder` or of what
        `from_torch_state_dict` returns. What lies outside the layers (embeddings, heads) is left out.
    kind : str, optional
        The module of torch.nn: "MultiheadAttention", "TransformerEncoderLayer", "TransformerEncoder",
        "TransformerDecoderLayer", "TransformerDecoder" or "Transformer". By default judged by the names; a
        stack of one layer counts as a stack.

    Returns
    -------
    dict of str to ndarray
        Copies. ``{key: torch.from_numpy(x) for key, x in state.items()}`` is what ``load_state_dict`` takes.

    Raises
    ------
    ValueError
        If a parameter is missing, has another shape there (fewer heads of keys than of queries), or has no
        place in torch.nn (a gate, norms of queries and keys).

    Notes
    -----
    Names do not tell everything: torch.nn's layers have layer norms (no RMSNorm) and no positions, and
    `n_heads`, `norm_first`, the activation and eps are the module's arguments. So are norms behind stacks:
    an `EncoderDecoder` has them in its pre-norm form alone, and ``torch.nn.Transformer`` always makes them,
    unless it is given `custom_encoder` and `custom_decoder`, stacks with ``norm=None``.

    Examples
    --------
    >>> from npformer.models import Encoder, EncoderConfig
    >>> config = EncoderConfig(vocab_size=9, d_model=4, n_heads=2, d_ff=6, n_layers=1, max_positions=5)
    >>> state = to_torch_state_dict(Encoder(config).params)
    >>> state["layers.0.self_attn.in_proj_weight"].shape, state["layers.0.linear1.weight"].shape
    ((12, 4), (6, 4))
    """
    op = "to_torch_state_dict"
    structure = structure_of_params(op, params, kind)
    entries = structure.entries()
    names = {name for entry in entries for name in entry.names}
    for name in sorted(names):
        if name not in params:
            raise ValueError(f"{op}: {name}: expected a parameter for {structure.kind}, got no such name")
    for name in params:
        if name.startswith(("encoder.", "decoder.", "attention.")) and name not in names:
            raise ValueError(f"{op}: {name}: {structure.kind} has no place for it")
    state = {}
    for entry in entries:
        state[entry.key] = entry.join(params)
        if state[entry.key].shape != entry.shape:
            raise ValueError(
                f"{op}: {', '.join(entry.names)}: expected {entry.key} to be of shape {entry.shape}, "
                f"got {state[entry.key].shape}"
            )
    return state
