"""Weights of other libraries in and out. Nothing is ever unpickled, and none of them is needed.

``from_torch_state_dict`` makes npformer's blocks out of the state dict of a `torch.nn` Transformer module,
``to_torch_state_dict`` goes the other way; docs/pytorch.md says what becomes what.
"""

from .torch_attention import TorchAttention
from .torch_module import TorchCache
from .torch_nn import from_torch_state_dict, to_torch_state_dict
from .torch_stacks import TorchDecoder, TorchEncoder, TorchTransformer

__all__ = [
    "TorchAttention",
    "TorchCache",
    "TorchDecoder",
    "TorchEncoder",
    "TorchTransformer",
    "from_torch_state_dict",
    "to_torch_state_dict",
]
