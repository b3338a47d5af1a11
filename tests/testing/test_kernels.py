"""What a kernel computed from the test vectors, judged from its file."""

from __future__ import annotations

import json

import numpy as np
import pytest

from npformer import proof, testing
from npformer.proof.cases import OPS, cases
from npformer.proof.cases.case import CONSTANTS
from npformer.proof.vectors import to_json, vectors
from npformer.testing import assert_vectors_match, check_vectors


def results(op, seed=0, dtype="float64"):
    """What a right kernel writes."""
    arrays = {}
    if dtype == "float32":  # which reads the vectors so, too
        for i, case in enumerate(testing.kernels.cases(op, seed)):
            out, gradients = case.astype(dtype).gradients()
            arrays |= {f"{i}/out": np.asarray(out)}
            arrays |= {f"{i}/gradients/{name}": gradient for name, gradient in gradients.items()}
        return arrays
    for i, case in enumerate(vectors(op, seed)):
        arrays[f"{i}/out"] = case["out"]
        arrays |= {f"{i}/gradients/{name}": np.array(g) for name, g in case["gradients"].items()}
    return arrays


def written(tmp_path, arrays):
    path = tmp_path / "results.npz"
    np.savez(path, **arrays)
    return path


@pytest.fixture
def only(monkeypatch):
    """Have an op some of its cases alone."""

    def choose(those):
        for module in (proof.vectors, testing.kernels):
            monkeypatch.setattr(module, "cases", lambda op, seed: those(cases(op, seed)))

    return choose


# Of the attentions, whose every case takes a second, the last case; all of them with --thorough.
LONG = {"scaled_dot_product_attention", "flash_attention", "multi_head_attention"}
JUDGED = [(op, slice(-1, None) if op in LONG else slice(None)) for op in OPS if op not in CONSTANTS]
JUDGED += [pytest.param(op, slice(None), marks=pytest.mark.thorough) for op in sorted(LONG)]


@pytest.mark.parametrize(("op", "which"), JUDGED)
def test_right_results_pass(op, which, tmp_path, only):
    only(lambda all_of_them: all_of_them[which])
    report = check_vectors(op, written(tmp_path, results(op, 3)), 3)
    assert report.passed, str(report)
    assert list(report.reports) == [case.variant for case in cases(op, 3)[which]]


IN_FLOAT32 = [(op, slice(-1, None)) for op in OPS if op not in CONSTANTS]
IN_FLOAT32 += [
    pytest.param(op, slice(None), marks=pytest.mark.exhaustive if op in LONG else pytest.mark.thorough)
    for op, _ in IN_FLOAT32
]


@pytest.mark.parametrize(("op", "which"), IN_FLOAT32)
def test_right_results_in_float32_pass(op, which, tmp_path, only):
    only(lambda all_of_them: all_of_them[which])
    arrays = results(op, 3, "float32")
    path = written(tmp_path, arrays)
    report = check_vectors(op, path, 3)
    assert report.passed, str(report)
    assert set(report.dtypes.values()) == {"float32"}
    assert not check_vectors(op, path, 3, dtype="float64").passed
    name = max((key for key in arrays if "gradients" in key), key=lambda key: np.abs(arrays[key]).max())
    arrays[name] = arrays[name] + np.float32(1e-4) * (np.abs(arrays[name]).max() or np.float32(1))
    assert not check_vectors(op, written(tmp_path, arrays), 3).passed


@pytest.mark.parametrize("op", CONSTANTS)
def test_an_op_without_gradients_is_refused_in_a_line(op, tmp_path):
    arrays = {f"{i}/out": case["out"] for i, case in enumerate(vectors(op))}
    with pytest.raises(ValueError, match=f"expected one with gradients to judge, got {op}, which has none"):
        check_vectors(op, written(tmp_path, arrays))


def test_a_wrong_gradient_in_float32_is_named(tmp_path):
    arrays = results("rms_norm", dtype="float32")
    for i, case in enumerate(vectors("rms_norm")):
        x, gamma, dout = case["inputs"]["x"], case["inputs"]["gamma"], case["dout"]
        rstd = 1 / np.sqrt((x * x).mean(-1, keepdims=True) + case["arguments"].get("eps", 1e-6))
        arrays[f"{i}/gradients/x"] = (rstd * gamma * dout).astype(np.float32)
    report = check_vectors("rms_norm", written(tmp_path, arrays))
    assert all(r.names == {"mean-square-term-missing"} for r in report.reports.values()), str(report)
    assert ", in float32: FAILED" in str(report)


