"""Exercise: masked language modelling. What is random is graded by its properties and frequencies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..attempt import Trouble, attempt, changed, named
from ..exercise import Exercise, Mark

V, N_SPECIAL, MASK_ID = 60, 5, 4
ITEMS = {
    "integers, and nothing changed": 1.0,
    "targets hold the true ids": 2.0,
    "special tokens and padding": 2.0,
    "15 % are targets": 1.0,
    "80 / 10 / 10": 2.0,
    "random tokens": 1.0,
    "rng alone": 1.0,
}
SIGMAS = 5  # a right answer fails once in a million


def _grade(theirs: Any, ours: Any) -> Iterator[Mark]:
    cases = [(0, 0.15, 20_000), (1, 0.3, 4_000)]  # the second is hidden: another seed, rate and size
    try:
        function = named(theirs, "corrupt")
        drawn = [_drawn(function, *case) for case in cases]
    except Trouble as trouble:
        for item, points in ITEMS.items():
            yield Mark(
                "corrupt",
                item,
                points,
                0.0,
                0.0,
                trouble.words if trouble.started else "",
                "",
                trouble.started,
            )
        return
    for item, points in ITEMS.items():
        said = [_said(CHECKS[item], d) for d in drawn]
        hidden = "another rate and size: " + "the same check fails" if said[1] and not said[0] else ""
        right = not said[0]
        yield Mark("corrupt", item, points, float(right), float(right and not said[1]), said[0], hidden)


def _drawn(function: Callable[..., Any], seed: int, rate: float, n: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, V, (n // 20, 20))
    mask = rng.random(ids.shape) < 0.9
    before = {"ids": ids.copy(), "mask": mask.copy()}

    def run(seed: int) -> Any:
        return function(ids, mask, np.random.default_rng(seed), V, N_SPECIAL, MASK_ID, rate)

    found = attempt(run, seed)
    spoiled = changed({"ids": ids, "mask": mask}, before)
    again, other = attempt(run, seed), attempt(run, seed + 1)
    return {**before, "rate": rate, "found": found, "spoiled": spoiled, "again": again, "other": other}


def _said(check: Callable[[dict[str, Any]], str], d: dict[str, Any]) -> str:
    try:
        return _shape(d) or check(d)
    except Exception as error:  # ragged lists, or an __array__ of theirs
        return f"what it returned cannot be read as arrays: {type(error).__name__}: {error}"


def _shape(d: dict[str, Any]) -> str:
    found = d["found"]
    if not (isinstance(found, tuple) and len(found) == 2):
        return f"expected (inputs, targets), got {type(found).__name__}"
    shapes = [np.shape(x) for x in found]
    return (
        ""
        if shapes == [d["ids"].shape] * 2
        else f"expected two arrays of shape {d['ids'].shape}, got {shapes}"
    )


def _is_target(d: dict[str, Any]) -> Any:
    return np.asarray(d["found"][1]) != -100


def _integers(d: dict[str, Any]) -> str:
    if d["spoiled"]:
        return f"{d['spoiled'][0]} was changed in place: make a copy"
    if not all(np.asarray(x).dtype.kind in "iu" for x in d["found"]):
        return "inputs and targets should be integers"
    inputs = np.asarray(d["found"][0])
    wrong = (inputs != d["ids"]) & ~_is_target(d)
    return f"{wrong.sum()} tokens that are no targets were changed" if wrong.any() else ""


def _true(d: dict[str, Any]) -> str:
    target = _is_target(d)
    if not target.any():
        return "there is no target"
    wrong = target & (np.asarray(d["found"][1]) != d["ids"])
    if (wrong & (np.asarray(d["found"][1]) == np.asarray(d["found"][0]))).sum() == wrong.sum() > 0:
        return "the targets hold the corrupted ids; they should hold the true ones"
    return f"{wrong.sum()} of {target.sum()} targets do not hold the true id" if wrong.any() else ""


def _special(d: dict[str, Any]) -> str:
    target = _is_target(d)
    padding, special = (target & ~d["mask"]).sum(), (target & (d["ids"] < N_SPECIAL)).sum()
    if padding or special:
        return f"{special} special tokens and {padding} of padding are targets: none should be"
    return "" if target.any() else "there is no target"


def _share(count: Any, of: Any, p: float, what: str) -> str:
    """Is a frequency within five standard deviations of p?"""
    if of == 0:
        return "there is nothing to count"
    off = abs(count / of - p)
    return f"{what}: {count / of:.1%}, expected {p:.0%}" if off > SIGMAS * np.sqrt(p * (1 - p) / of) else ""


def _rate(d: dict[str, Any]) -> str:
    may = d["mask"] & (d["ids"] >= N_SPECIAL)
    return _share((_is_target(d) & may).sum(), may.sum(), d["rate"], "of the ordinary tokens are targets")


def _kinds(d: dict[str, Any]) -> str:
    target, inputs = _is_target(d), np.asarray(d["found"][0])
    n = target.sum()
    stay = 0.1 + 0.1 / (V - N_SPECIAL)  # a random token may be the same one
    masked, kept = target & (inputs == MASK_ID), target & (inputs == d["ids"])
    return _share(masked.sum(), n, 0.8, "of the targets are [MASK]") or _share(
        kept.sum(), n, stay, "of the targets stay"
    )


def _random(d: dict[str, Any]) -> str:
    inputs = np.asarray(d["found"][0])
    random = inputs[_is_target(d) & (inputs != MASK_ID) & (inputs != d["ids"])]
    if not random.size:
        return "no target became a random token"
    if (random < N_SPECIAL).any() or (random >= V).any():
        return "random tokens should be ordinary ones: n_special .. vocab_size - 1"
    low = (random < (N_SPECIAL + V) // 2).sum()
    if np.unique(random).size < min(random.size, V - N_SPECIAL) // 3:
        return "the random tokens are not drawn for each target by itself"
    expected = ((N_SPECIAL + V) // 2 - N_SPECIAL) / (V - N_SPECIAL)
    return _share(low, random.size, expected, "of the random tokens are in the lower half of the ids")


def _rng(d: dict[str, Any]) -> str:
    same = all(np.array_equal(a, b) for a, b in zip(d["found"], d["again"], strict=True))
    if not same:
        return "the same rng gave another result: some randomness does not come from rng"
    if all(np.array_equal(a, b) for a, b in zip(d["found"], d["other"], strict=True)):
        return "another rng gave the same result: rng is not used"
    return ""


CHECKS = dict(zip(ITEMS, (_integers, _true, _special, _rate, _kinds, _random, _rng), strict=True))

EXERCISE = Exercise(
    name="masked_lm",
    title="masked language modelling: what is hidden, and with what",
    functions=("corrupt",),
    items=tuple(("corrupt", item, points) for item, points in ITEMS.items()),
    hints=(
        "Draw one number for each token and compare with the rate; combine with mask and ids >= n_special.",
        "Draw a second number for each token for 80 / 10 / 10. The same number twice ties the two together.",
        "np.where(condition, new, ids) makes a new array; targets = np.where(target, ids, -100).",
    ),
    grade=_grade,
)
