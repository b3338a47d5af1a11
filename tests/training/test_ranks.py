"""Several processes give what one gives, and end together; the one that is alone notices nothing."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from npformer.cli import main
from npformer.training import Ranks, Run, Trainer, fit, load_newest, open_run, start_ranks
from npformer.training import ranks as ranks_module
from npformer.training.draws import of_sequences
from npformer.training.metrics import read_metrics
from npformer.training.mpi import PASSED_ON, MpiRanks

HERE = Path(__file__).resolve().parent
spec = importlib.util.spec_from_file_location("over_mpi", HERE / "over_mpi.py")
assert spec is not None
assert spec.loader is not None
over_mpi = importlib.util.module_from_spec(spec)
spec.loader.exec_module(over_mpi)
FLOAT64 = {"dtype": "float64", "dropout": 0.1, "batch_size": 7, "clip": 0.3, "embedding_init": "random"}


class OneOf(Ranks):
    """Rank `rank` of `size`, for what needs no exchange."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size


# Without MPI


def test_alone_every_exchange_is_nothing():
    ranks, vector = Ranks(), np.arange(5.0)
    ranks.reduce_scatter(vector)
    ranks.all_gather(vector)
    ranks.broadcast(vector)
    assert np.array_equal(vector, np.arange(5.0))
    assert ranks.gather(vector, 5) is vector
    assert ranks.all_rows(vector) == (vector, 0)
    assert ranks.tell({"a": 1}) == {"a": 1}
    assert ranks.sums(2, 0.1) == [2, 0.1]
    (found,) = ranks.sums(np.array([2, 3]))
    assert found.tolist() == [2, 3]
    assert ranks.any(True)
    assert not ranks.any(False)


def test_alone_a_stop_is_a_line_and_a_status(capsys):
    assert Ranks().stop("why", 130) == 130
    assert capsys.readouterr().err == "why\n"


@pytest.mark.parametrize(("n", "size"), [(7, 2), (7, 4), (4, 4), (2, 4), (0, 3)])
def test_shares_cover_everything_once(n, size):
    shares = [OneOf(rank, size).share(n) for rank in range(size)]
    assert [i for start, stop in shares for i in range(start, stop)] == list(range(n))
    assert max(b - a for a, b in shares) - min(b - a for a, b in shares) <= 1


def test_a_share_of_the_batch_is_its_rows_of_the_whole_batch(make_run):
    run = make_run(dropout=0.1, batch_size=7)
    whole, chosen = Trainer(run.config, run.tokenizer, run.train).batch(3)
    for rank in range(4):
        share = Trainer(run.config, run.tokenizer, run.train, OneOf(rank, 4))
        batch, rows = share.batch(3)
        start, stop = share.ranks.share(7)
        assert np.array_equal(rows, chosen[start:stop])
        for mine, theirs in zip(batch, whole.rows(start, stop), strict=True):
            assert np.array_equal(mine, theirs)
        drawn = [rng.random() for rng in share.dropout(3) or []]
        assert drawn == [rng.random() for rng in of_sequences(0, 3, 3, 7)[start:stop]]


def test_more_ranks_than_sequences_are_refused(make_run):
    run = make_run()
    with pytest.raises(ValueError, match="batch_size: expected a sequence for each of the 6 ranks, got 5"):
        Trainer(run.config, run.tokenizer, run.train, OneOf(0, 6))


def test_more_ranks_than_sequences_are_refused_before_anything_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("npformer.training.start_ranks", lambda debug: OneOf(0, 6))
    with pytest.raises(ValueError, match="for each of the 6 ranks, got 5 in a step"):
        main(["pretrain", "no such text", "--batch-size", "5", "--out", str(tmp_path / "run"), "--debug"])