def test_nested_lists_have_the_dtype_that_is_said(tmp_path):
    path = tmp_path / "results.json"
    path.write_text(json.dumps({key: x.tolist() for key, x in results("gelu", dtype="float32").items()}))
    assert not check_vectors("gelu", path).passed
    assert check_vectors("gelu", path, dtype="float32").passed
    with pytest.raises(ValueError, match="dtype: expected one of float64, float32, got 'half'"):
        check_vectors("gelu", path, dtype="half")


@pytest.mark.parametrize("form", ["npz", "json", "flat"])
def test_results_may_say_what_they_are_of(form, tmp_path):
    arrays = results("gelu", seed=2)
    if form == "npz":
        path = written(tmp_path, {**arrays, "op": np.array("gelu"), "seed": np.array(2)})
    else:
        path = tmp_path / "results.json"
        flat = json.dumps({"op": "gelu", "seed": 2, **{key: x.tolist() for key, x in arrays.items()}})
        path.write_text(flat if form == "flat" else to_json("gelu", 2))
    assert check_vectors("gelu", path).passed
    with pytest.raises(ValueError, match="expected results of gelu, seed 0, got those of gelu, seed 2"):
        check_vectors("gelu", path, 0)
    with pytest.raises(ValueError, match="expected results of relu, got those of gelu, seed 2"):
        check_vectors("relu", path)


@pytest.mark.parametrize(
    ("op", "seed"), [("relu", 2), (["gelu"], 2), ("gelu", 2.0), ("gelu", [2]), ("gelu", True)]
)
def test_what_results_say_they_are_of_is_believed_or_refused(op, seed, tmp_path):
    arrays = {**results("gelu", seed=2), "op": np.array(op), "seed": np.array(seed)}
    with pytest.raises(ValueError, match="expected"):
        check_vectors("gelu", written(tmp_path, arrays))


@pytest.mark.parametrize("change", [lambda g: g + 5j, lambda g: g.astype(str)], ids=["complex", "text"])
def test_what_is_no_real_number_does_not_pass_as_float32(change, tmp_path):
    arrays = results("gelu", dtype="float32")
    arrays = {key: change(x) if "gradients" in key else x for key, x in arrays.items()}
    assert not check_vectors("gelu", written(tmp_path, arrays), dtype="float32").passed


def test_a_wrong_gradient_is_named(tmp_path):
    arrays = results("rms_norm")
    for i, case in enumerate(vectors("rms_norm")):
        x, gamma, dout = case["inputs"]["x"], case["inputs"]["gamma"], case["dout"]
        rstd = 1 / np.sqrt((x * x).mean(-1, keepdims=True) + case["arguments"].get("eps", 1e-6))
        arrays[f"{i}/gradients/x"] = rstd * gamma * dout
    path = written(tmp_path, arrays)
    with pytest.raises(AssertionError, match="FAILED"):
        assert_vectors_match("rms_norm", path)
    for variant, report in check_vectors("rms_norm", path).reports.items():
        assert report.names == {"mean-square-term-missing"}, (variant, str(report))


def test_the_point_is_that_of_the_seed(tmp_path):
    path = written(tmp_path, results("tanh", 1))
    assert check_vectors("tanh", path, 1).passed
    assert not check_vectors("tanh", path, 0).passed


def test_a_wrong_output_is_said_and_one_not_given_is_not(tmp_path):
    arrays = results("softmax")
    arrays["0/out"] = arrays["0/out"] + 1e-6
    report = check_vectors("softmax", written(tmp_path, arrays))
    assert not report.passed
    assert "The output differs, most at" in str(report)
    del arrays["0/out"]
    assert check_vectors("softmax", written(tmp_path, arrays)).passed
    arrays["0/out"] = np.zeros(3)
    assert "has shape (3,)" in str(check_vectors("softmax", written(tmp_path, arrays)))


def test_json_is_read_too(tmp_path):
    path = tmp_path / "results.json"
    path.write_text(to_json("gelu", 2))
    assert check_vectors("gelu", path, 2).passed
    content = json.loads(path.read_text())
    content["cases"][0]["gradients"]["x"]["data"][0] += 0.5
    path.write_text(json.dumps(content))
    assert not check_vectors("gelu", path, 2).passed


