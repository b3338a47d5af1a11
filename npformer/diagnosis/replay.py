"""The mistake whose gradients the given ones are: found by switching on each mistake, alone and in pairs.

A switch explains a wrong gradient if the gradient that follows from it equals the given one to a small part
of the error; a gradient has many entries and a switch no free number, so chance is out of the question. Of
several that do, the one that explains most gradients at once comes first, then the catalogue's. A mistake
must leave the right gradients right.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .catalogue import catalogue
from .program import program, reevaluate
from .recognise import Recognised
from .switches import Switch, mechanical, neighbours

Array = npt.NDArray[Any]

MATCH = 1e-6  # of the error, or of the scale where that is smaller
ROUNDING = "float32-inside"
ROUNDED = 2e-7  # of the scale: what float32 inside leaves on top of a mistake
MATCH_NARROW = 1e-2  # of the error, where all is float32
NARROW, LEAST_NARROW = 1e-5, 2e-6  # of the scale: at most, and at least


@dataclass(frozen=True)
class Explanation:
    """One mistake or two, and the wrong gradients that follow from them."""

    switches: tuple[Switch, ...]
    explains: frozenset[str]
    contradicts: int = 0  # wrong gradients that it changes, and does not explain
    rounded: bool = False  # up to float32's rounding only

    @property
    def identifier(self) -> str:
        """The names, joined by " + "."""
        names = list(dict.fromkeys(switch.identifier for switch in self.switches))
        if self.rounded and ROUNDING not in names:
            names.append(ROUNDING)
        return " + ".join(names)


def explain(
    op: str,
    values: Mapping[str, Any],
    given: Mapping[str, Array],
    wrong: Iterable[str],
    right: Iterable[str],
    narrow: bool = False,
) -> dict[str, Explanation]:
    """Return for each wrong gradient, by the textbook's names of the inputs, what explains it.

    Parameters
    ----------
    op : str
        Of the textbook.
    values : mapping
        Every line of the op at the point, as `evaluate` returns them.
    given : mapping of str to ndarray
        The gradients to explain.
    wrong, right : iterable of str
        Inputs whose given gradient is wrong, and right.
    narrow : bool
        Are the inputs float32, and the gradients as exact as that? What a mistake gives is then matched to
        within a hundredth of the error.

    Returns
    -------
    dict of str to Explanation
    """
    exact = {name: np.asarray(values[target]) for name, target in program(op).gradients.items()}
    missing = set(wrong)
    judge = _Judge(given, exact, frozenset(missing), frozenset(right), narrow)
    found: dict[str, Explanation] = {}
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        known = [*catalogue(op)]
        others = [*neighbours(op, values), *mechanical(op)]
        judged: list[tuple[Switch, bool]] = []
        for switch in [*known, *others]:
            gradients = reevaluate(op, values, switch.rewrites, switch.returns)
            rounds = switch.identifier == ROUNDING
            explains, harmless, touches = judge.judge(gradients, rounds)
            judged.append((switch, touches))
            if explains and harmless and gradients is not None:
                _keep(found, judge.explanation((switch,), explains, gradients))
        missing = {name for name in missing if name not in found or _order(found[name])[0] > 1}
        if missing:
            _pairs(op, values, judge, judged, missing, found)
    return found


def is_the_ops_own(known: Recognised, name: str, given: Mapping[str, Array]) -> bool:
    """Is a given gradient the right one of the op? Then no mistake explains why it is wrong for the forward.

    Parameters
    ----------
    known : Recognised
    name : str
        The input, by the textbook's name.
    given : mapping of str to ndarray
        The gradients.

    Returns
    -------
    bool
    """
    exact = np.asarray(known.values[program(known.op).gradients[name]])
    return _near(exact, given[name], 3e-14 * float(np.max(np.abs(exact), initial=0.0)))


def _keep(found: dict[str, Explanation], new: Explanation) -> None:
    for name in new.explains:
        old = found.get(name)
        if old is None or _order(new) < _order(old):
            found[name] = new


def _order(e: Explanation) -> tuple[int, int, int, int, int]:
    """Least first: a mistake of the catalogue counts one, any other two."""
    cost = sum(1 if switch.rank <= 1 else 2 for switch in e.switches) + e.rounded
    ranks = [switch.rank for switch in e.switches]
    return cost, e.contradicts, -len(e.explains), max(ranks), sum(ranks)


def _pairs(
    op: str,
    values: Mapping[str, Any],
    judge: _Judge,
    judged: list[tuple[Switch, bool]],
    missing: set[str],
    found: dict[str, Explanation],
) -> None:
    """Two mistakes of the catalogue at once; one of it and any other where nothing else explains it."""
    touching = [switch for switch, touches in judged if touches]
    firsts = [switch for switch in touching if switch.rank <= 1]
    for i, one in enumerate(firsts):
        for other in firsts[i + 1 :]:
            _try(op, values, judge, one, other, found)
    if missing <= found.keys():
        return
    seconds = [switch for switch in touching if switch.rank == 2]
    for one in firsts:
        for other in seconds:
            _try(op, values, judge, one, other, found)


def _try(
    op: str,
    values: Mapping[str, Any],
    judge: _Judge,
    one: Switch,
    other: Switch,
    found: dict[str, Explanation],
) -> None:
    if one.rewrites.keys() & other.rewrites.keys() or one.returns.keys() & other.returns.keys():
        return
    gradients = reevaluate(op, values, {**one.rewrites, **other.rewrites}, {**one.returns, **other.returns})
    explains, harmless, _ = judge.judge(gradients)
    if explains and harmless and gradients is not None:
        _keep(found, judge.explanation((one, other), explains, gradients))


class _Judge:
    """Compares gradients that follow from a switch with the given ones."""

    def __init__(
        self,
        given: Mapping[str, Array],
        exact: Mapping[str, Array],
        wrong: frozenset[str],
        right: frozenset[str],
        narrow: bool,
    ) -> None:
        self.given = given
        self.exact = exact
        self.wrong = wrong
        self.right = right
        self.largest = max((float(np.max(np.abs(n), initial=0.0)) for n in exact.values()), default=0.0)
        self.narrow = narrow
        self.allowed = {name: self._allowed(name) for name in (*wrong, *right)}
        self.single = {
            name
            for name in wrong
            if not narrow and np.array_equal(given[name], given[name].astype(np.float32), equal_nan=True)
        }

    def _allowed(self, name: str) -> float:
        a, n = self.given[name], self.exact[name]
        scale = float(np.max(np.abs(n), initial=0.0))
        if a.shape != n.shape or not np.isfinite(a).all():
            return (LEAST_NARROW if self.narrow else 1e-9) * (scale or 1.0)
        error = float(np.max(np.abs(a - n), initial=0.0))
        scale = max(scale, float(np.max(np.abs(a), initial=0.0)))
        if self.narrow:
            return max(min(MATCH_NARROW * error, NARROW * scale), LEAST_NARROW * scale, 1e-7 * self.largest)
        # (a key bias has gradient zero: what is left of it is rounding of the others)
        return max(min(MATCH * error, 1e-9 * scale), 3e-14 * scale, 1e-15 * self.largest)

    def judge(
        self, gradients: Mapping[str, Any] | None, rounds: bool = False
    ) -> tuple[frozenset[str], bool, bool]:
        """Which wrong gradients it explains, does it spare the right ones, does it change a wrong one.

        `rounds` where they are the right ones, rounded.
        """
        if gradients is None:
            return frozenset(), False, False
        explains = frozenset(
            name for name in self.wrong if name in gradients and self._same(name, gradients, rounds)
        )
        touches = any(name in gradients for name in self.wrong)
        if not explains:
            return explains, False, touches
        harmless = all(
            name not in gradients or _near(gradients[name], self.exact[name], self.allowed[name])
            for name in self.right
        )
        return explains, harmless, touches

    def explanation(
        self, switches: tuple[Switch, ...], explains: frozenset[str], gradients: Mapping[str, Any]
    ) -> Explanation:
        """Return what is known of a mistake that explains something."""
        contradicts = sum(name in gradients and name not in explains for name in self.wrong)
        rounded = any(not _near(gradients[n], self.given[n], self.allowed[n]) for n in explains)
        return Explanation(switches, explains, contradicts, rounded)

    def _same(self, name: str, gradients: Mapping[str, Any], rounds: bool) -> bool:
        x, y = gradients[name], self.given[name]
        if _near(x, y, self.allowed[name]):
            return True
        if name not in self.single:
            return False
        allowed = ROUNDED * float(np.max(np.abs(y), initial=0.0))
        if not rounds and _near(self.exact[name], y, allowed):
            return False  # rounding alone says it; a mistake that changes less than that cannot be told
        return _near(x, y, allowed)


def _near(x: Array, y: Array, allowed: float) -> bool:
    if x.shape != y.shape or x.dtype.kind not in "fiub":
        return False
    if x.size and abs(x.flat[-1] - y.flat[-1]) > allowed:  # of most that differ one entry shows it
        return False
    difference = np.abs(x - y)
    if np.isnan(difference).any():
        finite = np.isfinite(y)
        if not np.array_equal(np.isfinite(x), finite) or not finite.any():
            return False
        difference = difference[finite]
    return bool(np.max(difference, initial=0.0) <= allowed)