@pytest.mark.parametrize("broken", [False, True])
def test_the_last_line_is_passed_on_before_the_end_which_comes_in_any_case(monkeypatch, broken):
    events = []

    class Abort(BaseException):
        """Nothing comes after it."""

    def abort(status):
        events.append(status)
        raise Abort

    def write(text):
        events.append(text)
        if broken:
            raise BrokenPipeError

    ranks = MpiRanks.__new__(MpiRanks)  # without MPI
    ranks.rank, ranks.size, ranks._world = 0, 2, SimpleNamespace(Abort=abort)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", SimpleNamespace(write=write, flush=lambda: None))
        patched.setattr(time, "sleep", events.append)
        patched.setattr(os, "dup2", lambda old, new: os.close(old))
        with pytest.raises(Abort):
            ranks.stop("why", 130)
    assert events == ([0, "why", 130] if broken else [0, "why", "\n", PASSED_ON, 130])


@pytest.mark.parametrize("names", ranks_module.LAUNCHERS)
def test_a_launcher_without_mpi4py_is_one_line(monkeypatch, capsys, names):
    for size, _ in ranks_module.LAUNCHERS:
        monkeypatch.delenv(size, raising=False)
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    monkeypatch.setenv(names[0], "1")
    monkeypatch.setenv(names[1], "0")
    assert start_ranks().size == 1
    monkeypatch.setenv(names[0], "2")
    assert main(["pretrain", "nothing"]) == 2
    line = "npformer pretrain: mpiexec started 2 processes, and MPI is not installed in Python"
    assert capsys.readouterr().err == f"{line}: pip install 'npformer[mpi]'\n"
    monkeypatch.setenv(names[1], "1")  # the second process says nothing
    with pytest.raises(SystemExit) as stop:
        main(["pretrain", "nothing"])
    assert stop.value.code == 2
    assert capsys.readouterr().err == ""


def test_srun_starts_ranks_with_pmix_and_processes_without_it():
    environment = {"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "2"}
    assert ranks_module._launched(environment) == (1, 0)
    assert ranks_module._launched({**environment, "PMIX_RANK": "2"}) == (4, 2)


def test_a_sharded_optimizer_alone_gives_the_same_bits(make_run):
    plain, sharded = make_run("plain"), make_run("sharded", shard_optimizer=True)
    for run in (plain, sharded):
        fit(run, threads=1, quiet=True, say=lambda line: None)
    assert (plain.folder / "metrics.jsonl").read_bytes() == (sharded.folder / "metrics.jsonl").read_bytes()


# Over MPI. Each rank is a Python that starts, and that asks all the time while it waits: so some tests are on
# two ranks, some on three, and the other numbers come with --thorough.


@pytest.fixture
def mpiexec():
    """Return a function that starts over_mpi.py on n ranks."""
    pytest.importorskip("mpi4py", reason="needs mpi4py: pip install '.[mpi]'")
    beside = Path(sys.executable).with_name("mpiexec")
    launcher = str(beside) if beside.exists() else shutil.which("mpiexec")
    if launcher is None:
        pytest.skip("needs mpiexec: pip install '.[mpi]'")
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
    environment = {**os.environ, **threads, "PYTHONPATH": str(HERE.parents[1])}
    environment.setdefault("MPIR_CVAR_POLLS_BEFORE_YIELD", "1")  # there may be fewer cores than ranks
    started: list[subprocess.Popen[str]] = []

    def start(n: int, *arguments: object) -> subprocess.Popen[str]:
        command = [launcher, "-n", str(n), sys.executable, str(HERE / "over_mpi.py"), *map(str, arguments)]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen(command, env=environment, text=True, **pipes))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
            process.wait(10)


def finish(process: subprocess.Popen[str], status: int = 0, seconds: float = 120) -> str:
    """Return what a process wrote."""
    said = "".join(process.communicate(timeout=seconds))
    assert process.returncode == status, said
    return said


def over(mpiexec, n: int, run: Run, *options: str) -> dict[str, np.ndarray]:
    out = run.folder / f"out-{n}{''.join(options)}.npz"
    finish(mpiexec(n, "updates", run.folder, out, *options))
    with np.load(out, allow_pickle=False) as data:
        return dict(data)


def by_one(run: Run) -> dict[str, np.ndarray]:
    """Return what `over` does, by this process."""
    return {name: np.array(value) for name, value in over_mpi.updates(open_run(run.folder), Ranks()).items()}


def error(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max() / np.abs(b).max())


