"""The loop: from a run folder to a trained model, however often it was interrupted in between.

    after each step     a line in metrics.jsonl
    now and then        a look at the held-out loss, and then a checkpoint
    at the end          checkpoint, evaluation beside the baselines, model/, loss.png, result.json

The state of a run is its parameters, the optimizer's state, the number of steps done and the length of
metrics.jsonl. The order of the data and every random draw follow from the step (draws.py). Of several ranks,
all do the same steps and looks, and the first alone writes and speaks.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

import numpy as np

from .._files import write_json
from .checkpoints import Checkpoint, list_checkpoints, load_newest, remove_unfinished, save_checkpoint
from .evaluate import Evaluation, evaluate
from .metrics import MetricsLog
from .plot import plot_losses
from .progress import Progress
from .ranks import ALONE, Ranks
from .run import Run, sole_use
from .signals import Interruption, StopRequest
from .trainer import Trainer, TrainingStopped, workers


def fit(
    run: Run,
    *,
    threads: int | None = None,
    say: Callable[[str], None] | None = None,
    quiet: bool = False,
    ranks: Ranks = ALONE,
) -> dict[str, Any]:
    """Train a run to its end, from its newest checkpoint if it has one.

    Parameters
    ----------
    run : Run
        From `create_run` or `open_run`.
    threads : int, optional
        Default: as many as there are cores for this rank. More than the run has lanes are of no use. The
        result does not depend on it.
    say : callable, optional
        Told what a person should know, a line at a time; default: standard error.
    quiet : bool
        No progress.
    ranks : Ranks, optional
        From `start_ranks`, where mpiexec has started several processes and every one of them calls this.

    Returns
    -------
    dict
        What result.json holds.

    Raises
    ------
    Interruption
        After SIGINT or SIGTERM, when the state is saved.
    TrainingStopped
        If a loss or gradient is not finite, or the disk is full. The checkpoints are whole.
    """
    config = run.config
    threads = ranks.threads() if threads is None else threads
    first = ranks.rank == 0
    with sole_use(run.folder) if first else contextlib.nullcontext():
        result: dict[str, Any] | None = ranks.tell(run.result if first else None)
        if result is not None:
            return result
        if first:
            remove_unfinished(run.checkpoints)
            remove_unfinished(run.folder)
        trainer = Trainer(config, run.tokenizer, run.train, ranks)
        assert config.steps is not None
        held_out = config.task.evaluation(config, run.tokenizer, run.held_out)
        filled = run.train.mask.mean() if first else 1.0  # the others read their shares alone
        tokens = round(config.sequences_per_step * filled * config.task.width(config.seq_len))
        with workers(threads, config.lanes) as executor:
            progress = Progress(config.steps, tokens, quiet=quiet or not first)
            tell = (say or progress.say) if first else _silence
            try:
                _train(run, trainer, executor, held_out, progress, tell)
            except TrainingStopped as error:
                raise TrainingStopped(f"{error}; {_what_is_left(run)}") from error
            except OSError as error:
                raise TrainingStopped(_disk_line(run, error)) from error
            finally:
                progress.close()
            return _finish(run, trainer, executor, held_out, tell)


def _train(
    run: Run,
    trainer: Trainer,
    executor: Executor | None,
    held_out: Evaluation,
    progress: Progress,
    say: Callable[[str], None],
) -> None:
    config, ranks = run.config, trainer.ranks
    steps, eval_every, checkpoint_every = config.steps, config.eval_every, config.checkpoint_every
    assert steps is not None
    assert eval_every is not None
    assert checkpoint_every is not None
    done, length = 0, 0
    first = ranks.rank == 0
    newest = load_newest(run.checkpoints, say)
    found = ranks.everyones(newest and newest.step)
    if found != found[:1] * len(found):
        raise ValueError(f"{run.checkpoints}: the ranks see different checkpoints, of steps {found}")
    if newest is None:
        if list_checkpoints(run.checkpoints):
            say("no checkpoint can be read: starting again from the first step")
        if run.initial is None:
            trainer.start_from_text()
        else:
            trainer.start_from(run.initial)
    else:
        trainer.restore(newest.params, newest.optimizer)
        done, length = newest.step, newest.about["metrics_bytes"]
        say(f"going on after step {done:,} of {steps:,}")
    progress.begin(done)
    metrics = MetricsLog(run.folder / "metrics.jsonl", length) if first else MetricsLog(os.devnull)
    timing = MetricsLog(run.folder / "timing.jsonl" if first else os.devnull)
    began = time.monotonic()
    try:
        with StopRequest() as stop:
            while done < steps:
                result = trainer.update(done, executor)
                done += 1
                metrics.write(
                    step=done,
                    loss=result.loss,
                    accuracy=result.accuracy,
                    lr=result.lr,
                    grad_norm=result.grad_norm,
                    **result.of_parts,
                )
                if done % eval_every == 0 or done == steps:
                    look = evaluate(trainer.model, held_out.objective, held_out.look, executor, ranks)
                    if np.any(look.n_targets):
                        of_look = {"loss": look.loss, "accuracy": look.accuracy}
                        of_look |= look.of_parts(getattr(held_out.objective, "parts", ()))
                        of_look |= held_out.figures(look.loss)
                        metrics.write(step=done, **{f"held_out_{k}": v for k, v in of_look.items()})
                        progress.held_out = look.loss
                timing.write(step=done, seconds=round(time.monotonic() - began, 4), since=progress.start)
                progress.update(done, result.loss)
                stopping = ranks.any(stop.made)
                if done % checkpoint_every == 0 or done == steps or stopping:
                    saved = _save(run, trainer, done, metrics, say, must=done == steps or stopping)
                    if stopping:
                        raise Interruption(f"stopped after step {done:,} of {steps:,}; saved in {saved}")
    finally:
        metrics.close()
        timing.close()


def _save(
    run: Run, trainer: Trainer, done: int, metrics: MetricsLog, say: Callable[[str], None], must: bool
) -> str | None:
    """Write a checkpoint. On a full disk the run goes on, as long as there is a later chance to write one."""
    trainer.require_finite_parameters(done)
    params, optimizer = trainer.state()
    saved = None
    if trainer.ranks.rank == 0:
        saved = _write(run, Checkpoint(done, params, optimizer, {}), metrics, say, must)
    saved_on_the_first: str | None = trainer.ranks.tell(saved)  # it is on the disk before any rank goes on
    return saved_on_the_first


def _write(
    run: Run, state: Checkpoint, metrics: MetricsLog, say: Callable[[str], None], must: bool
) -> str | None:
    try:
        about = {"metrics_bytes": metrics.sync()}
        return str(save_checkpoint(run.checkpoints, state._replace(about=about)))
    except OSError as error:
        if must:
            raise
        why = error.strerror or error
        say(f"no checkpoint at step {state.step:,} ({why}); {_what_is_left(run)}; going on")
        return None


def _finish(
    run: Run,
    trainer: Trainer,
    executor: Executor | None,
    held_out: Evaluation,
    say: Callable[[str], None],
) -> dict[str, Any]:
    ranks = trainer.ranks
    if ranks.rank:
        evaluate(trainer.model, held_out.objective, held_out.batches, executor, ranks)
        told: dict[str, Any] = ranks.tell(None)
        return told
    try:
        task = run.config.task
        result = task.compare(run, trainer.model, held_out, executor, ranks)
        task.finished(trainer.model).save_pretrained(run.folder / "model", run.tokenizer)
        trouble = plot_losses(run.folder, result, task.LABELS)
        if trouble:
            say(trouble)
        write_json(run.folder / "result.json", result)  # last: a run that has it has finished
        ranks.tell(result)
        return result
    except OSError as error:
        raise TrainingStopped(_disk_line(run, error)) from error


def _silence(line: str) -> None:
    """What the ranks after the first say."""


def _disk_line(run: Run, error: OSError) -> str:
    return f"{error.filename or run.folder}: {error.strerror or error}; {_what_is_left(run)}"


def _what_is_left(run: Run) -> str:
    saved = list_checkpoints(run.checkpoints)
    return f"the newest checkpoint is {saved[-1]}" if saved else "there was no checkpoint yet"
