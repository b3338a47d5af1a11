"""`check` end to end: every misbehaviour has its own verdict, every way of calling is understood."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.gradcheck import Hypothesis, Verdict, check

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((3, 4)), RNG.standard_normal((3, 4))


def product(x, y):
    return x * y, (x, y)


def product_backward(dout, cache):
    x, y = cache
    return dout * y, dout * x


def verdicts(report):
    return {result.name: result.verdict.name for result in report.results}


# --- verdicts --------------------------------------------------------------------------------------


def test_ok():
    report = check(product, product_backward, [X, Y])
    assert verdicts(report) == {"x": "OK", "y": "OK"}
    assert report.passed
    assert report["x"].method == "complex step"
    assert "12 entries agree" in report["x"].sentence


def test_wrong_says_where():
    def backward(dout, cache):
        dx, dy = product_backward(dout, cache)
        dy[1, 2] += 0.5
        return dx, dy

    report = check(product, backward, [X, Y])
    assert verdicts(report) == {"x": "OK", "y": "WRONG"}
    assert not report.passed
    worst = report["y"].worst
    assert worst.index == (1, 2)
    assert worst.given - worst.numeric == pytest.approx(0.5)
    assert "1 entry of 12 differ" in report["y"].sentence


@pytest.mark.parametrize("at_zero", [0.0, 0.5, 1.0])
def test_a_correct_relu_at_0_is_a_kink_and_passes(at_zero):
    def backward(dout, x):
        return dout * np.where(x > 0, 1.0, np.where(x == 0, at_zero, 0.0))

    x = np.array([-1.0, 0.0, 2.0, 0.0])
    report = check(lambda x: (np.where(x.real > 0, x, 0), x), backward, [x])
    assert report.verdict is Verdict.KINK
    assert report.passed
    assert "2 entries of x on a kink, first (1,)" in report["x"].sentence


@pytest.mark.parametrize("at_zero", [-0.1, 1.001])
def test_a_value_outside_the_slopes_fails_as_a_kink(at_zero):
    def backward(dout, x):
        return dout * np.where(x > 0, 1.0, np.where(x == 0, at_zero, 0.0))

    report = check(lambda x: (np.maximum(x, 0), x), backward, [np.array([-1.0, 0.0, 2.0])])
    assert report.verdict is Verdict.KINK
    assert not report.passed
    assert "lies outside" in report["x"].sentence


def test_wrong_beside_a_kink_is_wrong():
    report = check(lambda x: (np.maximum(x, 0), x), lambda d, x: d * (x >= -1), [np.array([-0.5, 0.0, 2.0])])
    assert report.verdict is Verdict.WRONG


def test_relu_near_0_is_no_kink():
    x = np.array([1e-3, -1e-5, 1e-6])
    report = check(lambda x: (np.maximum(x, 0), x), lambda d, x: d * (x > 0), [x])
    assert report.verdict is Verdict.OK


def test_forward_nondeterministic():
    rng = np.random.default_rng(0)  # not an input: nobody can copy it

    def forward(x):
        keep = rng.random(x.shape) > 0.5
        return x * keep, keep

    report = check(forward, lambda dout, keep: dout * keep, [X])
    assert verdicts(report) == {"x": "NONDETERMINISTIC"}
    assert "The forward called twice" in report["x"].sentence
    assert report["x"].numeric is None  # it has no derivative


def test_backward_nondeterministic():
    rng = np.random.default_rng(0)
    report = check(product, lambda dout, c: (dout * c[1], dout * (rng.random(X.shape) > 0.5)), [X, Y])
    assert verdicts(report) == {"x": "OK", "y": "NONDETERMINISTIC"}
    assert "randomness drawn in the backward" in report["y"].sentence


def test_a_cache_that_is_used_up():
    def forward(x):
        return np.sin(x), {"cos": np.cos(x)}

    def backward(dout, cache):
        cache["cos"] *= dout
        return cache["cos"].copy()

    report = check(forward, backward, [X])
    assert report.verdict is Verdict.NONDETERMINISTIC
    assert "used up or changed its cache" in report["x"].sentence


def test_a_state_between_calls():
    total = np.zeros_like(X)

    def backward(dout, cache):
        total.__iadd__(dout * cache)  # gradients accumulate and are never cleared
        return total.copy()

    assert check(lambda x: (x * x / 2, x), backward, [X]).verdict is Verdict.NONDETERMINISTIC


def test_a_forward_that_counts_its_calls_in_the_cache():
    calls = []

    def forward(x):
        calls.append(1)
        return x * x, x * len(calls)

    report = check(forward, lambda dout, cache: 2 * dout * cache, [X])
    assert report.verdict is Verdict.NONDETERMINISTIC
    assert "a state kept between calls" in report["x"].sentence


def test_a_generator_as_input_is_no_randomness():
    def forward(x, rng):
        keep = rng.random(x.shape) > 0.5
        return x * keep, keep

    report = check(forward, lambda dout, keep: dout * keep, [X, np.random.default_rng(3)])
    assert report.passed


def test_input_mutated_by_the_forward():
    def forward(x, y):
        y -= y.mean()
        return x * y, (x, y)

    def backward(dout, cache):
        x, y = cache
        return dout * y, dout * x - (dout * x).mean()

    report = check(forward, backward, [X, Y])
    assert verdicts(report) == {"x": "OK", "y": "INPUT_MUTATED"}
    assert "The forward changed its input y" in report["y"].sentence


def test_input_mutated_by_the_backward():
    def backward(dout, cache):
        x, y = cache
        dx = dout * y
        x *= dout
        return dx, x.copy()

    report = check(product, backward, [X, Y])
    assert "The backward changed the input x" in report["x"].sentence
    assert report["x"].verdict in (Verdict.INPUT_MUTATED, Verdict.NONDETERMINISTIC)


def test_an_input_without_gradient_that_is_mutated():
    def forward(table, ids):
        out = table[ids]
        ids += 1
        return out, (table.shape, ids - 1)

    def backward(dout, cache):
        shape, ids = cache
        d = np.zeros(shape)
        np.add.at(d, ids, dout)
        return d

    report = check(forward, backward, [X, np.array([0, 2, 0])])
    assert verdicts(report) == {"table": "INPUT_MUTATED"}


def test_dout_mutated():
    def backward(dout, x):
        dout *= 2 * x
        return dout.copy()

    report = check(lambda x: (x * x, x), backward, [X])
    assert verdicts(report) == {"x": "DOUT_MUTATED"}


@pytest.mark.parametrize(
    ("forward", "backward", "what"),
    [
        (lambda x, y: (x + y, None), lambda d, c: (d, d.copy()), "dout"),
        (lambda x, y: (x + y, None), lambda d, c: (d[:], d.copy()), "dout"),
        (lambda x, y: (x + y, None), lambda d, c: (d.copy(),) * 2, "the gradient of y"),
        (
            lambda x, y: ((x * x / 2).sum() + y.sum(), (x, y)),
            lambda d, c: (c[0], 1 + 0 * c[1]),
            "the input x",
        ),
    ],
)
def test_aliased(forward, backward, what):
    dout = np.ones(()) if what == "the input x" else None
    report = check(forward, backward, [X, Y], dout=dout)
    assert report["x"].verdict is Verdict.ALIASED
    assert f"shares its memory with {what}" in report["x"].sentence


def test_a_buffer_that_is_used_again_is_aliased():
    buffer = np.empty_like(X)

    def backward(dout, x):
        return np.multiply(dout, 2 * x, out=buffer)

    report = check(lambda x: (x * x, x), backward, [X])
    assert verdicts(report) == {"x": "ALIASED"}
    assert "a buffer used again" in report["x"].sentence


@pytest.mark.parametrize(
    ("db", "words"),
    [
        (lambda d: d, "has shape (3, 4), the input (4,)"),
        (lambda d: d.sum(axis=0, keepdims=True), "has shape (1, 4)"),
        (lambda d: None, "No gradient was returned for b"),
    ],
)
def test_shape(db, words):
    report = check(lambda x, b: (x + b, None), lambda d, c: (d.copy(), db(d.copy())), [X, Y[0]])
    assert verdicts(report) == {"x": "OK", "b": "SHAPE"}
    assert words in report["b"].sentence


def test_a_wrong_number_of_gradients():
    report = check(product, lambda d, c: (d, d, d), [X, Y])
    assert verdicts(report) == {"x": "SHAPE", "y": "SHAPE"}
    assert "returned 3 gradients for 2 differentiable inputs (x, y)" in report["x"].sentence


@pytest.mark.parametrize("dtype", [np.complex128, np.int64, object])
def test_dtype(dtype):
    report = check(
        lambda x: (2 * x, None), lambda d, c: np.rint(2 * d).astype(dtype), [X], dout=np.rint(2 * Y)
    )
    assert report.verdict is Verdict.DTYPE


def test_float32_that_is_widened_on_the_way():
    x = X.astype(np.float32)
    backward = lambda d, c: d * np.float64(2)  # noqa: E731
    assert check(lambda x: (2 * x, None), backward, [x]).verdict is Verdict.DTYPE
    assert check(lambda x: (np.float64(2) * x, None), backward, [x]).verdict is Verdict.OK


def test_not_finite():
    def forward(x):
        return np.sqrt((x * x).sum(axis=-1)), x

    def backward(dout, x):
        with np.errstate(all="ignore"):
            d = dout[:, None] * x / np.sqrt((x * x).sum(axis=-1, keepdims=True))
        d[1, 0] = np.nan
        d[2, 3] = np.inf
        return d

    report = check(forward, backward, [X])
    assert report.verdict is Verdict.NONFINITE
    assert "2 entries" in report["x"].sentence
    assert "first at (1, 0)" in report["x"].sentence


def test_cannot_tell_at_the_end_of_a_domain():
    report = check(
        lambda x: (np.sqrt(x), x), lambda d, x: d * 0.5 / np.sqrt(x + 1e-9), [np.array([0.0, 1.0])]
    )
    assert not report.passed
    steps = check(lambda x: (np.floor(x) + x, None), lambda d, c: d.copy(), [np.array([1.0, 2.5])])
    assert steps.verdict is Verdict.CANNOT_TELL


def test_code_that_raises_away_from_the_point_is_out_of_its_domain():
    def forward(p):
        if np.any(p < 0):
            raise ValueError("p: expected a probability")
        return np.log(p), p

    report = check(forward, lambda d, p: d / p, [np.array([0.01, 0.5])])
    assert report.passed, str(report)


# --- precision -------------------------------------------------------------------------------------


def test_float32_inside_the_backward():
    f32 = np.float32

    def returned(dout, x):
        return (dout * np.cos(x)).astype(f32)

    def rounded_back(dout, x):
        return (dout * np.cos(x)).astype(f32).astype(np.float64)

    def in_the_middle(dout, x):
        return dout * np.cos(x.astype(f32)).astype(np.float64)

    for backward in (returned, rounded_back, in_the_middle):
        report = check(lambda x: (np.sin(x), x), backward, [X])
        assert report.verdict is Verdict.PRECISION, str(report)
        assert not report.passed
    assert check(lambda x: (np.sin(x), x), returned, [X.astype(f32)]).verdict is Verdict.OK


def test_float32_inside_the_forward():
    def all_of_it(x):
        return np.sin(x.astype(np.float32)).astype(np.float64), x

    def in_the_middle(x):
        return 0.3 * np.sin(x.astype(np.float32)).astype(np.float64), 0.3

    for seed in range(20):
        x = np.random.default_rng(seed).standard_normal(5)
        right = check(all_of_it, lambda d, x: d * np.cos(x), [x])
        assert [finding.verdict for finding in right["x"].findings] == [Verdict.PRECISION], str(right)
    noisy = check(lambda x: (in_the_middle(x)[0], x), lambda d, x: 0.3 * d * np.cos(x), [X])
    assert noisy.verdict is Verdict.PRECISION, str(noisy)


def test_float32_is_judged_at_its_own_accuracy():
    x = (X * 2).astype(np.float32)

    def forward(x):
        return np.exp(x), x

    assert check(forward, lambda d, x: d * np.exp(x), [x]).passed
    assert check(forward, lambda d, x: d * np.exp(x) * np.float32(1.0005), [x]).verdict is Verdict.WRONG


def test_code_that_takes_float32_alone():
    def forward(x):
        assert x.dtype == np.float32
        return x * x, x

    report = check(forward, lambda d, x: 2 * d * x, [X.astype(np.float32)])
    assert report.passed, str(report)
    assert not check(forward, lambda d, x: d * x, [X.astype(np.float32)]).passed


def test_numbers_that_float32_holds_by_nature_are_no_loss():
    report = check(
        lambda x, y: ((x * y).sum(), y), lambda d, y: d * y, {"x": X, "y": np.rint(4 * Y)}, wrt="x", dout=1.0
    )
    assert report.verdict is Verdict.OK


# --- ways of calling -------------------------------------------------------------------------------


def test_without_a_cache():
    report = check(lambda x, y: x * y, lambda dout, x, y: (dout * y, dout * x), [X, Y])
    assert report.passed
    report = check(lambda x: np.sin(x), lambda dout, x: dout * np.cos(x), {"x": X})
    assert report.passed


def test_without_a_cache_by_name():
    def forward(x, w, rng):
        return (x * w) * (rng.random(x.shape) > 0.3)

    def backward(dout, rng, w, x):  # in another order
        masked = dout * (rng.random(x.shape) > 0.3)
        return {"dw": masked * x, "dx": masked * w}

    assert check(forward, backward, {"x": X, "w": Y, "rng": np.random.default_rng(0)}).passed


@pytest.mark.parametrize(
    "wrap",
    [
        lambda dx, dy: {"x": dx, "y": dy},
        lambda dx, dy: {"dy": dy, "dx": dx},
        lambda dx, dy: [dx, dy],
        lambda dx, dy: (dx, None, dy, None),
    ],
)
def test_ways_to_return_gradients(wrap):
    report = check(product, lambda dout, c: wrap(*product_backward(dout, c)), {"x": X, "y": Y})
    assert report.passed


def test_wrt():
    def backward(dout, cache):
        return product_backward(dout, cache)[1]

    report = check(product, backward, [X, Y], wrt="y")
    assert verdicts(report) == {"y": "OK"}
    with_none = check(product, lambda d, c: (d * c[1], None, d * c[0], None, None), [X, Y], wrt="y")
    assert with_none.passed
    broken_x = check(product, lambda d, c: (0 * d, d * c[0]), [X, Y], wrt=["y"])
    assert broken_x.passed


def test_wrt_a_python_float():
    report = check(
        lambda x, t: (x / t, (x, t)), lambda d, c: (-d * c[0] / c[1] ** 2).sum(), [X, 0.5], wrt="t"
    )
    assert report.passed, str(report)


def test_several_outputs():
    def forward(x):
        return (np.sin(x), x.sum(axis=0)), x

    def backward(dout, x):
        return dout[0] * np.cos(x) + dout[1]

    assert check(forward, backward, [X]).passed
    assert not check(forward, lambda dout, x: dout[0] * np.cos(x), [X]).passed


def test_outputs_that_are_not_finite_are_left_out_and_named():
    mask = Y > 0

    def forward(x):
        return np.where(mask, 2 * x, -np.inf), None

    report = check(forward, lambda dout, c: np.where(mask, 2 * dout, 0), [X])
    assert report.passed, str(report)
    assert "non-finite-output" in [spot.identifier for spot in report.blind_spots]


def test_the_cotangent_is_drawn_from_rng_or_given():
    seen = []

    def backward(dout, x):
        seen.append(dout.copy())
        return 2 * dout * x

    check(lambda x: (x * x, x), backward, [X], rng=np.random.default_rng(7))
    assert np.array_equal(seen[0], np.random.default_rng(7).standard_normal(X.shape))
    seen.clear()
    check(lambda x: (x * x, x), backward, [X], dout=Y)
    assert np.array_equal(seen[0], Y)
    with pytest.raises(ValueError, match="dout: expected the shape of the output"):
        check(lambda x: (x * x, x), backward, [X], dout=Y[0])


def test_what_the_user_gave_is_untouched():
    x, rng = X.copy(), np.random.default_rng(1)
    state = rng.bit_generator.state

    def forward(x, rng):
        x += rng.random()
        return 2 * x, None

    check(forward, lambda d, c: 2 * d, [x, rng])
    assert np.array_equal(x, X)
    assert rng.bit_generator.state == state


@pytest.mark.parametrize(
    ("inputs", "kwargs", "error", "words"),
    [
        (np.ones(3), {}, TypeError, "expected a sequence or a mapping"),
        ([np.arange(3)], {}, ValueError, "expected at least one array of finite floating-point numbers"),
        ([X], {"wrt": "nope"}, ValueError, "got 'nope'"),
        ([np.arange(3)], {"wrt": "x"}, TypeError, "array of int64"),
    ],
)
def test_bad_arguments_are_named(inputs, kwargs, error, words):
    with pytest.raises(error, match=words):
        check(lambda x: (x, None), lambda d, c: d, inputs, **kwargs)


def test_errors_of_the_code_itself_come_through():
    with pytest.raises(ZeroDivisionError):
        check(lambda x: (x, None), lambda d, c: 1 / 0, [X])


def test_empty_and_scalar_inputs():
    assert check(lambda x: (x * 1, None), lambda d, c: d * 1, [np.zeros((0, 3))]).passed
    assert check(lambda x: (np.sin(x), x), lambda d, x: d * np.cos(x), [np.array(0.3)]).passed


# --- strict, experts -------------------------------------------------------------------------------


def test_strict_fails_on_a_blind_spot():
    inputs = {"x": X, "y": np.ones_like(X)}
    assert check(product, product_backward, inputs).passed
    report = check(product, product_backward, inputs, strict=True)
    assert not report.passed
    assert report.verdict is Verdict.CANNOT_TELL
    assert check(product, product_backward, [X, Y], strict=True).passed


def test_experts_see_the_evidence_of_failures_alone_and_are_ranked():
    seen = []

    def expert(evidence):
        seen.append(evidence)
        return {
            "y": [
                Hypothesis("guess", "Something is off.", "perhaps this", 0.1, "Look."),
                Hypothesis("sign", "a = -n.", "a minus too many", 1.0, "Drop it."),
            ]
        }

    report = check(product, lambda d, c: (d * c[1], -d * c[0]), [X, Y], op="product", experts=[expert])
    assert [evidence.wrong for evidence in seen] == [("y",)]
    assert np.allclose(seen[0].given["y"], -seen[0].numeric["y"])
    assert seen[0].op == "product"
    assert set(seen[0].given) == set(seen[0].numeric) == {"x", "y"}
    assert np.array_equal(seen[0].inputs["x"], X)
    assert np.allclose(seen[0].numeric_for("x", 2 * seen[0].dout), 2 * seen[0].numeric["x"])
    assert [h.identifier for h in report["y"].hypotheses] == ["sign", "guess"]
    assert "a minus too many" in str(report)
    assert report["x"].hypotheses == ()


def test_an_expert_is_not_asked_about_a_right_gradient():
    def expert(evidence):
        raise AssertionError

    assert check(product, lambda d, c: (d * c[1], d * c[0]), [X, Y], experts=[expert]).passed


@pytest.mark.parametrize("offset", [1e6, 1e10, 1e12, 1e13])
@pytest.mark.parametrize("factor", [0.0, 1.0, 1 + 1e-4, 1.5, 2.0])
def test_large_outputs_excuse_no_wrong_gradient(offset, factor):
    x = np.random.default_rng(0).standard_normal((2, 2))
    report = check(lambda x: (x**2 + offset, x), lambda dout, x: dout * 2 * factor * x, [x])
    assert report.passed == (factor == 1.0)


@pytest.mark.parametrize(("dtype", "offset"), [(np.float32, 1e4), (np.float32, 1e5)])
def test_large_outputs_excuse_no_wrong_gradient_in_float32(dtype, offset):
    x = np.random.default_rng(0).standard_normal(100).astype(dtype)
    for factor, passed in ((1.0, True), (1.01, False), (2.0, False)):
        report = check(
            lambda x: (np.sin(x) + x.dtype.type(offset), x),
            lambda dout, x, factor=factor: (dout * np.cos(x) * factor).astype(x.dtype),
            [x],
        )
        assert report.passed == passed, factor


def test_outputs_so_large_that_the_stencil_cannot_tell():
    def forward(x):
        return np.asarray(x.real if np.iscomplexobj(x) else x) ** 2 + 1e14, x

    x = np.random.default_rng(0).standard_normal((2, 2))
    report = check(forward, lambda dout, x: dout * 3 * x, [x])
    assert not report.passed


@pytest.mark.parametrize("frequency", [1e3, 5e3, 1e4, 1e5])
def test_a_function_faster_than_the_stencil(frequency):
    x = np.random.default_rng(0).standard_normal((2, 2))

    def forward(x):
        return np.sin(frequency * x), x

    for factor, passed in ((1.0, True), (1.001, False)):
        report = check(forward, lambda dout, x, f=factor: dout * f * frequency * np.cos(frequency * x), [x])
        assert report.passed == passed


def test_a_dropped_small_gradient_is_wrong_and_no_matter_of_precision():
    a, b = np.random.default_rng(0).standard_normal((2, 4))
    report = check(
        lambda a, b: (1e6 * a + 1e-3 * b, None), lambda dout, cache: (1e6 * dout, 0 * dout), {"a": a, "b": b}
    )
    assert report["a"].passed
    assert report["b"].verdict is not Verdict.PRECISION


def test_the_arrays_are_asked_where_no_expert_explains_the_error():
    def expert(evidence):
        return {"y": [Hypothesis("guess", "Something is off.", "perhaps this", 0.1, "Look.")]}

    report = check(product, lambda d, c: (d * c[1], -d * c[0]), [X, Y], experts=[expert])
    assert [h.identifier for h in report["y"].hypotheses] == ["sign-flipped", "guess"]


@pytest.mark.parametrize("constant", [-1e9, -1e30, float(np.finfo(np.float64).min)])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_large_constant_output_excuses_nothing(constant):
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal((3, 4)), rng.random((3, 4)) < 0.5]

    def masked(s, mask):
        return np.where(mask, s, constant), mask

    assert check(masked, lambda d, m: 3 * d * m, inputs).verdict is Verdict.WRONG
    if constant > -1e300:
        assert check(masked, lambda d, m: d * m, inputs).passed


@pytest.mark.parametrize("offset", [1e8, 1e12, 1e15])
def test_a_constant_added_to_every_output_excuses_nothing(offset):
    x = np.random.default_rng(0).standard_normal((3, 4))
    assert check(lambda x: (x * x + offset, x), lambda d, x: 3 * d * x, [x]).verdict is Verdict.WRONG
    assert check(lambda x: (x * x + offset, x), lambda d, x: 2 * d * x, [x]).passed


@pytest.mark.parametrize("scale", [10, 20, 30])
def test_a_saturated_softmax_may_round(scale):
    def softmax(x):
        e = np.exp(x - x.real.max(-1, keepdims=True))
        p = e / e.sum(-1, keepdims=True)
        return p, p

    for seed in range(5):
        x = scale * np.random.default_rng(seed).standard_normal((3, 5))
        report = check(softmax, lambda d, p: p * (d - (d * p).sum(-1, keepdims=True)), [x])
        assert report.passed, str(report)


def test_what_is_infinite_is_no_input_to_differentiate():
    rng = np.random.default_rng(0)
    s, mask = rng.standard_normal((3, 4)), np.where(rng.random((3, 4)) < 0.6, 0.0, -np.inf)
    mask[:, 0] = 0

    def softmax(s, mask):
        e = np.exp(s + mask)
        p = e / e.sum(-1, keepdims=True)
        return p, p

    report = check(softmax, lambda d, p: p * (d - (d * p).sum(-1, keepdims=True)), [s, mask])
    assert report.passed
    assert [r.name for r in report.results] == ["s"]
    with pytest.raises(ValueError, match="entries that are not finite"):
        check(lambda x: (x, x), lambda d, x: d, [np.array([1.0, np.inf])])
    with pytest.raises(ValueError, match="wrt: expected finite numbers"):
        check(softmax, lambda d, p: d, [s, mask], wrt=["mask"])


@pytest.mark.parametrize("reg", [1e-6, 1e-7, 1e-8])
@pytest.mark.parametrize(
    ("penalty", "slope"),
    [(lambda w: 0.5 * np.linalg.norm(w) ** 2, lambda w: w), (lambda w: np.abs(w).sum(), np.sign)],
    ids=["norm", "abs"],
)
def test_a_small_regulariser_that_does_not_run_in_complex_is_seen(penalty, slope, reg):
    w, x = RNG.standard_normal((4, 3)), RNG.standard_normal((5, 4))

    def f(w):
        return 0.5 * ((x @ w) ** 2).sum() + reg * penalty(w)

    assert check(f, lambda d, w: d * (x.T @ (x @ w) + reg * slope(w)), [w]).passed
    forgotten = check(f, lambda d, w: d * (x.T @ (x @ w)), [w])
    assert forgotten.verdict is Verdict.WRONG
    assert not {"float32-inside", "upstream-ignored"} & set(forgotten.names)


def test_a_loss_that_is_not_finite_blames_no_gradient():
    def softmax(z):
        e = np.exp(z - z.real.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    def backward(dout, z):
        return dout[..., None] * (softmax(z) - np.eye(3)[[0]])

    def losses(z):
        with np.errstate(divide="ignore"):
            return -np.log(softmax(z))[:, 0]

    z = np.array([[0, 1, 2.0], [-800, 1, 2]])
    report = check(lambda z: losses(z).mean(), lambda dout, z: backward(dout, z) / 2, {"z": z})
    assert report["z"].verdict is Verdict.CANNOT_TELL
    assert "The output is not finite: inf." in report["z"].sentence
    assert [spot.identifier for spot in report.blind_spots] == ["non-finite-output"]
    of_rows = check(losses, backward, {"z": z})  # the row that is finite can be judged
    assert of_rows["z"].verdict is Verdict.OK
    assert check(losses, lambda dout, z: 1.1 * backward(dout, z), {"z": z})["z"].verdict is Verdict.WRONG


@pytest.mark.parametrize("number", [2.0, np.float64(2.0)])
def test_a_gradient_returned_for_a_python_float_is_judged(number):
    inputs = {"x": np.ones((4, 3)), "s": number}
    right = check(lambda x, s: s * x, lambda d, x, s: (d * s, (d * x).sum()), inputs)
    assert [(r.name, r.verdict) for r in right.results] == [("x", Verdict.OK), ("s", Verdict.OK)]
    wrong = check(lambda x, s: s * x, lambda d, x, s: (d * s, 99 * (d * x).sum()), inputs)
    assert wrong["s"].verdict is Verdict.WRONG
    by_name = check(lambda x, s: s * x, lambda d, x, s: {"x": d * s, "ds": 99 * (d * x).sum()}, inputs)
    assert by_name["s"].verdict is Verdict.WRONG
    with_more = check(
        lambda x, s, n: s * x, lambda d, x, s, n: (d * s, 99 * (d * x).sum()), {**inputs, "n": 3}
    )
    assert with_more["s"].verdict is Verdict.WRONG
    scalar = check(
        lambda x, s: (s * x).sum(), lambda d, x, s: (d * s * np.ones_like(x), 99 * x.sum()), inputs, dout=1.0
    )
    assert scalar["s"].verdict is Verdict.WRONG


def test_a_python_float_without_a_gradient_is_a_blind_spot():
    x = np.random.default_rng(0).standard_normal((4, 3))
    for backward in (lambda d, x, s: d * s, lambda d, x, s: (d * s, None)):
        report = check(lambda x, s: s * x, backward, {"x": x, "s": 2.0}, strict=True)
        assert not report.passed
        assert [(spot.identifier, spot.input) for spot in report.blind_spots] == [("not-checked", "s")]
    setting = {"x": x, "eps": 1e-5}
    assert check(lambda x, eps: x + eps, lambda d, x, eps: d.copy(), setting, strict=True).passed


def test_none_for_an_absent_input_does_not_give_its_place_to_a_number():
    """Two gradients, as many as x and s: but the first is that of the absent bias, not of x."""
    x = np.array([0.5, -1.0, 2.0])
    inputs = {"bias": None, "x": x, "s": 2.0}
    report = check(lambda bias, x, s: (s * x, s), lambda dout, s: (None, s * dout), inputs)
    assert report.passed, str(report)
    assert not check(lambda bias, x, s: (s * x, s), lambda dout, s: (None, dout * 1.0), inputs).passed


def test_a_cotangent_may_be_written_out_in_a_list():
    x = np.array([0.5, -1.0])
    assert check(lambda x: x * x, lambda dout, x: 2 * dout * x, [x], dout=[1.0, 2.0]).passed
    rows = np.array([[0.5, -1.0, 2.0], [1.0, 0.1, 3.0]])
    wanted = [[1.0, 2.0, 0.5], [0.3, -1.0, 2.0]]
    assert check(lambda x: x * x, lambda dout, x: 2 * dout * x, [rows], dout=wanted).passed
    pair = [np.array([1.0, 2.0]), np.array([0.5, 3.0])]  # one for each of two outputs

    def backward(dout, cache):
        return dout[0] * 2 * cache + dout[1] * 3

    assert check(lambda x: ((x * x, 3 * x), x), backward, [x], dout=pair).passed
    with pytest.raises(ValueError, match=r"check: dout: expected the shape of the output \[\(2,\)\]"):
        check(lambda x: x * x, lambda dout, x: 2 * dout * x, [x], dout=[1.0, 2.0, 3.0])
