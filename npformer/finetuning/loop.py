"""Fine-tuning: epochs over labelled examples, a score on others after each, the best model kept.

    OUT/config.json       recipe, base model, files, labels
    OUT/metrics.jsonl     a line for each step, and for each epoch's scores
    OUT/model/            of the best epoch so far, with tokenizer and task.json; from the first epoch on
    OUT/result.json       when it has finished

Batches are the step's lanes and micro-batches (training/step.py), and every random number is keyed by what it
is for, so the bits do not depend on the number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy.typing as npt

from .._files import write_json
from .._threads import available_cores
from ..generation.prompts import NotFinite
from ..optim import AdamW, clip_by_global_norm, decays, global_norm, linear, make_segments
from ..optim.layerwise import layerwise_decay
from ..text import CorpusError, Tokenizer
from ..text.labelled import Example
from ..training import Interruption, TrainingStopped, draws, gradient, require_free
from ..training.metrics import MetricsLog
from ..training.progress import Progress
from ..training.signals import StopRequest, interruptible
from ..training.trainer import workers
from .examples import Task, class_weights, require_examples
from .folder import save_task_model
from .kinds import KINDS
from .kinds.kind import ahead
from .kinds.texts import require_rouge_words
from .model import n_layers, prepare_model
from .parts import Judged, Part, guess, judge, part_of
from .recipe import Recipe

Array = npt.NDArray[Any]


def finetune(
    pretrained: Any,
    tokenizer: Tokenizer,
    train: Sequence[Example],
    dev: Sequence[Example],
    recipe: Recipe,
    out: str | Path,
    *,
    test: Sequence[Example] | None = None,
    labels: Sequence[str] = (),
    about: Mapping[str, Any] | None = None,
    threads: int | None = None,
    quiet: bool = False,
    say: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Train a model on labelled examples and keep it as it does best on others.

    Parameters
    ----------
    pretrained : Encoder, Decoder or EncoderDecoder
        Which stays as it is; of the kind that the recipe's task needs.
    tokenizer : WordPieceTokenizer or CharacterTokenizer
    train, dev : sequence of Example
        From `npformer.text.labelled.read_examples`.
    recipe : Recipe
    out : path
        A folder that does not exist, or is empty.
    test : sequence of Example, optional
        Scored at the end by the model that was kept.
    labels : sequence of str
        Labels that there are besides those of `train`.
    about : mapping, optional
        Recorded in config.json.
    threads : int, optional
        Default: as many as there are cores; as many as there are lanes have work while it learns. The result
        does not depend on it.
    quiet : bool
        No progress.
    say : callable, optional
        Told what a person should know, a line at a time; default: standard error.

    Returns
    -------
    dict
        What result.json holds: "task", "score" (the name of the one to choose by), "dev", "baseline",
        "baseline_is", "by_label" (precision, recall, F1, number of each class on `dev`), "epoch", "epochs",
        "trained", "parameters", "examples", and with `test` "test" and "test_baseline".

    Raises
    ------
    CorpusError
        If `dev` or `test` has a label that training has not, naming file and line. Nothing is written then.
    TypeError, ValueError
        If the recipe does not fit the model or the task, or an example is none. Nothing is written, either.
    OSError
        If `out` cannot be written.
    TrainingStopped
        If a loss or gradient is not finite.
    Interruption
        After SIGINT or SIGTERM; the best model so far stays.
    """
    if not isinstance(recipe, Recipe):
        raise TypeError(f"finetune: recipe: expected a Recipe, got {recipe!r:.60}")
    files = {"train": train, "dev": dev} | ({} if test is None else {"test": test})
    for part, examples in files.items():
        require_examples(f"finetune: {part}", examples)
    kind, out = KINDS[recipe.task], Path(out)
    require_free(out)
    names = kind.labels(train)
    if kind.LABELS == "classes" and len({*names, *labels}) < 2:
        raise CorpusError(f"{train[0].where}: expected two labels at least, got {names[0]!r} in every row")
    if labels and kind.LABELS != "classes":
        raise ValueError(f"labels: those of {recipe.task} are {kind.LABELS}")
    more = [label for label in dict.fromkeys(labels) if label not in names]
    texts = {len(item.texts) for item in train} if kind.LABELS == "numbers" else set()
    task = Task(recipe.task, (*names, *more), recipe.max_len, texts.pop() if len(texts) == 1 else None)
    model = prepare_model(pretrained, recipe, len(task.labels))
    most = model.config.max_positions
    if recipe.max_len is not None and recipe.max_len > most:
        raise ValueError(f"max_len: the model reads at most {most} tokens, got {recipe.max_len}")
    parts = {name: part_of(task, examples, model, tokenizer) for name, examples in files.items()}
    if kind.LABELS == "texts":
        parts["dev"].most = recipe.rouge_examples
    baseline_is, baseline = guess(task, parts["train"], parts["dev"], tokenizer)
    choose_by = recipe.choose_by or kind.CHOOSE_BY or next(iter(baseline))
    if choose_by not in baseline:
        raise ValueError(f"choose_by: expected one of {', '.join(baseline)}, got {choose_by!r}")
    if kind.LABELS == "texts" and choose_by.startswith("rouge"):
        require_rouge_words(parts["dev"].asked[0], choose_by)
    out.mkdir(parents=True, exist_ok=True)
    values = {"run": "finetune", "recipe": recipe.to_dict(), "labels": list(task.labels), **(about or {})}
    write_json(out / "config.json", values)
    threads = available_cores() if threads is None else threads
    run = _Run(model, tokenizer, task, recipe, out, threads, quiet, say)
    for name, one in parts.items():
        if told := one.rows.told(one.examples):
            run.say(f"{name}: {told}")
        asked = len(one.asked[0])
        if asked < len(one.examples) and not quiet:
            run.say(f"{name}: ROUGE is of {asked:,} of its {len(one.examples):,} examples, perplexity of all")
    with workers(threads, recipe.lanes) as executor:
        result = run.train(parts["train"], parts["dev"], choose_by, executor)
    result |= {"baseline_is": baseline_is, "baseline": baseline}
    if test is not None:
        try:
            with interruptible():
                result["test"] = run.judge(parts["test"]).scores
                _, result["test_baseline"] = guess(task, parts["train"], parts["test"], tokenizer)
        except KeyboardInterrupt:
            left = run.what_is_left(result)
            raise Interruption(f"stopped before the test file was scored; {left}") from None
    write_json(out / "result.json", result)  # last: a folder that has it has finished
    return result