def test_what_is_missing_is_named(tmp_path):
    arrays = results("layer_norm")
    del arrays["1/gradients/gamma"]
    with pytest.raises(ValueError, match=r"expected 1/gradients/gamma, got x, beta"):
        check_vectors("layer_norm", written(tmp_path, arrays))
    few = {name: x for name, x in arrays.items() if name.startswith("0/")}
    with pytest.raises(ValueError, match=r"expected the 5 cases of layer_norm, got 1; there is no 1/grad"):
        check_vectors("layer_norm", written(tmp_path, few))
    gap = {name: x for name, x in results("layer_norm").items() if not name.startswith("1/")}
    with pytest.raises(ValueError, match="expected 1/gradients/x, got no gradients"):
        check_vectors("layer_norm", written(tmp_path, gap))


def test_intermediates_put_the_error_into_its_step(tmp_path, only):
    op = "scaled_dot_product_attention"
    only(lambda all_of_them: [case for case in all_of_them if case.variant == "two axes"])
    arrays = results(op)
    rng = np.random.default_rng(0)
    for i, case in enumerate(vectors(op)):
        arrays |= {f"{i}/intermediates/{k}": np.array(x) for k, x in case["intermediates"].items()}
    dq = arrays["0/gradients/q"]
    arrays["0/gradients/q"] = dq + rng.standard_normal(dq.shape)  # dS is right, so it is the product with k
    report = check_vectors(op, written(tmp_path, arrays))
    (hypothesis,) = report.reports["two axes"]["q"].hypotheses[:1]
    assert hypothesis.step == "6", str(report)


@pytest.mark.thorough
def test_a_softcap_without_its_slope_is_named(tmp_path, only):
    """Whatever else the case has: groups of heads, window, bias, mask and dropout."""
    op = "scaled_dot_product_attention"
    only(lambda them: [c for c in them if "softcap" in c.arguments or c.variant == "two axes"])
    arrays = results(op)
    capped = [i for i, case in enumerate(vectors(op)) if "softcap" in case["arguments"]]
    for i in capped:
        case = vectors(op)[i]
        dS, n = case["intermediates"]["dS"], case["inputs"]
        scale = case["arguments"].get("scale", n["q"].shape[-1] ** -0.5)
        group = n["q"].shape[1] // n["k"].shape[1]
        arrays[f"{i}/gradients/q"] = scale * dS @ n["k"].repeat(group, axis=1)
        dk = scale * dS.swapaxes(-1, -2) @ n["q"]
        arrays[f"{i}/gradients/k"] = dk.reshape(1, -1, group, *dk.shape[2:]).sum(axis=2)
    report = check_vectors(op, written(tmp_path, arrays))
    assert len(capped) == 2
    for i, case in enumerate(vectors(op)):
        names = {"softcap-slope-missing"} if i in capped else set()
        assert report.reports[case["variant"]].names == names, str(report)


def test_each_case_is_told_apart_with_its_output(tmp_path):
    arrays = results("relu")
    arrays["0/out"] = arrays["0/out"] + 1.0
    report = check_vectors("relu", written(tmp_path, arrays))
    first, *others = report.checked()
    assert not first["passed"]
    assert first["report"]["passed"]  # its gradients are right
    assert "The output differs" in first["text"]
    assert all(one["passed"] for one in others)
    assert [one["name"] for one in (first, *others)] == list(report.reports)
    assert str(report) == "\n".join(one["text"] for one in (first, *others))
    json.dumps(report.checked(), allow_nan=False)


@pytest.mark.parametrize("value", [None, "1.5"])
def test_an_output_that_is_no_number_is_told(value, tmp_path):
    """JavaScript writes null for NaN."""
    path = tmp_path / "results.json"
    flat = {key: x.tolist() for key, x in results("gelu").items()}
    out = vectors("gelu")[0]["out"].tolist()
    out[0][0][0] = value
    path.write_text(json.dumps({**flat, "0/out": out}))
    with pytest.raises(ValueError, match="0/out: expected an array of numbers, got one of"):
        check_vectors("gelu", path)
    content = json.loads(to_json("gelu", 0))
    content["cases"][0]["out"] = out  # nested lists among the cases
    path.write_text(json.dumps(content))
    report = check_vectors("gelu", path)
    assert not report.passed
    assert "The output is no array of numbers" in str(report)
