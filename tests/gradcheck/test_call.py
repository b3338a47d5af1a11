"""How forward and backward are called, and how their answers are read."""

from __future__ import annotations

import functools
from collections import namedtuple

import numpy as np
import pytest

from npformer.gradcheck import check
from npformer.gradcheck.call import joined, make_problem, parts

X = np.array([1.0, 2.0])


def two(x, y):
    return x + y, None


def two_backward(dout, cache):
    return dout.copy(), dout.copy()


def test_names_come_from_the_signature():
    assert list(make_problem(two, two_backward, [X, X], None).inputs) == ["x", "y"]
    assert list(make_problem(lambda *args: two(*args), two_backward, (X, X), None).inputs) == [
        "input0",
        "input1",
    ]


def test_a_mapping_is_passed_by_name_where_that_works():
    def keyword_only(x, *, scale, mask=None):
        return x * scale, None

    def backward(dout, cache):
        return dout.copy()

    by_name = make_problem(keyword_only, backward, {"scale": 2, "x": X}, None)
    assert by_name.by_name
    assert by_name.evaluate(by_name.inputs)[0].tolist() == [2, 4]
    by_position = make_problem(two, two_backward, {"first": X, "second": X}, None)
    assert not by_position.by_name
    assert by_position.evaluate(by_position.inputs)[0].tolist() == [2, 4]


def test_what_is_differentiable():
    inputs = {
        "x": X,
        "n": np.arange(2),
        "mask": X > 1,
        "none": None,
        "eps": 1e-5,
        "half": X.astype(np.float16),
    }
    problem = make_problem(lambda **k: (k["x"], None), two_backward, inputs, None)
    assert problem.differentiable == problem.wrt == ("x", "half")
    assert make_problem(lambda **k: (k["x"], None), two_backward, inputs, "half").wrt == ("half",)


def test_one_generator_given_twice_stays_one():
    rng = np.random.default_rng(0)
    problem = make_problem(
        lambda x, a, b: (x * a.random() * b.random(), None), two_backward, [X, rng, rng], None
    )
    assert problem.inputs["a"] is problem.inputs["b"]
    assert problem.inputs["a"] is not rng


@pytest.mark.parametrize(
    ("forward", "backward", "cached"),
    [
        (lambda x: (x, x), lambda dout, cache: dout.copy(), True),
        (lambda x: (x, x), lambda dout, cache, intermediates=None: dout.copy(), True),
        (lambda x: x, lambda dout, x: dout.copy(), False),
        (lambda x, y: (x, y), lambda dout, x, y: dout, False),  # two outputs: no two arguments would do
        (lambda x: (x, x, x), lambda dout, x: dout[0].copy(), False),
    ],
)
def test_cache_or_not(forward, backward, cached):
    problem = make_problem(forward, backward, [X] * forward.__code__.co_argcount, None)
    assert problem.evaluate(problem.inputs)[2] is cached


def test_parts_and_joined():
    out = (np.ones((2, 2)), 3.0)
    assert [part.shape for part in parts(out)] == [(2, 2), ()]
    assert joined(out).tolist() == [1, 1, 1, 1, 3]
    x = np.ones(2)
    assert not np.shares_memory(joined(x), x)


class Cube:
    """A layer as courses write them: the backward takes dout alone."""

    def forward(self, x):
        self.x = x
        return x**3

    def backward(self, dout):
        return 3 * dout * self.x**2


def test_a_backward_of_dout_alone():
    layer = Cube()
    assert check(layer.forward, layer.backward, [X]).passed
    assert not check(layer.forward, lambda dout: 2 * layer.backward(dout), [X]).passed


def test_arguments_by_keyword_alone():
    def forward(x, *, k=3.0):
        return k * x**2

    def backward(dout, x, *, k=3.0):
        return 2 * k * dout * x

    assert check(forward, backward, {"x": X, "k": 2.0}).passed
    assert check(
        lambda **kw: kw["x"] * kw["y"],
        lambda d, **kw: {"x": d * kw["y"], "y": d * kw["x"]},
        {"x": X, "y": 2 * X},
    ).passed


