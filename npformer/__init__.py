"""npformer: the Transformer you can check by hand.

Every formula of the Transformer in pure NumPy with its hand-written backward pass, each one
proven against finite differences, the complex step and stored PyTorch values.

Nothing is loaded before it is used (PEP 562): ``import npformer`` costs no more than Python
itself, so that a program can still choose the number of BLAS threads before NumPy loads.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_ROOMS = (
    "diagnosis",
    "finetuning",
    "functional",
    "generation",
    "gradcheck",
    "interop",
    "models",
    "nn",
    "objectives",
    "optim",
    "proof",
    "scores",
    "teaching",
    "testing",
    "text",
    "training",
)
_NAMES = {"check": "diagnosis", "from_pretrained": "models"}

__all__ = ["__version__", *_ROOMS, *_NAMES]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"npformer.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(f"npformer.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'npformer' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