class _Run:
    """A model on its way through the epochs."""

    def __init__(
        self,
        model: Any,
        tokenizer: Tokenizer,
        task: Task,
        recipe: Recipe,
        out: Path,
        threads: int,
        quiet: bool,
        say: Callable[[str], None] | None,
    ) -> None:
        self.model, self.tokenizer, self.task, self.recipe, self.out = model, tokenizer, task, recipe, out
        self.quiet, self.progress = quiet, Progress(1, 0, quiet=quiet)
        self.threads, self.told = threads, say

    def say(self, line: str) -> None:
        """Tell a person something."""
        (self.told or self.progress.say)(line)

    def train(self, train: Part, dev: Part, score: str, executor: Executor | None) -> dict[str, Any]:
        """Go through the epochs; the model is then that of the best by `score`, and saved.

        Return what is to be said of it.
        """
        recipe, kind, params = self.recipe, self.task.kind, self.model.params
        weights = class_weights(kind.counts(train.examples, self.task.labels), recipe.class_weights)
        objective = kind.objective(self.task.labels, weights)
        n = len(train.examples)
        each = -(-n // recipe.batch_size)
        steps = each * recipe.epochs
        schedule = linear(recipe.lr, steps, warmup_steps=round(recipe.warmup * steps))
        scale = layerwise_decay(n_layers(self.model), recipe.layer_decay)
        optimizer = AdamW(
            params.flat,
            recipe.lr,
            segments=make_segments(
                params.layout, decay=decays, weight_decay=recipe.weight_decay, lr_scale=scale
            ),
        )
        lanes = [params.zeros_like() for _ in range(recipe.lanes)]
        tokens = round(train.rows.n_tokens / n * min(recipe.batch_size, n))
        self.progress = Progress(steps, tokens, quiet=self.quiet)
        best: dict[str, Any] = {}
        kept: Array = params.flat.copy()
        with StopRequest() as stop, closing(MetricsLog(self.out / "metrics.jsonl")) as log:
            for epoch in range(recipe.epochs):
                order = draws.generator(recipe.seed, draws.ORDER, epoch).permutation(n)
                for start in range(0, n, recipe.batch_size):
                    step = epoch * each + start // recipe.batch_size
                    places = order[start : start + recipe.batch_size].tolist()
                    batch = kind.batch(objective, train.rows, train.targets, places, self.tokenizer.pad_id)
                    generators = None
                    if recipe.dropout:
                        generators = draws.of_sequences(recipe.seed, draws.DROPOUT, step, len(places))
                    found = gradient(
                        self.model, objective, batch, lanes, generators=generators, executor=executor
                    )
                    grad = lanes[0].flat
                    norm = global_norm(grad, executor)
                    if not (math.isfinite(found.loss) and math.isfinite(norm)):
                        raise TrainingStopped(self._not_finite(step, found.loss, train, places, best))
                    clip_by_global_norm(grad, recipe.clip or math.inf, executor, norm=norm)
                    optimizer.step(grad, lr=schedule(step), executor=executor)
                    log.write(step=step + 1, loss=found.loss, lr=schedule(step), grad_norm=norm)
                    self.progress.update(step + 1, found.loss)
                    if stop.made:
                        raise Interruption(f"stopped in epoch {epoch + 1}; {self.what_is_left(best)}")
                try:
                    scores, by_label = self.judge(dev)
                except NotFinite as error:
                    raise TrainingStopped(f"epoch {epoch + 1}: {error}; {self.what_is_left(best)}") from None
                log.write(epoch=epoch + 1, **scores)
                self._tell_epoch(epoch + 1, score, scores[score])
                if not best or ahead(score, scores, best["dev"]):
                    best = {"score": score, "epoch": epoch + 1, "dev": scores, "by_label": by_label}
                    kept = params.flat.copy()
                    save_task_model(self.model, self.tokenizer, self.task, self.out / "model")
                if stop.made:  # while it was judged
                    raise Interruption(f"stopped after epoch {epoch + 1}; {self.what_is_left(best)}")
                if recipe.patience is not None and epoch + 1 - best["epoch"] >= recipe.patience:
                    self.say(f"no better {score} for {recipe.patience} epochs: ended")
                    break
        self.progress.close()
        params.flat[...] = kept
        return {
            "task": self.task.name,
            **best,
            "epochs": epoch + 1,
            "trained": int(params.flat.size),
            "parameters": int(params.size),
            "examples": {"train": n, "dev": len(dev.examples)},
        }

    def judge(self, part: Part) -> Judged:
        """Return the scores of the model as it is; its threads are not bounded by the lanes."""
        with workers(self.threads, len(part.examples)) as executor:
            return judge(self.model, self.tokenizer, self.task, part, executor)

    def _tell_epoch(self, epoch: int, name: str, value: float) -> None:
        if not self.quiet:
            self.say(f"epoch {epoch}/{self.recipe.epochs}  {name} {value:.4f}")

    def _not_finite(
        self, step: int, loss: float, train: Part, places: list[int], best: dict[str, Any]
    ) -> str:
        what = f"the loss is {loss}" if not math.isfinite(loss) else "the gradient is not finite"
        rows = ", ".join(train.examples[i].where for i in places[:4]) + (", ..." if len(places) > 4 else "")
        return f"step {step + 1}: {what} (examples {rows}); {self.what_is_left(best)}"

    def what_is_left(self, best: dict[str, Any]) -> str:
        """Say which model is in the folder."""
        if not best:
            return "no epoch was finished, nothing is saved"
        return (
            f"the model of epoch {best['epoch']} ({best['score']} {best['dev'][best['score']]:.4f}) "
            f"is in {self.out / 'model'}"
        )
