"""Test vectors are complete, are what the ops compute, and load back exactly from both formats."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from npformer import functional
from npformer.proof.cases import OPS, KeepRandom
from npformer.proof.cases.case import CONSTANTS
from npformer.proof.vectors import FORMATS, read_vectors, to_json, to_npz, vectors, write_vectors


def assert_equal(a: Any, b: Any, where: str = "") -> None:
    if isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_equal(a[key], b[key], f"{where}/{key}")
    elif isinstance(a, np.ndarray):
        assert isinstance(b, np.ndarray), where
        assert a.dtype == b.dtype, where
        np.testing.assert_array_equal(a, b, err_msg=where, strict=True)
    else:
        assert a == b, where
        assert type(a) is type(b), where


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("op", OPS)
def test_what_was_written_loads_back_exactly(op: str, format: str, tmp_path: Path) -> None:
    path = write_vectors(op, 5, format=format, path=tmp_path / "file")
    written, read = vectors(op, 5), read_vectors(path)
    assert len(written) == len(read)
    for a, b in zip(written, read, strict=True):
        assert_equal(a, b, op)


@pytest.mark.parametrize("op", OPS)
def test_another_implementation_could_start_from_them(op: str) -> None:
    """Forward and backward from nothing but the vectors give the outputs and gradients in them."""
    for case in vectors(op, 2):
        arguments = dict(case["arguments"])
        if op in CONSTANTS:
            np.testing.assert_array_equal(getattr(functional, op)(**arguments), case["out"])
            continue
        if op == "multi_head_attention":
            arguments.setdefault("x_kv", case["inputs"].get("x_kv"))
        if op == "dropout" or arguments.get("dropout_p"):
            arguments["rng"] = KeepRandom([case["kept"]] if "kept" in case else [np.ones(1, dtype=bool)])
        name, equal = op, np.testing.assert_array_equal
        if op == "flash_attention":  # by one that has no tiles and is told what is kept
            name = "scaled_dot_product_attention"
            equal = partial(np.testing.assert_allclose, rtol=0, atol=1e-14)
            del arguments["block_size"]
        out, cache = getattr(functional, name)(**{**arguments, **case["inputs"]})
        equal(out, case["out"])
        result = getattr(functional, f"{name}_backward")(case["dout"], cache)
        gradients = [g for g in (result if isinstance(result, tuple) else (result,)) if g is not None]
        for gradient, name in zip(gradients, case["inputs"], strict=True):
            equal(gradient, case["gradients"][name])


def test_intermediates_are_there_where_an_op_has_them() -> None:
    for op, names in {
        "layer_norm": {"dx_hat"},
        "rms_norm": {"dx_hat"},
        "scaled_dot_product_attention": {"dP", "dS"},
        "flash_attention": {"L", "D"},
    }.items():
        for case in vectors(op):
            assert names <= set(case["intermediates"]), op
    case = vectors("scaled_dot_product_attention")[0]
    assert case["intermediates"]["dS"].shape == (1, 2, 3, 4)
    np.testing.assert_allclose(case["intermediates"]["dS"].sum(axis=-1), 0, atol=1e-14)


def test_dropout_masks_are_what_was_kept() -> None:
    case = vectors("dropout")[0]
    np.testing.assert_array_equal(case["out"] != 0, case["kept"])
    np.testing.assert_allclose(case["out"], case["inputs"]["x"] * case["kept"] / 0.7, rtol=1e-15)


def test_every_real_array_is_float64_and_masks_are_booleans() -> None:
    for op in OPS:
        for case in vectors(op):
            arrays = [case["out"], case["dout"], *case["inputs"].values(), *case["gradients"].values()]
            assert all(x.dtype == np.float64 for x in [*arrays, *case["intermediates"].values()]), op
            for name in ("mask",):
                assert case["arguments"].get(name, np.array(True)).dtype == np.bool_


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    for make in (to_npz, to_json):
        assert make("linear", 1) == make("linear", 1)
        assert make("linear", 1) != make("linear", 2)


def test_json_is_as_it_is_described() -> None:
    values = json.loads(to_json("softmax", 3))
    assert (values["op"], values["seed"]) == ("softmax", 3)
    x = values["cases"][0]["inputs"]["x"]
    assert x["dtype"] == "float64"
    assert x["shape"] == [2, 3, 5]
    assert len(x["data"]) == 30
    assert values["cases"][1]["arguments"] == {"axis": 0}


def test_npz_is_as_it_is_described(tmp_path: Path) -> None:
    with np.load(write_vectors("softmax", 3, path=tmp_path / "v.npz"), allow_pickle=False) as stored:
        assert stored["op"] == "softmax"
        assert stored["seed"] == 3
        assert stored["0/inputs/x"].shape == (2, 3, 5)
        assert stored["1/arguments/axis"] == 0
        assert stored["0/variant"] == "last axis"


def test_the_name_of_the_file_chooses_the_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert write_vectors("relu", path="a.json").read_bytes()[:1] == b"{"
    assert write_vectors("relu", path="a.npz").read_bytes()[:2] == b"PK"
    assert write_vectors("relu", path="a.json", format="npz").read_bytes()[:2] == b"PK"
    assert write_vectors("relu", 4) == Path("relu-seed4.npz")
    assert write_vectors("relu", format="json") == Path("relu-seed0.json")


def test_bad_arguments_write_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown op 'relo'"):
        write_vectors("relo", path=tmp_path / "x.npz")
    with pytest.raises(ValueError, match="format: expected one of npz, json, got 'xml'"):
        write_vectors("relu", path=tmp_path / "x.npz", format="xml")
    with pytest.raises(ValueError, match="seed: expected at least 0"):
        write_vectors("relu", -1, path=tmp_path / "x.npz")
    assert not list(tmp_path.iterdir())


def test_a_broken_file_is_noticed(tmp_path: Path) -> None:
    """That the comparison above can fail: one digit changed in the file."""
    path = write_vectors("relu", path=tmp_path / "v.json")
    text = path.read_text()
    digits = json.loads(text)["cases"][0]["dout"]["data"][0]
    path.write_text(text.replace(repr(digits), repr(digits * (1 + 1e-15)), 1))
    with pytest.raises(AssertionError):
        assert_equal(vectors("relu")[0], read_vectors(path)[0])


def test_what_a_case_leaves_to_its_default_is_there_too() -> None:
    assert vectors("layer_norm")[0]["arguments"] == {"eps": 1e-5}
    for op in OPS:
        for case in vectors(op):
            assert "rng" not in case["arguments"]
            assert not set(case["arguments"]) & set(case["inputs"])
    assert vectors("softmax")[0]["arguments"]["axis"] == -1
    assert vectors("cross_entropy")[0]["arguments"]["reduction"] == "mean"
