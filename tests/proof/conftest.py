"""What the proofs of the models share."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pytest

from npformer.proof import Row, golden
from npformer.proof.models import Point, check_derivatives, compare_with_stored

Failed = dict[str, list[str]]


@pytest.fixture
def failures() -> Callable[[Point, str, str, Iterable[str]], Failed]:
    """The checks that a point fails: derivatives for some parameters, which is quicker, the rest for all."""

    def of(point: Point, file: str, label: str, names: Iterable[str] = ()) -> Failed:
        rows = {name: Row(label, name) for name in ("out", *point.params.layout)}
        check_derivatives(point, rows, np.random.default_rng(0), names)
        compare_with_stored(point, rows, golden.part(golden.load(file), label))
        return {name: row.failures() for name, row in rows.items() if not row.passed}

    return of


@pytest.fixture
def judged_well() -> Callable[[list[Row], Iterable[str], Callable[[str], Point]], None]:
    """Asserts that every parameter was judged by every check, and passed."""

    def check(rows: list[Row], labels: Iterable[str], point: Callable[[str], Point]) -> None:
        bad = [row for row in rows if not row.passed]
        assert not bad, "\n".join(str(row.to_dict()) for row in bad)
        for label in labels:
            names = {row.input for row in rows if row.target == label}
            assert names == {"out", *point(label).params.layout}
        for row in rows:
            apart = row.input in point(row.target).apart
            assert (row.complex is None) == apart
            assert row.tolerances["complex"] == 1e-12
            assert row.torch is not None
            assert row.float32 is not None
            assert (row.fd is None) == (apart or row.input == "out")
            assert (row.zero is not None) == (row.input in point(row.target).zero)

    return check


@pytest.fixture
def generic() -> Callable[[Point], None]:
    """Asserts that a point's parameters are far from initial ones and that each of them matters."""

    def check(point: Point) -> None:
        assert point.batch.n_targets >= 2
        assert point.random().drawn == []
        _, grads = point.gradients(point.params)
        for name, gradient in grads.items():
            if name in point.zero:
                continue
            assert np.abs(gradient).max() > 1e-5, name
            if name.endswith(("bias", "beta")):
                assert (point.params[name] != 0).all()
            if name.endswith("gamma"):
                assert not np.isclose(point.params[name], 1, atol=1e-6).any()

    return check
