"""The referee's memory: what it knows of npformer's own ops and optimizers, so that it can name a mistake.

`textbook` states each op as a textbook does, a line for every quantity. `switches` changes one line in every
way that people get it wrong, `replay` computes the gradients that would follow and compares them with the
given ones. `check` is `gradcheck.check` with all of this plugged in.
"""

from .check import check
from .optimizers import OptimizerReport, check_optimizer
from .samples import sample_inputs

__all__ = ["OptimizerReport", "check", "check_optimizer", "sample_inputs"]
