"""What a run learns: a module for each objective, which knows everything that is particular to it.

    mlm       masked.py   an encoder says which tokens were hidden
    clm       causal.py   a decoder says what comes next
    seq2seq   pairs.py    an encoder-decoder turns sources into targets
    t5        t5.py       an encoder-decoder says what was taken out of a text
    prefix    prefix.py   an encoder-decoder writes on where a text was cut

The rest of the training room asks a run's `Task` and does not look at the objective. A new one is a new
module here, and a row in `TASKS`.
"""

from typing import Any

from . import causal, masked, pairs, prefix, t5
from .task import Task

TASKS: dict[str, Task] = {"mlm": masked, "clm": causal, "seq2seq": pairs, "t5": t5, "prefix": prefix}

__all__ = ["TASKS", "Task", "table"]


def table(result: dict[str, Any]) -> str:
    """Return a run's result for people."""
    return TASKS[result.get("objective", "mlm")].table(result)