def test_a_mapping_takes_the_order_of_the_function_and_a_named_tuple_its_names():
    def forward(x, w):
        return x * w, (x, w)

    reverse = {"w": 2 * X, "x": X}
    assert check(forward, lambda d, c: (d * c[1], d * c[0]), reverse).passed
    named = namedtuple("named", "dw dx")
    assert check(forward, lambda d, c: named(dx=d * c[1], dw=d * c[0]), reverse).passed


@pytest.mark.parametrize(
    ("forward", "got"),
    [
        (lambda x: None, "NoneType"),
        (lambda x: (None, x), "NoneType"),
        (lambda x: "text", "str"),
        (lambda x: {"out": x**2}, "dict"),
        (lambda x: (x**2).astype(object), "array of object"),
        (lambda x: x + 1j * x, "complex"),
    ],
)
def test_what_is_no_number_is_told_in_our_words(forward, got):
    with pytest.raises(TypeError, match=f"check: forward: expected .* got .*{got}"):
        check(forward, lambda d, x: 2 * d * x, [X])


def test_an_output_in_lists_is_an_array():
    assert check(lambda x: (x**2).tolist(), lambda d, x: 2 * d * x, [np.outer(X, X)]).passed


def test_an_output_whose_shape_depends_on_values_is_checked_where_it_keeps_it():
    def backward(d, x):
        dx = np.zeros_like(x)
        dx[x > 0] = d * 2 * x[x > 0]
        return dx

    x = np.array([[1e-3, 0.5], [-0.7, 1.2]])
    assert check(lambda x: x[x > 0] ** 2, backward, [x]).passed
    assert not check(lambda x: x[x > 0] ** 2, lambda d, x: 2 * backward(d, x), [x]).passed


H, W = np.random.default_rng(0).standard_normal((4, 3)), np.random.default_rng(1).standard_normal((3, 3))


@pytest.mark.parametrize(
    ("forward", "backward"),
    [
        (lambda x, w, b: (x @ w + b, (x, w)), lambda d, x, w, b: (d @ w.T, x.T @ d, d.sum(0))),
        (lambda x, w, b: (x @ w + b, {"x": x}), lambda d, x, w, b: (d @ w.T, x.T @ d, d.sum(0))),
        (lambda x, w, b: [x @ w + b, (x, w)], lambda d, c: (d @ c[1].T, c[0].T @ d, d.sum(0))),
        (
            lambda x, w, b: (x @ w, x * 2 + b, (x, w)),
            lambda d, e, c: (d @ c[1].T + 2 * e, c[0].T @ d, e.sum(0)),
        ),
        (
            lambda x, w, b: (x @ w, x * 2 + b, (x, w)),
            lambda d, c: (d[0] @ c[1].T + 2 * d[1], c[0].T @ d[0], d[1].sum(0)),
        ),
    ],
    ids=["cache unused", "cache by name unused", "list", "a dout each and the cache", "douts and the cache"],
)
def test_a_last_value_that_is_no_array_is_the_cache(forward, backward):
    inputs = [H, W, W[0]]
    assert check(forward, backward, inputs).passed

    @functools.wraps(backward)
    def doubled(*args, **named):
        return tuple(2 * g for g in backward(*args, **named))

    assert not check(forward, doubled, inputs).passed


@pytest.mark.parametrize("pair", [lambda h, w: (h @ w, (h, w)), lambda h, w: (h @ w, h, [h, w])])
def test_what_cannot_be_called_is_told_in_one_line(pair):
    with pytest.raises(
        TypeError, match=r"expected out or \(out, cache\), got a tuple of array .*; the back"
    ) as e:
        check(pair, lambda d, e, f, g, c: (d @ c[1].T, c[0].T @ d), [H, W])
    assert "takes 5 arguments (d, e, f, g, c)" in str(e.value)
    assert "\n" not in str(e.value)
