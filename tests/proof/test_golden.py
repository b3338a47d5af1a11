"""The stored numbers are small, complete, readable without pickle, and installed with the package."""

from __future__ import annotations

import importlib.resources

import numpy as np
import pytest

from npformer.proof import golden
from npformer.proof.cases import OPS, cases


@pytest.mark.parametrize("name", golden.FILES)
def test_a_file_is_there_and_holds_plain_arrays(name: str) -> None:
    stored = golden.load(name)
    assert stored
    assert all(x.dtype.kind in "fib" for x in stored.values())
    # masks that are added to scores have -inf
    assert all(
        np.isfinite(x).all() or (key.endswith("mask") and not np.isnan(x).any()) for key, x in stored.items()
    )


def test_all_files_together_are_small() -> None:
    folder = importlib.resources.files("npformer.proof")
    assert sum(len(folder.joinpath(f"{name}.npz").read_bytes()) for name in golden.FILES) < 1_400_000


def test_every_case_is_stored_and_nothing_else() -> None:
    stored = {key.rpartition("/")[0] for key in golden.load("golden_ops")}
    of_cases = {"/".join(key.split("/")[:2]) for key in stored}
    assert of_cases == {f"{op}/{case.variant}" for op in OPS for case in cases(op, 0)}


def test_the_stored_point_is_the_one_drawn_from_seed_0() -> None:
    for op in OPS:
        for case in cases(op, 0):
            at = golden.part(golden.load("golden_ops"), f"{op}/{case.variant}")
            for name, x in case.inputs.items():
                np.testing.assert_array_equal(at[f"in/{name}"], x)


def test_a_missing_file_is_empty() -> None:
    assert golden.load("golden_nothing") == {}


def test_part_takes_whole_names_only() -> None:
    stored = {"a/x": np.zeros(1), "ab/x": np.ones(1), "a/b/c": np.ones(2)}
    assert list(golden.part(stored, "a")) == ["x", "b/c"]