def until(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def ended(process: subprocess.Popen[str], run: Run, status: int) -> str:
    """Return what a run said that ended before its time, when every rank of it is gone."""
    said = finish(process, status)
    pids = [int(path.read_text()) for path in run.folder.glob("pid-*")]
    until(lambda: not any(alive(pid) for pid in pids), seconds=10)
    return said


@pytest.mark.extra
@pytest.mark.parametrize("n", [3, *(pytest.param(n, marks=pytest.mark.thorough) for n in (2, 4))])
def test_ranks_give_what_one_process_gives(make_run, mpiexec, n):
    run = make_run(steps=20, **FLOAT64)
    alone, many = by_one(run), over(mpiexec, n, run)
    assert len(set(many["targets"].tolist())) > 1  # so that a mean of means would be another
    assert many["targets"].sum() == alone["targets"].sum()
    assert error(many["gradient"], alone["gradient"]) <= 1e-12
    assert np.abs(many["losses"] - alone["losses"]).max() <= 1e-10
    assert error(many["params"], alone["params"]) <= 1e-9
    sharded = over(mpiexec, n, run, "--shard")
    for name in ("losses", "norms", "params", "optimizer/m", "optimizer/v"):
        assert np.array_equal(sharded[name], many[name]), name
    assert sharded["state_bytes"].sum() == many["state_bytes"][0]


@pytest.mark.extra
def test_every_part_of_an_objective_has_its_own_mean_over_ranks(make_run, mpiexec):
    run = make_run(**{**FLOAT64, "objective": "mlm+0.5*sop", "seq_len": 24, "steps": 5})
    alone, many = by_one(run), over(mpiexec, 2, run)
    assert many["targets"].shape == (2, 2)  # ranks, parts
    assert many["targets"].sum(axis=0).tolist() == alone["targets"][0].tolist()
    assert error(many["gradient"], alone["gradient"]) <= 1e-12
    assert np.abs(many["losses"] - alone["losses"]).max() <= 1e-10
    assert error(many["params"], alone["params"]) <= 1e-9


@pytest.mark.extra
@pytest.mark.parametrize("n", [3, pytest.param(2, marks=pytest.mark.thorough)])
def test_ranks_share_a_loss_that_couples_the_batch(make_run, mpiexec, n):
    run = make_run(steps=8, objective="simcse", **FLOAT64)
    alone, many = by_one(run), over(mpiexec, n, run)
    assert error(many["gradient"], alone["gradient"]) <= 1e-12
    assert np.abs(many["losses"] - alone["losses"]).max() <= 1e-10
    assert error(many["params"], alone["params"]) <= 1e-9


@pytest.mark.extra
def test_a_mean_over_ranks_would_be_noticed(make_run, mpiexec):
    run = make_run(steps=1, **FLOAT64)
    assert error(over(mpiexec, 2, run, "--broken")["gradient"], by_one(run)["gradient"]) > 1e-3


def kill(mpiexec, run: Run, killed: int) -> None:
    """Start a run by two ranks, and kill one that the other waits for, after the checkpoint of step 10."""
    process = mpiexec(2, "pretrain", run.folder, "--wait-at", killed, 12)
    until(lambda: list(run.checkpoints.glob("step-*10.npz")))
    os.kill(int((run.folder / f"pid-{killed}").read_text()), signal.SIGKILL)
    began = time.monotonic()
    message = ended(process, run, 9)
    assert time.monotonic() - began < 10
    assert "Killed (signal 9)" in message  # mpiexec's words
    newest = load_newest(run.checkpoints, pytest.fail)
    assert newest is not None
    assert newest.step == 10


@pytest.mark.extra
def test_the_first_rank_killed_ends_the_run(make_run, mpiexec):
    kill(mpiexec, make_run(**{**FLOAT64, "steps": 40, "checkpoint_every": 5}), 0)


@pytest.mark.extra
def test_a_killed_rank_ends_the_run_which_can_go_on(make_run, mpiexec, tmp_path):
    changes = {**FLOAT64, "steps": 25, "checkpoint_every": 5}
    calm, run = (make_run(name, **changes) for name in ("calm", "run"))
    finish(mpiexec(2, "pretrain", calm.folder))
    kill(mpiexec, run, 1)
    shutil.copytree(run.folder, tmp_path / "copy")

    finish(mpiexec(2, "pretrain", run.folder))  # as many ranks: the same bits
    for name in ("metrics.jsonl", "result.json"):
        assert (run.folder / name).read_bytes() == (calm.folder / name).read_bytes()
    ends = [load_newest(each.checkpoints, pytest.fail) for each in (calm, run)]
    for group in ("params", "optimizer"):
        for name, value in getattr(ends[0], group).items():
            assert np.array_equal(getattr(ends[1], group)[name], value), name

    finish(mpiexec(3, "pretrain", tmp_path / "copy", "--shard"))  # more ranks, and sharded
    losses = [
        [line["loss"] for line in read_metrics(folder / "metrics.jsonl") if "loss" in line]
        for folder in (calm.folder, tmp_path / "copy")
    ]
    assert len(losses[0]) == len(losses[1]) == 25
    assert np.abs(np.subtract(*losses)).max() <= 1e-10


@pytest.mark.extra
def test_a_sharded_run_goes_on_alone(make_run, mpiexec):
    calm, run = (
        make_run(name, **{**FLOAT64, "steps": 60, "checkpoint_every": 10}) for name in ("calm", "run")
    )
    fit(calm, threads=1, quiet=True, say=lambda line: None)
    message = ended(mpiexec(2, "pretrain", run.folder, "--shard", "--raise-at", 35), run, 1)
    assert "ZeroDivisionError" in message
    newest = load_newest(run.checkpoints, pytest.fail)
    assert newest is not None
    assert newest.step == 30
    fit(open_run(run.folder), threads=1, quiet=True, say=lambda line: None)
    losses = [
        [line["loss"] for line in read_metrics(each.folder / "metrics.jsonl") if "loss" in line]
        for each in (calm, run)
    ]
    assert np.abs(np.subtract(*losses)).max() <= 1e-10


@pytest.mark.extra
def test_an_exception_on_one_rank_is_one_line_and_the_end_of_all(make_run, mpiexec):
    run = make_run(**{**FLOAT64, "steps": 10_000})
    message = ended(mpiexec(2, "pretrain", run.folder, "--raise-at", 7), run, 1)
    assert message == "npformer: ZeroDivisionError: of one rank alone (rank 1 of 2)\n"
    assert load_newest(run.checkpoints, pytest.fail) is not None


@pytest.mark.extra
def test_a_loss_that_is_not_finite_stops_all_ranks_in_the_same_step(make_run, mpiexec):
    run = make_run(**{**FLOAT64, "steps": 10_000})
    message = ended(mpiexec(2, "pretrain", run.folder, "--poison-at", 7), run, 1)
    assert message.count("\n") == 1
    assert message.startswith("npformer pretrain: step 8: the loss is nan; first not finite: the output of ")
    assert "parameter encoder.0.attention.query.weight is not finite" in message


@pytest.mark.extra
@pytest.mark.parametrize("signalled", [0, 1])
def test_a_signal_to_one_rank_stops_all_after_the_same_step(make_run, mpiexec, signalled):
    run = make_run(**{**FLOAT64, "steps": 100_000})
    process = mpiexec(2, "pretrain", run.folder)
    until(lambda: list(run.checkpoints.glob("step-*.npz")))
    os.kill(int((run.folder / f"pid-{signalled}").read_text()), signal.SIGTERM)
    began = time.monotonic()
    message = ended(process, run, 130)
    assert time.monotonic() - began < 10
    newest = load_newest(run.checkpoints, pytest.fail)
    assert newest is not None
    assert message.startswith(f"stopped after step {newest.step:,} of 100,000; saved in ")
    assert message.count("stopped after") == 1
    again = f"go on with: mpiexec -n 2 python -m npformer pretrain --resume {run.folder}"
    assert message.splitlines()[-1] == again
    assert len(read_metrics(run.folder / "metrics.jsonl")) >= newest.step
