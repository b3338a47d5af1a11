"""The loop: from a run folder to a trained model, however often it was interrupted in between.

    after each step     a line in metrics.jsonl
    now and then        a look at the held-out loss, and then a checkpoint
    at the end          checkpoint, evaluation beside the baselines, model/, loss.png, result.json

The state of a run is its parameters, the optimizer's state, the number of steps done and the length of
metrics.jsonl. The order of the data and every random draw follow from the step (draws.py).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, BinaryIO

from .._files import write_atomically
from .._threads import available_cores
from ..objectives import MaskedLMBatch
from .checkpoints import Checkpoint, list_checkpoints, load_newest, remove_unfinished, save_checkpoint
from .evaluate import evaluate, fixed_corruptions, small_part
from .metrics import MetricsLog
from .plot import plot_losses
from .progress import Progress
from .result import compare
from .run import Run, sole_use
from .signals import Interruption, StopRequest
from .trainer import Trainer, TrainingStopped, workers


def fit(
    run: Run, *, threads: int | None = None, say: Callable[[str], None] | None = None, quiet: bool = False
) -> dict[str, Any]:
    """Train a run to its end, from its newest checkpoint if it has one.

    Parameters
    ----------
    run : Run
        From `create_run` or `open_run`.
    threads : int, optional
        Default: as many as there are cores. More than the run has lanes are of no use. The result does not
        depend on it.
    say : callable, optional
        Told what a person should know, a line at a time; default: standard error.
    quiet : bool
        No progress.

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
    threads = available_cores() if threads is None else threads
    with sole_use(run.folder):
        if run.result is not None:
            return run.result
        remove_unfinished(run.checkpoints)
        remove_unfinished(run.folder)
        trainer = Trainer(config, run.tokenizer, run.train)
        assert config.steps is not None
        batches = fixed_corruptions(run.held_out, run.tokenizer)
        tokens = round(config.sequences_per_step * run.train.mask.mean() * config.seq_len)
        with workers(threads, config.lanes) as executor:
            progress = Progress(config.steps, tokens, quiet=quiet)
            tell = say or progress.say
            try:
                _train(run, trainer, executor, small_part(batches), progress, tell)
            except TrainingStopped as error:
                raise TrainingStopped(f"{error}; {_what_is_left(run)}") from error
            except OSError as error:
                raise TrainingStopped(_disk_line(run, error)) from error
            finally:
                progress.close()
            return _finish(run, trainer, executor, batches, tell)


def _train(
    run: Run,
    trainer: Trainer,
    executor: Executor | None,
    look: list[MaskedLMBatch],
    progress: Progress,
    say: Callable[[str], None],
) -> None:
    config = run.config
    steps, eval_every, checkpoint_every = config.steps, config.eval_every, config.checkpoint_every
    assert steps is not None
    assert eval_every is not None
    assert checkpoint_every is not None
    done, length = 0, 0
    newest = load_newest(run.checkpoints, say)
    if newest is None:
        if list_checkpoints(run.checkpoints):
            say("no checkpoint can be read: starting again from the first step")
        trainer.start_from_text()
    else:
        trainer.restore(newest.params, newest.optimizer)
        done, length = newest.step, newest.about["metrics_bytes"]
        say(f"going on after step {done:,} of {steps:,}")
    progress.begin(done)
    metrics = MetricsLog(run.folder / "metrics.jsonl", length)
    timing = MetricsLog(run.folder / "timing.jsonl")
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
                )
                if done % eval_every == 0 or done == steps:
                    held_out = evaluate(trainer.model, trainer.objective, look, executor)
                    if held_out.n_targets:
                        of_look = {"held_out_loss": held_out.loss, "held_out_accuracy": held_out.accuracy}
                        metrics.write(step=done, **of_look)
                        progress.held_out = held_out.loss
                timing.write(step=done, seconds=round(time.monotonic() - began, 4), since=progress.start)
                progress.update(done, result.loss)
                if done % checkpoint_every == 0 or done == steps or stop.made:
                    saved = _save(run, trainer, done, metrics, say, must=done == steps or stop.made)
                    if stop.made and done < steps:
                        raise Interruption(f"stopped after step {done:,} of {steps:,}; saved in {saved}")
    finally:
        metrics.close()
        timing.close()


def _save(
    run: Run, trainer: Trainer, done: int, metrics: MetricsLog, say: Callable[[str], None], must: bool
) -> Path | None:
    """Write a checkpoint. On a full disk the run goes on, as long as there is a later chance to write one."""
    trainer.require_finite_parameters(done)
    params, optimizer = trainer.state()
    try:
        about = {"metrics_bytes": metrics.sync()}
        return save_checkpoint(run.checkpoints, Checkpoint(done, params, optimizer, about))
    except OSError as error:
        if must:
            raise
        say(f"no checkpoint at step {done:,} ({error.strerror or error}); {_what_is_left(run)}; going on")
        return None


def _finish(
    run: Run,
    trainer: Trainer,
    executor: Executor | None,
    batches: list[MaskedLMBatch],
    say: Callable[[str], None],
) -> dict[str, Any]:
    try:
        result = compare(run, trainer.model, trainer.objective, batches, executor)
        trainer.model.save_pretrained(run.folder / "model", run.tokenizer)
        trouble = plot_losses(run.folder, result)
        if trouble:
            say(trouble)
        _write_result(run.folder / "result.json", result)  # last: a run that has it has finished
        return result
    except OSError as error:
        raise TrainingStopped(_disk_line(run, error)) from error


def _write_result(path: Path, result: dict[str, Any]) -> None:
    def write(file: BinaryIO) -> None:
        file.write(json.dumps(result, indent=2).encode() + b"\n")

    write_atomically(path, write)


def _disk_line(run: Run, error: OSError) -> str:
    return f"{error.filename or run.folder}: {error.strerror or error}; {_what_is_left(run)}"


def _what_is_left(run: Run) -> str:
    saved = list_checkpoints(run.checkpoints)
    return f"the newest checkpoint is {saved[-1]}" if saved else "there was no checkpoint yet"
