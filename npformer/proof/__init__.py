"""The proof: every op, the whole models and the optimizers, each against something it cannot have copied.

`npformer verify` runs it. The numbers it compares with are derivatives by finite differences and by the
complex step, and values and gradients that `python -m npformer.proof.make_golden` stored from PyTorch.
"""

from .cases import OPS, Case, cases
from .rows import Row
from .verify import TARGETS, verify

__all__ = ["OPS", "TARGETS", "Case", "Row", "cases", "verify"]
