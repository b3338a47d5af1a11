"""What is seen of a forward and its backward at the point. How each is told is in test_misbehaviour."""

from __future__ import annotations

import numpy as np

from npformer.gradcheck.call import make_problem
from npformer.gradcheck.observe import observe

X = np.array([1.0, 2.0])


def two(x, y):
    return x + y, None


def two_backward(dout, cache):
    return dout.copy(), dout.copy()


def test_the_observation_is_copied_and_leaves_the_problem_alone():
    held = []

    def forward(x):
        held.append(x)
        return x, x

    problem = make_problem(forward, lambda dout, x: 1 * dout, [X], None)
    seen = observe(problem, None, np.random.default_rng(0))
    for x in held:
        x[:] = 99
    assert seen.out.tolist() == problem.inputs["x"].tolist() == [1, 2]
    assert seen.findings == {"x": []}
    assert seen.steady


def test_dout_has_the_outputs_dtype():
    problem = make_problem(lambda x: (x, None), lambda d, c: 1 * d, [X.astype(np.float32)], None)
    assert observe(problem, None, np.random.default_rng(0)).dout.dtype == np.float32
