"""``python -m npformer.proof.make_golden [--check]``: store PyTorch's numbers, or compare."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from ...gradcheck import error_of
from .. import golden, tolerances
from ..golden import Array
from ..training import RUNS
from . import (
    contrastive,
    decoder,
    distillation,
    electra,
    encoder,
    encoder_decoder,
    finetuning,
    finetuning_decoder,
    lora,
    ops,
    optimizers,
    sentence_pairs,
    torch_nn,
    training,
)

MAKERS: dict[str, Callable[[], dict[str, Array]]] = {
    "golden_ops": ops.make,
    "golden_encoder": encoder.make,
    "golden_decoder": decoder.make,
    "golden_encoder_decoder": encoder_decoder.make,
    "golden_lora": lora.make,
    "golden_finetuning": finetuning.make,
    "golden_finetuning_decoder": finetuning_decoder.make,
    "golden_sentence_pairs": sentence_pairs.make,
    "golden_electra": electra.make,
    "golden_contrastive": contrastive.make,
    "golden_optimizers": optimizers.make,
    "golden_training": training.make,
    "golden_torch_nn": torch_nn.make,
    "golden_distillation": distillation.make,
}


def main(argv: list[str] | None = None) -> int:
    """Make or check the stored files; 1 if the check finds a difference."""
    parser = argparse.ArgumentParser(prog="python -m npformer.proof.make_golden", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with the stored files, write nothing")
    parser.add_argument("files", nargs="*", metavar="FILE", help=f"some of {', '.join(MAKERS)}; default: all")
    args = parser.parse_args(argv)
    unknown = sorted(set(args.files) - set(MAKERS))
    if unknown:
        parser.error(f"no such file: {unknown[0]}; there are {', '.join(MAKERS)}")
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    different = 0
    for name in args.files or MAKERS:
        made = MAKERS[name]()
        if args.check:
            problems = differences(made, golden.load(name))
            print(f"{name}: {len(made)} arrays, {len(problems)} differ", *problems[:10], sep="\n  ")
            different += len(problems)
        else:
            path = Path(__file__).parent.parent / f"{name}.npz"
            # The entries carry no date: the same arrays give the same bytes.
            np.savez_compressed(path, **made)  # type: ignore[arg-type]
            print(f"{path}: {len(made)} arrays, {path.stat().st_size} bytes")
    return 1 if different else 0


def differences(made: dict[str, Array], stored: dict[str, Array]) -> list[str]:
    """Return, in words, every array that is missing, superfluous, or off by more than its tolerance.

    As everywhere in the proof, the error is relative to the largest entry of the array, or to a thousandth of
    the largest among its neighbours (the gradients of the same op). A gradient that is zero but for rounding,
    as a key's bias is, has other rounding on another processor, and only has to be as small.
    """
    problems = [f"{key}: not stored" for key in made.keys() - stored.keys()]
    problems += [f"{key}: stored, but not made any more" for key in stored.keys() - made.keys()]
    largest: dict[str, float] = {}
    for key, value in stored.items():
        if value.dtype.kind == "f":
            group = key.rpartition("/")[0]
            finite = np.abs(value[np.isfinite(value)])  # masks to be added have -inf
            largest[group] = max(largest.get(group, 0.0), float(np.max(finite, initial=0.0)))
    for key in made.keys() & stored.keys():
        a, b = np.asarray(made[key]), stored[key]
        if a.shape != b.shape or a.dtype != b.dtype:
            problems.append(f"{key}: {a.dtype} {a.shape}, stored {b.dtype} {b.shape}")
        elif a.dtype.kind == "f" and not np.array_equal(a, b):
            scale = largest[key.rpartition("/")[0]]
            if all(np.max(np.abs(x), initial=0.0) <= tolerances.KNOWN_ZERO * scale for x in (a, b)):
                continue
            error = error_of(a, b, scale)
            if not error <= tolerance_of(key):
                problems.append(f"{key}: off by {error:.1e}")
        elif a.dtype.kind != "f" and not np.array_equal(a, b):
            problems.append(f"{key}: differs")
    return sorted(problems)


def tolerance_of(key: str) -> float:
    """Return how far a stored array may be off; 100 training steps drift further than one op."""
    run, _, what = key.partition("/")
    if run not in RUNS:
        return tolerances.GOLDEN
    if what == "losses":
        return tolerances.TRAJECTORY_LOSS
    return (
        tolerances.TRAJECTORY_KEY_BIASES if what.endswith(".key.bias") else tolerances.TRAJECTORY_PARAMETERS
    )


if __name__ == "__main__":
    sys.exit(main())
