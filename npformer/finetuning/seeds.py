"""The same fine-tuning with several seeds: how far a score depends on chance.

    OUT/seed-K/        a run with seed K, as loop.py makes it
    OUT/result.json    all of them, and mean and deviation of each score; when all have finished
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .._files import write_json
from ..scores import mean_and_std
from ..text import Tokenizer
from ..text.labelled import Example
from ..training import Interruption, TrainingStopped, require_free
from .kinds.kind import ahead
from .loop import finetune
from .recipe import Recipe


def finetune_seeds(
    pretrained: Any,
    tokenizer: Tokenizer,
    train: Sequence[Example],
    dev: Sequence[Example],
    recipe: Recipe,
    out: str | Path,
    n: int,
    *,
    tell: Callable[[str], None] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Fine-tune `n` times, with the seeds recipe.seed, recipe.seed + 1, ...

    Parameters
    ----------
    pretrained, tokenizer, train, dev, recipe, options
        As for `finetune`.
    out : path
        A folder that does not exist, or is empty.
    n : int
        At least 2.
    tell : callable, optional
        Told of each seed when it has finished.

    Returns
    -------
    dict
        What result.json holds: `summary` of the runs.

    Raises
    ------
    ValueError
        If `n` is below 2.
    CorpusError, OSError, TrainingStopped, Interruption
        As `finetune`; the last two say which seeds have finished. These stay.
    """
    if isinstance(n, bool) or not isinstance(n, int) or n < 2:
        raise ValueError(f"seeds: expected a whole number of at least 2, got {n}")
    out = Path(out)
    require_free(out)
    results: list[dict[str, Any]] = []
    for seed in range(recipe.seed, recipe.seed + n):
        folder, own = out / f"seed-{seed}", replace(recipe, seed=seed)
        try:
            result = finetune(pretrained, tokenizer, train, dev, own, folder, **options)
        except (KeyboardInterrupt, TrainingStopped) as error:
            kept = f"; {len(results)} of {n} seeds have finished, in {out}" if results else ""
            kind = TrainingStopped if isinstance(error, TrainingStopped) else Interruption
            raise kind(f"seed {seed}: {str(error) or 'stopped'}{kept}") from error
        results.append({"seed": seed, **result})
        if tell is not None:
            tell(f"seed {seed}: {result['score']} {result['dev'][result['score']]:.4f} on dev")
    whole = summary(results)
    write_json(out / "result.json", whole)
    return whole


def summary(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what several runs of one recipe come to.

    Parameters
    ----------
    results : sequence of dict
        Two at least, of `finetune`, each with its "seed".

    Returns
    -------
    dict
        "task", "score", "seeds", "best" (the seed that does best on dev), "dev" and perhaps "test" ("mean"
        and "std" of each score, the sample standard deviation), baselines as in a single result, "runs".

    Examples
    --------
    >>> base = {"task": "classify", "score": "f1", "baseline_is": "a coin", "baseline": {"f1": 0.5}}
    >>> whole = summary([{**base, "seed": k, "dev": {"f1": f1}} for k, f1 in ((0, 0.5), (1, 0.75))])
    >>> whole["dev"]["f1"]["mean"], whole["best"], whole["seeds"]
    (0.625, 1, [0, 1])
    """
    first = results[0]
    score = first["score"]
    alike = ("task", "score", "baseline_is", "baseline", "test_baseline")
    whole = {name: first[name] for name in alike if name in first}
    whole["seeds"] = [result["seed"] for result in results]
    best = first
    for result in results:
        if ahead(score, result["dev"], best["dev"]):
            best = result
    whole["best"] = best["seed"]
    for part in ("dev", "test"):
        if part in first:
            moments = {name: mean_and_std([result[part][name] for result in results]) for name in first[part]}
            whole[part] = {name: {"mean": mean, "std": std} for name, (mean, std) in moments.items()}
    return {**whole, "runs": list(results)}
