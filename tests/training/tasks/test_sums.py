from __future__ import annotations

import pytest

from npformer.training.tasks import TASKS, task_of
from npformer.training.tasks.sums import weights_of


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        ("mlm", {"mlm": 1.0}),
        ("mlm+nsp", {"mlm": 1.0, "nsp": 1.0}),
        ("mlm+.5*nsp", {"mlm": 1.0, "nsp": 0.5}),
        ("2*mlm+10.25*sop", {"mlm": 2.0, "sop": 10.25}),
    ],
)
def test_weights(objective, expected):
    assert weights_of(objective) == expected
    assert task_of(objective) is TASKS["+".join(expected)]


@pytest.mark.parametrize(
    "objective",
    ["", "mlm+", "mlm+mlm", "0*mlm+nsp", "mlm+-1*nsp", "mlm+1e3*nsp", "mlm + nsp", "mlm+nan*nsp"]
    + [f"mlm+{'9' * 400}*nsp"],  # which is infinite
)
def test_what_is_no_sum(objective):
    with pytest.raises(ValueError, match="objective: expected NAME or a sum such as mlm"):
        task_of(objective)


@pytest.mark.parametrize("objective", ["nsp", "nsp+mlm", "mlm+nsp+sop", "2*mlm", "clm+nsp"])
def test_what_there_is_not(objective):
    with pytest.raises(ValueError, match=r"objective: expected one of mlm, .*mlm\+nsp.*, got "):
        task_of(objective)
