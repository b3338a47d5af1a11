"""The expert that knows npformer's ops: it recognises the op, replays its mistakes, tells what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .. import functional
from ..gradcheck import Evidence, Hypothesis, Verdict
from .context import any_float32
from .locate import locate
from .program import program
from .recognise import Recognised, other_forms, recognise
from .replay import Explanation, explain, is_the_ops_own

# forwards that are an op of npformer with some of its options
OPTIONS = {
    "softcapped_attention": "scaled_dot_product_attention",
    "query_key_norm_attention": "multi_head_attention",
    "hard_negatives": "info_nce",
}


def recall(evidence: Evidence) -> Mapping[str, Sequence[Hypothesis]]:
    """Return what explains each wrong gradient, or where in the derivation the error begins.

    Parameters
    ----------
    evidence : Evidence

    Returns
    -------
    dict of str to list of Hypothesis
        By the user's names of the inputs; nothing where the op is not known.
    """
    if not evidence.wrong:
        return {}
    narrow = any_float32(evidence.inputs)
    # of float32 inputs the output in float64, if the forward can; its cache has float32 still
    for out in (evidence.output_at({}), evidence.out) if narrow else (evidence.out,):
        known = recognise(
            evidence.op,
            evidence.inputs,
            out,
            evidence.dout,
            evidence.cache,
            evidence.forward,
            evidence.output_at,
        )
        if known is not None:
            break
    else:
        return {}
    given = {
        mine: np.asarray(evidence.given[theirs], np.float64)
        for mine, theirs in known.inputs.items()
        if mine in program(known.op).gradients  # (weights of a loss have none)
        and evidence.given.get(theirs) is not None
        and np.asarray(evidence.given[theirs]).dtype.kind in "fiub"
    }
    # (a gradient of zeros is a fact of the arrays: nothing is to be read into which mistake gives 1e-17)
    wrong = [mine for mine in given if known.inputs[mine] in evidence.wrong and given[mine].any()]
    right = [mine for mine in given if known.inputs[mine] not in evidence.wrong]
    forms = [known, *other_forms(known)]
    told: dict[str, list[Hypothesis]] = {}
    for mine in wrong:
        if is_the_ops_own(known, mine, given):
            told[known.inputs[mine]] = [_of_another_forward(known, mine)]
    for form in forms:  # what one explains need not be asked of the next
        missing = [mine for mine in wrong if known.inputs[mine] not in told]
        if missing:
            for mine, e in explain(form.op, form.values, given, missing, right, narrow).items():
                told[known.inputs[mine]] = [_told(form, mine, e)]
    for mine in wrong:
        rounded = evidence.verdicts[known.inputs[mine]] is Verdict.PRECISION  # no line is wrong
        if known.inputs[mine] not in told and not rounded:
            located = locate(forms, evidence, mine, given, wrong, right)
            if located is not None:
                told[known.inputs[mine]] = [located]
    return told


def _of_another_forward(known: Recognised, mine: str) -> Hypothesis:
    fact = (
        f"The given gradient of {known.inputs[mine]} is that of {known.op.split(',')[0]}, which the forward "
        "is up to a difference near rounding."
    )
    cause = "a small constant (log(p + 1e-12)) in the forward that the backward leaves out"
    fix = "Leave the constant out of the forward, or differentiate it too."
    return Hypothesis("another-forward", fact, cause, 1.0, fix)


def _told(known: Recognised, mine: str, e: Explanation) -> Hypothesis:
    theirs = known.inputs[mine]
    wrong = " and ".join(f"`{switch.wrong}`" for switch in e.switches)
    rights = [f"`{switch.right}`" for switch in e.switches if not _says_nothing(switch.right)]
    right = " and ".join(rights)
    steps = list(dict.fromkeys(switch.step for switch in e.switches if switch.step))
    where = f" (step {', '.join(steps)} of {derivation_of(known.op)})" if steps else ""
    tail = ", rounded to float32" if e.rounded else ""
    instead = f", for {right}" if rights else ""
    fact = f"The given gradient of {theirs} is the one that {wrong} gives{tail}{instead}{where}."
    cause = next((switch.cause for switch in e.switches if switch.cause), "")
    if not cause and all("-for-" in switch.identifier for switch in e.switches):
        cause = "one array taken for another"
    fix = f"Write {right}." if rights else ""
    if e.rounded and all(switch.identifier == "float32-inside" for switch in e.switches):
        fact = f"The given gradient of {theirs} is the right one, rounded to float32{where}."
        fix = "Compute in the dtype of the inputs."
    return Hypothesis(e.identifier, fact, cause, 1.0, fix, ", ".join(steps))


def derivation_of(op: str) -> str:
    """Return where the steps of an op's backward are written down, in words."""
    name = op.split(",")[0].removesuffix("_tanh") + "_backward"
    for option, of in OPTIONS.items():
        name = name.replace(option, of)
    return f"npformer.functional.{name}" if hasattr(functional, name) else f"{op}'s backward"


def _says_nothing(line: str) -> bool:
    """Is it `dx = dx`: the whole gradient was changed?"""
    return all(len(set(part.split(" = "))) == 1 for part in line.split("; "))
