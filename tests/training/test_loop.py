"""Whole runs: equal seeds, threads, interruptions, full disks, numbers that are not finite."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from npformer.training import Interruption, TrainingStopped, fit, load_newest, open_run
from npformer.training import checkpoints as checkpoints_module
from npformer.training import loop as loop_module
from npformer.training import trainer as trainer_module
from npformer.training.metrics import read_metrics
from npformer.training.signals import SIGNALS

HERE = Path(__file__).resolve().parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(HERE.parents[1]), "OPENBLAS_NUM_THREADS": "1"}


def quiet_fit(run, threads=1, said=None):
    return fit(run, threads=threads, quiet=True, say=[].append if said is None else said.append)


def everything(run) -> dict[str, object]:
    """What must be equal in equal runs."""
    newest = load_newest(run.checkpoints, print)
    assert newest is not None
    arrays = {f"{g}/{n}": a.tobytes() for g in ("params", "optimizer") for n, a in getattr(newest, g).items()}
    files = {name: (run.folder / name).read_bytes() for name in ("metrics.jsonl", "result.json", "vocab.txt")}
    return {"step": newest.step, **arrays, **files}


def test_equal_seeds_and_any_threads_give_equal_bits(make_run):
    runs = [make_run(f"run{i}", dropout=0.1) for i in range(3)]
    for run, threads in zip(runs, (1, 1, 2), strict=True):
        quiet_fit(run, threads)
    first = everything(runs[0])
    assert everything(runs[1]) == first
    assert everything(runs[2]) == first
    other = make_run("other", dropout=0.1, seed=1)
    quiet_fit(other)
    assert everything(other)["metrics.jsonl"] != first["metrics.jsonl"]


def test_the_loss_falls_and_the_files_are_there(make_run):
    run = make_run(steps=60, layers=2, d_model=16)
    result = quiet_fit(run)
    lines = read_metrics(run.folder / "metrics.jsonl")
    losses = [line["loss"] for line in lines if "loss" in line]
    assert len(losses) == 60
    assert np.mean(losses[-5:]) < losses[0] - 0.3
    assert [line["step"] for line in lines if "held_out_loss" in line] == [*range(4, 61, 4)]
    assert set(lines[0]) == {"step", "loss", "accuracy", "lr", "grad_norm"}  # and no clock
    assert result == run.result == json.loads((run.folder / "result.json").read_text())
    assert [m["name"] for m in result["models"]][-1] == "encoder"
    assert len({m["positions"] for m in result["models"]}) == 1
    for name in ("config.json", "vocab.txt", "train.npy", "timing.jsonl", "model/model.npz"):
        assert (run.folder / name).is_file(), name
    assert quiet_fit(open_run(run.folder)) == result  # a finished run is not touched


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_resuming_restores_every_optimizer(make_run, monkeypatch, optimizer):
    calm, stopped = (make_run(name, optimizer=optimizer, accumulate=2) for name in ("calm", "stopped"))
    quiet_fit(calm)
    update = trainer_module.Trainer.update

    def fails_once(self, step, executor=None):
        if step == 7:
            raise MemoryError
        return update(self, step, executor)

    monkeypatch.setattr(trainer_module.Trainer, "update", fails_once)
    with pytest.raises(MemoryError):
        quiet_fit(stopped)
    monkeypatch.undo()
    quiet_fit(open_run(stopped.folder))
    assert everything(stopped) == everything(calm)


@pytest.mark.parametrize("step_of", [7, 12])  # in the last one, too
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)])
def test_a_signal_finishes_the_step_and_saves(make_run, monkeypatch, number, step_of):
    calm, stopped = make_run("calm"), make_run("stopped")
    quiet_fit(calm)
    update = trainer_module.Trainer.update

    def signalled(self, step, executor=None):
        if step == step_of - 1:
            # a terminal that is closed sends two: its shell's and the kernel's
            for _ in range(2 if number == getattr(signal, "SIGHUP", None) else 1):
                os.kill(os.getpid(), number)
        return update(self, step, executor)

    ours = signal.getsignal(number)
    if number not in SIGNALS:
        signal.signal(number, signal.SIG_DFL)  # under nohup it is ignored
    before = signal.getsignal(number)
    monkeypatch.setattr(trainer_module.Trainer, "update", signalled)
    saved = f"stopped after step {step_of} of 12; saved in .*step-{step_of:08d}.npz"
    with pytest.raises(Interruption, match=saved):
        quiet_fit(stopped)
    monkeypatch.undo()
    assert signal.getsignal(number) is before
    signal.signal(number, ours)
    quiet_fit(open_run(stopped.folder))
    assert everything(stopped) == everything(calm)


def test_training_works_outside_the_main_thread(make_run):
    run = make_run()
    thread = threading.Thread(target=quiet_fit, args=(run,))
    thread.start()
    thread.join()
    assert run.result is not None


def full_disk(file, arrays):
    file.write(b"half of it")
    file.flush()
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_does_not_stop_a_run_that_can_save_later(make_run, monkeypatch):
    calm, run = make_run("calm"), make_run()
    quiet_fit(calm)
    write, writes = checkpoints_module.write_arrays, []

    def sometimes_full(file, arrays):
        writes.append(file)
        (full_disk if len(writes) == 2 else write)(file, arrays)

    monkeypatch.setattr(checkpoints_module, "write_arrays", sometimes_full)
    said: list[str] = []
    quiet_fit(run, said=said)
    complaints = [line for line in said if line.startswith("no checkpoint")]
    assert len(complaints) == 1
    assert complaints[0].startswith("no checkpoint at step 6 (No space left on device); the newest")
    assert everything(run) == everything(calm)


def test_a_disk_that_stays_full_leaves_the_former_checkpoint(make_run, monkeypatch):
    calm, run = make_run("calm"), make_run()
    quiet_fit(calm)
    write, writes = checkpoints_module.write_arrays, []

    def full_from_the_third(file, arrays):
        writes.append(file)
        (full_disk if len(writes) >= 3 else write)(file, arrays)

    monkeypatch.setattr(checkpoints_module, "write_arrays", full_from_the_third)
    with pytest.raises(TrainingStopped, match="No space left on device; the newest .*06.npz") as error:
        quiet_fit(run)
    assert "\n" not in str(error.value)
    monkeypatch.undo()
    quiet_fit(open_run(run.folder))
    assert everything(run) == everything(calm)


def test_metrics_on_a_full_disk(make_run, monkeypatch):
    run = make_run()
    write = loop_module.MetricsLog.write

    def full(self, **values):
        if values["step"] == 8 and "loss" in values:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, **values)

    monkeypatch.setattr(loop_module.MetricsLog, "write", full)
    with pytest.raises(TrainingStopped, match="No space left on device"):
        quiet_fit(run)
    newest = load_newest(run.checkpoints, print)
    assert newest is not None
    assert newest.step == 6


def test_a_torn_checkpoint_costs_steps_and_nothing_else(make_run):
    calm, run = make_run("calm"), make_run()
    quiet_fit(calm)
    quiet_fit(run)
    (run.folder / "result.json").unlink()
    newest = checkpoints_module.list_checkpoints(run.checkpoints)[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    said: list[str] = []
    quiet_fit(open_run(run.folder), said=said)
    assert said[0].startswith("passed over")
    assert said[1] == "going on after step 9 of 12"
    assert everything(run) == everything(calm)


def test_checkpoints_that_are_all_torn_are_not_passed_over_in_silence(make_run, monkeypatch):
    calm, run = make_run("calm"), make_run()
    quiet_fit(calm)
    quiet_fit(run)
    (run.folder / "result.json").unlink()
    for path in checkpoints_module.list_checkpoints(run.checkpoints):
        path.write_bytes(path.read_bytes()[:1000])
    (run.folder / ".result.json.123.tmp").write_text("half")
    said: list[str] = []
    update = trainer_module.Trainer.update

    def signalled(self, step, executor=None):
        if step == 6:
            os.kill(os.getpid(), signal.SIGTERM)
        return update(self, step, executor)

    monkeypatch.setattr(trainer_module.Trainer, "update", signalled)
    with pytest.raises(Interruption, match="stopped after step 7 of 12; saved in .*step-00000007.npz"):
        quiet_fit(open_run(run.folder), said=said)
    monkeypatch.undo()
    assert said[2] == "no checkpoint can be read: starting again from the first step"
    quiet_fit(open_run(run.folder), said=said)
    assert "going on after step 7 of 12" in said
    assert everything(run) == everything(calm)
    assert not list(run.folder.glob(".*.tmp"))


def test_parameters_that_an_update_spoiled_are_not_saved(make_run, monkeypatch):
    run = make_run()
    update = trainer_module.Trainer.update

    def spoiling(self, step, executor=None):
        shown = update(self, step, executor)
        if step == 5:
            self.model.params["encoder.0.attention.value.weight"][0, 0] = np.inf
        return shown

    monkeypatch.setattr(trainer_module.Trainer, "update", spoiling)
    with pytest.raises(TrainingStopped, match=r"first not finite: parameter encoder\.0\.attention"):
        quiet_fit(run)
    monkeypatch.undo()
    newest = load_newest(run.checkpoints, print)
    assert newest is not None
    assert newest.step == 3


def test_not_finite_stops_with_a_diagnosis_and_whole_checkpoints(make_run, monkeypatch):
    run = make_run(layers=2)
    update = trainer_module.Trainer.update

    def poisoned(self, step, executor=None):
        if step == 7:
            self.model.params["encoder.1.attention.value.weight"][0, 0] = np.nan
        return update(self, step, executor)

    monkeypatch.setattr(trainer_module.Trainer, "update", poisoned)
    with pytest.raises(TrainingStopped) as error:
        quiet_fit(run)
    line = str(error.value)
    assert line.startswith("step 8: the loss is nan; first not finite: the output of encoder.1.attention")
    assert "(parameter encoder.1.attention.value.weight is not finite), training sequences " in line
    assert line.endswith("step-00000006.npz")
    monkeypatch.undo()
    newest = load_newest(run.checkpoints, print)
    assert newest is not None
    assert newest.step == 6
    assert all(np.isfinite(value).all() for value in newest.params.values())


def test_an_update_that_overflows_is_not_saved(make_run):
    run = make_run(lr=3e38, warmup=0.0, optimizer="sgd", momentum=0.0, clip=0.0, checkpoint_every=1)
    with pytest.raises(TrainingStopped, match="first not finite"):
        quiet_fit(run)
    newest = load_newest(run.checkpoints, print)
    assert newest is None or all(np.isfinite(value).all() for value in newest.params.values())


def test_a_file_system_without_locks_is_no_other_process(make_run, monkeypatch):
    fcntl = pytest.importorskip("fcntl", reason="fcntl: not on this system")

    def without(file, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", without)
    run = make_run()
    quiet_fit(run)
    assert run.result is not None


def test_one_process_at_a_time(make_run):
    pytest.importorskip("fcntl", reason="fcntl: not on this system")
    from npformer.training.run import sole_use

    run = make_run()
    with sole_use(run.folder), pytest.raises(BlockingIOError, match="another process"):
        quiet_fit(run)
    quiet_fit(run)


def kills(*options: str) -> None:
    script = HERE / "kill_and_resume.py"
    done = subprocess.run(
        [sys.executable, str(script), *options], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_kill_and_resume():
    kills("--kills", "2", "--in-writes", "1", "--steps", "40", "--every", "5")


@pytest.mark.thorough
@pytest.mark.parametrize(("objective", "times"), [("mlm", 10), ("clm", 3), ("seq2seq", 3)])
def test_many_kills(objective, times):
    kills("--kills", str(times), "--in-writes", "2", "--objective", objective)


def test_a_second_signal_ends_the_process_at_once(make_run):
    run = make_run(steps=10**6, checkpoint_every=10**6, eval_every=10**6)
    program = (
        "import time, npformer.training as t, npformer.training.trainer as tr\n"
        "update = tr.Trainer.update\n"
        "def slow(self, step, executor=None):\n"
        "    if step == 3:\n"
        "        print('slow', flush=True); time.sleep(60)\n"
        "    return update(self, step, executor)\n"
        "tr.Trainer.update = slow\n"
        f"t.fit(t.open_run({str(run.folder)!r}), threads=1, quiet=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], env=ENVIRONMENT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == -signal.SIGINT
    process.stdout.close()
