"""Right gradients pass whatever the sizes, the masks, the numbers and the dtype."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import npformer
from npformer import functional as F
from npformer.diagnosis import sample_inputs
from npformer.diagnosis.samples import SIZES
from npformer.teaching.museum import INDEX, student
from npformer.testing.strategies import ids, masks, normals, sizes

DTYPES = st.sampled_from([np.float64, np.float32])


def narrowed(inputs, dtype):
    """The same inputs with every real array in `dtype`."""
    floats = {k for k, x in inputs.items() if isinstance(x, np.ndarray) and x.dtype.kind == "f"}
    return {k: x.astype(dtype) if k in floats else x for k, x in inputs.items()}


def students_right_code_passes(op, data):
    n = data.draw(sizes(" ".join(SIZES[op])))
    if "width" in n:
        n["width"] *= 2  # two heads
    dtype = data.draw(DTYPES)
    if op == "query_key_norm_attention" and dtype is np.float32:
        n["width"] = max(n["width"], 4)  # a norm of one number has no digits left: docs/referee.md
    inputs = narrowed(sample_inputs(op, data.draw(st.integers(0, 9999)), sizes=n), dtype)
    report = npformer.check(*student(op), list(inputs.values()))
    assert report.passed, str(report)


@pytest.mark.parametrize("op", INDEX)
@settings(max_examples=2, deadline=None)
@given(st.data())
def test_a_students_right_code_at_any_sizes(op, data):
    students_right_code_passes(op, data)


@pytest.mark.thorough
@pytest.mark.parametrize("op", INDEX)
@settings(max_examples=8, deadline=None)
@given(st.data())
def test_a_students_right_code_at_many_sizes(op, data):
    students_right_code_passes(op, data)


@settings(max_examples=10, deadline=None)
@given(sizes("B T S d_k d_v"), DTYPES, st.data())
def test_attention_with_any_mask(n, dtype, data):
    B, T, S = n["B"], n["T"], n["S"]
    inputs = {
        "q": data.draw(normals(B, T, n["d_k"], dtype=dtype, scale=0.5)),
        "k": data.draw(normals(B, S, n["d_k"], dtype=dtype)),
        "v": data.draw(normals(B, S, n["d_v"], dtype=dtype)),
        "mask": data.draw(masks(B, T, S)),
    }
    report = npformer.check(F.scaled_dot_product_attention, F.scaled_dot_product_attention_backward, inputs)
    assert report.passed, str(report)


@settings(max_examples=10, deadline=None)
@given(sizes("B T V"), DTYPES, st.sampled_from(["mean", "sum", "none"]), st.data())
def test_cross_entropy_with_any_targets(n, dtype, reduction, data):
    inputs = {
        "logits": data.draw(normals(n["B"], n["T"], n["V"], dtype=dtype, scale=3.0)),
        "targets": data.draw(ids(n["B"], n["T"], vocab_size=n["V"], ignore_index=-100)),
        "reduction": reduction,
    }
    report = npformer.check(F.cross_entropy, F.cross_entropy_backward, inputs)
    assert report.passed, str(report)


@pytest.mark.parametrize(
    "seed", [*range(5), *(pytest.param(s, marks=pytest.mark.thorough) for s in range(5, 30))]
)
def test_a_saturated_softmax_is_right_up_to_the_rounding_of_its_outputs(seed):
    def forward(x):
        e = np.exp(x - x.max(-1, keepdims=True))
        p = e / e.sum(-1, keepdims=True)
        return p, p

    x = 50 * np.random.default_rng(seed).standard_normal((3, 5))
    npformer.check(forward, lambda d, p: p * (d - (d * p).sum(-1, keepdims=True)), [x]).raise_if_failed()


QUICK = ("linear", "layer_norm", "binary_cross_entropy_with_logits", "mean_pooling")
LONG = ("multi_head_attention", "query_key_norm_attention")


@pytest.mark.parametrize(
    "op",
    [
        *QUICK,
        *(pytest.param(op, marks=pytest.mark.thorough) for op in INDEX if op not in (*QUICK, *LONG)),
        *(pytest.param(op, marks=pytest.mark.exhaustive) for op in LONG),
    ],
)
def test_the_right_gradient_computed_in_float32_is_told_of_no_other_mistake(op):
    """Its numbers are float32's; none of the mistakes changes it by less than it is rounded by."""
    forward, backward = student(op)
    inputs = sample_inputs(op, 0)

    def kept(*arguments):
        return forward(*arguments)[0], arguments

    def backward_in_float32(dout, arguments):
        narrow = narrowed(dict(enumerate(arguments)), np.float32)
        return backward(np.asarray(dout, np.float32), forward(*narrow.values())[1])

    report = npformer.check(kept, backward_in_float32, list(inputs.values()))
    assert not report.passed
    named = {name for name in report.names if not name.startswith("wrong-")}  # which says where it begins
    assert named <= {"float32-inside", "unknown"}, str(report)


def test_a_gradient_in_float32_where_all_are_zero_is_wrong_and_not_rounded():
    inputs = [np.arange(4.0)]
    report = npformer.check(lambda x: (0 * x, x), lambda dout, x: (5 * dout).astype(np.float32), inputs)
    assert any(f.verdict.name == "WRONG" for f in report.results[0].findings), str(report)


def test_a_zero_that_a_small_norm_has_magnified():
    """Cosines of single numbers are constant; what the complex step leaves of that is 1e-13 beside 6e-4."""
    inputs = sample_inputs("info_nce", 564, sizes={"N": 5, "d": 1})
    assert np.abs(inputs["keys"]).min() < 1e-3
    forward, backward = student("info_nce")
    npformer.check(forward, backward, inputs).raise_if_failed()
    report = npformer.check(forward, lambda dout, cache: [g + 1e-12 for g in backward(dout, cache)], inputs)
    assert not report.passed
