"""What a run learns: a module for each objective, which knows everything that is particular to it.

    mlm       masked.py            an encoder says which tokens were hidden
    rtd       replaced.py          a discriminator says which tokens a generator has put in others' places
    simcse    contrastive.py       an encoder tells sentences apart under dropout
    clm       causal.py            a decoder says what comes next
    seq2seq   pairs.py             an encoder-decoder turns sources into targets
    t5        t5.py                an encoder-decoder says what was taken out of a text
    prefix    prefix.py            an encoder-decoder writes on where a text was cut
    mlm+nsp   sentence_pairs.py    an encoder also says whether a segment follows another
    mlm+sop   sentence_pairs.py    an encoder also says whether two segments stand in their order

The rest of the training room asks a run's `Task` and does not look at the objective. A new one is a new
module here, and a row in `TASKS`. The parts of a sum may have weights (sums.py).
"""

from typing import Any

from . import causal, contrastive, masked, pairs, prefix, replaced, t5
from .sentence_pairs import SentencePairTask
from .sums import weights_of
from .task import Task

TASKS: dict[str, Task] = {
    "mlm": masked,
    "rtd": replaced,
    "simcse": contrastive,
    "clm": causal,
    "seq2seq": pairs,
    "t5": t5,
    "prefix": prefix,
    "mlm+nsp": SentencePairTask("nsp"),
    "mlm+sop": SentencePairTask("sop"),
}
PARTICULAR = frozenset(name for task in TASKS.values() for name in task.USES)  # the rest is for all

__all__ = ["PARTICULAR", "TASKS", "Task", "table", "task_of"]


def task_of(objective: str) -> Task:
    """Return the task of an objective, whatever the weights of its parts.

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> task_of("mlm+0.5*nsp") is TASKS["mlm+nsp"]
    True
    """
    if objective in TASKS:
        return TASKS[objective]
    names = list(weights_of(objective))
    if len(names) == 1 or "+".join(names) not in TASKS:
        raise ValueError(f"objective: expected one of {', '.join(TASKS)}, got {objective!r}")
    return TASKS["+".join(names)]


def table(result: dict[str, Any]) -> str:
    """Return a run's result for people."""
    return TASKS[result.get("objective", "mlm")].table(result)
