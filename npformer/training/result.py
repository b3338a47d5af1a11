"""What a run achieved: the encoder beside the baselines, on the same corrupted text and positions."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np

from ..objectives import MaskedLMBatch
from .baselines import MostFrequentToken, TrigramWittenBell
from .evaluate import POSITIONS, evaluate
from .ranks import ALONE, Ranks
from .run import Run

COUNTED = 1 << 22  # tokens that the baselines are counted on


def compare(
    run: Run,
    model: Any,
    objective: Any,
    batches: Sequence[MaskedLMBatch],
    executor: Executor | None = None,
    ranks: Ranks = ALONE,
) -> dict[str, Any]:
    """Return the scores of the most frequent token, the trigram and `model` as plain values.

    Where there are other `ranks`, they call `evaluate` meanwhile.

    Returns
    -------
    dict
        "models": for each its "name", "nats", "accuracy" and "positions", the encoder's last; "margin": by
        how much the encoder beats the trigram; "steps"; "passes". Where the held-out part is too small for a
        single position, figures and margin are None. Where the training part has more than `COUNTED` tokens,
        the baselines count that many, in sequences evenly spaced, and "counted" is their share.
    """
    # All passes below one another, and where in them the targets are.
    ids = np.concatenate([batch.ids for batch in batches])
    at = np.concatenate([batch.at + i * batch.ids.size for i, batch in enumerate(batches)])
    targets = np.concatenate([batch.targets for batch in batches])
    models = []
    train = run.train.evenly_spaced(COUNTED)
    for name, baseline in (
        ("most frequent token", MostFrequentToken),
        ("trigram (Witten-Bell)", TrigramWittenBell),
    ):
        counted = baseline(*train, run.tokenizer.vocab_size, run.tokenizer.special_ids)
        models.append(_score(name, *counted.score(ids, at, targets), at.size))
    encoder = evaluate(model, objective, batches, executor, ranks)
    models.append(_score("encoder", encoder.loss, encoder.accuracy, encoder.n_targets))
    trigram = models[1]
    margin = None
    if at.size:
        margin = {
            "nats": trigram["nats"] - encoder.loss,
            "accuracy": encoder.accuracy - trigram["accuracy"],
        }
    whole = len(train.ids) == len(run.train.ids)
    share = {} if whole else {"counted": len(train.ids) / len(run.train.ids)}
    return {"steps": run.config.steps, "passes": len(batches), "models": models, "margin": margin, **share}


def _score(name: str, nats: float, accuracy: float, positions: int) -> dict[str, Any]:
    if not positions:  # a mean over nothing
        return {"name": name, "nats": None, "accuracy": None, "positions": 0}
    return {"name": name, "nats": nats, "accuracy": accuracy, "positions": int(positions)}


def table(result: dict[str, Any]) -> str:
    """Return the scores for people.

    Examples
    --------
    >>> scores = [("most frequent token", 6.2, 0.05), ("trigram", 3.9, 0.34), ("encoder", 3.3, 0.42)]
    >>> models = [{"name": n, "nats": x, "accuracy": a, "positions": 12000} for n, x, a in scores]
    >>> print(table({"models": models, "margin": {"nats": 0.6, "accuracy": 0.08}}))
    held-out masked tokens         nats   accuracy   positions
    most frequent token           6.200      5.0 %      12,000
    trigram                       3.900     34.0 %      12,000
    encoder                       3.300     42.0 %      12,000
    margin over the trigram       0.600      8.0 points
    """
    if result["margin"] is None:
        return "the held-out part of the text is too small to be predicted"
    rows = [f"{'held-out masked tokens':<27}{'nats':>8}{'accuracy':>11}{'positions':>12}"]
    for name, nats, accuracy, positions in ([*m.values()] for m in result["models"]):
        rows.append(f"{name:<27}{nats:>8.3f}{100 * accuracy:>9.1f} %{positions:>12,}")
    nats, accuracy = result["margin"]["nats"], result["margin"]["accuracy"]
    rows.append(f"{'margin over the trigram':<27}{nats:>8.3f}{100 * accuracy:>9.1f} points")
    if "counted" in result:
        rows.append(f"(the first two were counted on {100 * result['counted']:.2g} % of the training part)")
    if result["models"][-1]["positions"] < POSITIONS:
        rows.append(f"(fewer than {POSITIONS:,} positions: the held-out part is small, the figures rough)")
    return "\n".join(rows)
