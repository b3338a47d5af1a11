"""`npformer pretrain` as a person meets it: what it refuses, what it says, what it leaves behind."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from npformer._threads import available_cores
from npformer.cli import main
from npformer.cli.pretrain import FIELDS, SWITCHES
from npformer.training import PRESETS, RunConfig, preset

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "npformer"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
SMALL = shlex.split(
    "--layers 1 --d-model 8 --heads 2 --seq-len 12 --batch-size 4 --steps 6 --eval-every 3"
    " --checkpoint-every 2"
)
WORDS = "the cat sat on a mat and saw one dog run over green hills while rain fell from grey clouds"


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a text file; standard error is no terminal."""
    draw = random.Random(0)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "text.txt"
    path.write_text("".join(" ".join(draw.choices(WORDS.split(), k=7)) + f" {i}.\n" for i in range(120)))
    return path


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def run(*arguments: str, **options):
    return subprocess.run(
        [*COMMAND, *arguments],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        **options,
    )


def test_from_text_to_predictions(corpus, capsys):
    assert main(["pretrain", "text.txt", *SMALL]) == 0
    shown = capsys.readouterr()
    table, _, rest = shown.out.partition("\n\n")
    rows = table.splitlines()
    assert [row[:7] for row in rows[:5]] == ["held-ou", "most fr", "trigram", "encoder", "margin "]
    assert len({row.split()[-1] for row in rows[1:4]}) == 1  # the same positions
    assert rows[-1] == "(behind the baseline still: more --steps or --minutes)"
    folder, command = rest.splitlines()
    assert folder == "run folder: runs/pretrain-1"
    assert "little text" in shown.err
    assert "step 6/6" in shown.err

    words = shlex.split(command.removeprefix("try it:"))
    assert words[:3] == ["npformer", "fill", "runs/pretrain-1"]
    assert words[3].count("[MASK]") == 1
    assert main(words[1:]) == 0
    predictions = capsys.readouterr().out.splitlines()
    assert len(predictions) == 5
    assert all(" %  " in line for line in predictions)

    assert main(["pretrain", "text.txt", *SMALL, "--quiet"]) == 0
    assert "run folder: runs/pretrain-2" in capsys.readouterr().out
    first, second = (Path("runs", f"pretrain-{i}", "metrics.jsonl").read_bytes() for i in (1, 2))
    assert first == second


def test_what_comes_next(corpus, capsys):
    options = shlex.split("--objective clm --tokenizer char --held-out-tail 0.1 --quiet")
    assert main(["pretrain", "text.txt", *SMALL, *options, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [model["name"] for model in result["models"]] == ["5-gram (Witten-Bell)", "decoder"]
    assert result["models"][1]["bits_per_character"] == result["models"][1]["bits_per_byte"]
    assert main(["pretrain", "--resume", result["run"]]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[0].split()[2:] == ["nats", "perplexity", "bits/char", "bits/byte", "accuracy", "tokens"]
    assert [row.split()[0] for row in rows[1:4]] == ["5-gram", "decoder", "margin"]
    assert main(["fill", result["run"], "the [MASK]"]) == 2
    assert (
        "expected a model trained on masked tokens (--objective mlm), got Decoder"
        in capsys.readouterr().err
    )


def test_pairs(corpus, capsys):
    lines = corpus.read_text().splitlines()
    Path("pairs.tsv").write_text("".join(f"{i}\t{line}\t{line.upper()}\n" for i, line in enumerate(lines)))
    options = shlex.split("pairs.tsv --objective seq2seq --columns 2,3 --seq-len 40 --quiet --out run")
    assert main(["pretrain", *SMALL, *options]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows[1:4]] == ["3-gram", "encoder-decoder", "margin"]
    assert json.loads(Path("run/config.json").read_text())["config"]["objective"] == "seq2seq"
    assert json.loads(Path("run/model/config.json").read_text())["architecture"] == "encoder_decoder"
    assert main(["pretrain", "--resume", "run", "--columns", "1,2"]) == 2
    assert "--columns cannot be given with it" in capsys.readouterr().err


def test_every_choice_of_a_recipe_is_an_option():
    choices = {field.name for field in dataclasses.fields(RunConfig)}
    assert choices == {*FIELDS, *SWITCHES, "dtype"}  # dtype is for tests of the arithmetic


def test_json(corpus, capsys):
    assert main(["pretrain", "text.txt", *SMALL, "--json", "--out", "here", "--threads", "1"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["run"] == "here"
    assert [model["name"] for model in result["models"]][-1] == "encoder"
    assert json.loads(Path("here/result.json").read_text())["margin"] == result["margin"]


BAD = {
    "missing file": (["none.txt"], "none.txt: no such file or folder"),
    "empty file": (["empty.txt"], "empty.txt: the file is empty"),
    "binary file": (["binary.txt"], "binary.txt: a binary file"),
    "not UTF-8": (["latin.txt"], "latin.txt: not UTF-8: byte 0xe9 at offset 3"),
    "folder without text": (["folder"], "folder: the folder has no text"),
    "pattern without a match": (["no*.md"], "no*.md: no file matches"),
    "one line": (["line.txt"], "too little text"),
    "vocabulary": (["text.txt", "--vocab-size", "5000"], "pieces"),
    "tiny vocabulary": (["text.txt", "--vocab-size", "7"], "vocab_size: expected"),
    "negative steps": (["text.txt", "--steps", "-3"], "steps: expected a whole number of at least 1, got -3"),
    "steps in words": (["text.txt", "--steps", "many"], "argument --steps: invalid int value: 'many'"),
    "no steps": (["text.txt", "--steps", "0"], "steps: expected"),
    "minutes": (["text.txt", "--minutes", "-1"], "minutes: expected"),
    "rate": (["text.txt", "--lr", "nan"], "lr: expected a finite number above 0, got nan"),
    "infinite rate": (["text.txt", "--lr", "inf"], "lr: expected a finite number above 0, got inf"),
    "heads": (["text.txt", "--heads", "3"], "heads: expected a divisor of d_model = 8, got 3"),
    "threads": (["text.txt", "--threads", "0"], "threads: expected at least 1, got 0"),
    "norm": (["text.txt", "--norm", "batch"], "norm: expected one of pre, post, got 'batch'"),
    "preset": (["text.txt", "--preset", "huge"], "preset: expected one of tiny, small, base, got 'huge'"),
    "option": (["text.txt", "--learning-rate", "1"], "unrecognized arguments: --learning-rate"),
    "taken": (["text.txt", "--out", "folder"], "folder: the folder is not empty"),
    "file for a folder": (["text.txt", "--out", "text.txt"], "text.txt: a file of this name exists"),
    "objective": (
        ["text.txt", "--objective", "nsp"],
        "objective: expected one of mlm, rtd, simcse, clm, seq2seq, t5, prefix, mlm+nsp, mlm+sop, got 'nsp'",
    ),
    "no sum": (["text.txt", "--objective", "mlm+"], "objective: expected NAME or a sum such as mlm+0.5*nsp"),
    "one document": (
        ["text.txt", "--objective", "mlm+nsp"],
        "next-sentence prediction takes every other second sentence from another document",
    ),
    "no dropout": (
        ["text.txt", "--objective", "simcse", "--dropout", "0"],
        "dropout: expected above 0 for simcse, whose pairs are two dropout masks, got 0",
    ),
    "two tokenizers": (
        ["text.txt", "--init", "a", "--teacher", "b"],
        "teacher: expected --teacher or --init, got both",
    ),
    "one sentence": (
        ["text.txt", "--objective", "simcse", "--batch-size", "1"],
        "batch_size: expected at least 2 for simcse, to tell a sentence from others, got 1",
    ),
    "nothing to begin with": (["text.txt", "--init", "folder"], "folder: expected the folder of a run"),
    "tokenizer": (
        ["text.txt", "--tokenizer", "bytes"],
        "tokenizer: expected one of wordpiece, char, got 'bytes'",
    ),
    "rotary base": (
        ["text.txt", "--objective", "clm", "--positions", "learned", "--rotary-base", "99"],
        "rotary_base: only --positions rotary has a use for it, got learned",
    ),
    "momentum": (["text.txt", "--momentum", "0.5"], "momentum: only --optimizer sgd has a use for it, got"),
    "beta1": (
        ["text.txt", "--optimizer", "sgd", "--beta1", "0.5"],
        "beta1: only --optimizer adam or adamw has a use for it, got sgd",
    ),
    "beta2": (["text.txt", "--optimizer", "sgd", "--beta2", "0.5"], "beta2: only --optimizer adam or adamw"),
    "pieces of characters": (["text.txt", "--tokenizer", "char", "--vocab-size", "99"], "vocab_size: with"),
    "one character": (
        ["aaa.txt", "--objective", "clm", "--tokenizer", "char", "--held-out-tail", "0.5"],
        "expected a text of at least two different characters, got one, 'a'",
    ),
    "tail": (["text.txt", "--held-out-tail", "1.5"], "held_out_tail: expected a finite number above 0"),
    "no use": (
        ["text.txt", "--objective", "clm", "--mask-rate", "0.1"],
        "mask_rate: the objective clm has no use",
    ),
    "no masks": (
        ["text.txt", "--objective", "clm", "--masking", "span"],
        "masking: the objective clm has no use",
    ),
    "no teacher": (["text.txt", "--teacher", "none"], "none: no such folder"),
    "no share": (["text.txt", "--alpha", "0.3"], "alpha: without a teacher there is no use for it"),
    "columns of text": (["text.txt", "--columns", "1,2"], "columns: only pairs of texts have them"),
    "no pairs": (
        ["--objective", "seq2seq"],
        "expected one file of tab-separated lines or two parallel files, got none",
    ),
    "no tabs": (
        ["text.txt", "--objective", "seq2seq"],
        "text.txt: line 1: expected a source, a tab and a target",
    ),
    "no target": (["pairs.tsv", "--objective", "seq2seq"], "pairs.tsv: line 2: a source without a target"),
    "columns": (
        ["pairs.tsv", "--objective", "seq2seq", "--columns", "2;3"],
        "columns: expected two numbers from 1",
    ),
    "not parallel": (["text.txt", "line.txt", "--objective", "seq2seq"], "line.txt: expected 120 lines"),
    "no run": (["--resume", "folder"], "folder: expected the folder of a run"),
    "no folder": (["--resume", "none"], "none: expected the folder of a run"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_and_leaves_nothing(corpus, capfd, name):
    Path("empty.txt").write_bytes(b"")
    Path("binary.txt").write_bytes(bytes(range(256)) * 10)
    Path("latin.txt").write_bytes(b"caf\xe9 au lait\n")
    Path("line.txt").write_text("word\n")
    Path("aaa.txt").write_text("aaaaaaaaaaaa\n".strip() * 9)
    Path("pairs.tsv").write_text("one\tuno\ntwo\t\n")
    Path("folder").mkdir()
    Path("folder/picture.png").write_bytes(b"png")
    before = files(corpus.parent)
    arguments, message = BAD[name]
    common = [] if "--resume" in arguments else list(SMALL)
    for option in arguments:
        if option in common:
            at = common.index(option)
            del common[at : at + 2]
    assert main(["pretrain", *arguments, *common]) == 2
    shown = capfd.readouterr()
    assert shown.out == ""
    lines = shown.err.splitlines()
    assert len(lines) == 1, shown.err
    assert message in lines[0]
    assert lines[0].startswith("npformer")
    assert files(corpus.parent) == before


def test_debug_shows_the_traceback(corpus):
    with pytest.raises(ValueError, match="steps: expected"):
        main(["pretrain", "text.txt", "--steps", "-3", "--debug"])


def test_standard_input(corpus, capsys, monkeypatch):
    class Stdin:
        buffer = io.BytesIO(corpus.read_bytes())

    monkeypatch.setattr(sys, "stdin", Stdin)
    assert main(["pretrain", "-", *SMALL, "--out", "run", "--quiet"]) == 0
    assert "run folder: run" in capsys.readouterr().out
    monkeypatch.setattr(Stdin, "buffer", io.BytesIO(b""))
    assert main(["pretrain", "-", *SMALL, "--out", "run2"]) == 2
    assert capsys.readouterr().err == "npformer pretrain: <stdin>: standard input is empty\n"


def test_chinese_text_and_capitals(corpus, capsys):
    draw = random.Random(1)
    signs = "天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏"  # noqa: RUF001
    Path("zh.txt").write_text("".join("".join(draw.choices(signs, k=12)) + "。\n" for _ in range(100)))
    assert main(["pretrain", "zh.txt", *SMALL, "--out", "zh", "--quiet", "--cased"]) == 0
    command = capsys.readouterr().out.splitlines()[-1].removeprefix("try it:")
    assert main(shlex.split(command)[1:]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 5


def test_interrupted_resumed_without_the_text(corpus):
    long = [*SMALL, "--steps", "150", "--checkpoint-every", "25"]
    assert main(["pretrain", "text.txt", *long, "--out", "calm", "--threads", "1", "--quiet"]) == 0
    shutil.copy(corpus, "moved.txt")
    arguments = ["pretrain", "moved.txt", *long, "--out", "my run", "--threads", "2"]
    process = subprocess.Popen(
        [*COMMAND, *arguments], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    metrics = Path("my run/metrics.jsonl")
    while process.poll() is None and not (metrics.exists() and metrics.stat().st_size):
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130, err
    assert out == ""
    assert "Traceback" not in err
    assert "saved in my run/checkpoints/step-" in err
    again = err.splitlines()[-1].removeprefix("go on with: ")
    assert again == "npformer pretrain --resume 'my run'"
    Path("moved.txt").unlink()
    assert main(["fill", "my run", "the [MASK]"]) == 2  # not finished
    finished = run(*shlex.split(again)[1:])
    assert finished.returncode == 0, finished.stderr
    assert "going on after step" in finished.stderr
    for name in ("metrics.jsonl", "result.json"):
        assert Path("my run", name).read_bytes() == Path("calm", name).read_bytes()


@pytest.mark.parametrize("name", FIELDS)
def test_the_help_says_what_the_default_recipe_has(name):
    value, shown = getattr(preset(), name), FIELDS[name][1].rpartition(" (")[2].removesuffix(")")
    if value is not None:
        assert shown == (f"{value:g}" if isinstance(value, float) else str(value))
    elif name != "steps":  # which --minutes stands for
        words = {
            "d_ff": "4 times",
            "neighbour_heads": "half",
            "held_out_tail": "a tenth",
            "teacher": "none",
            "temperature": "2, simcse 0.05",
            "eval_every": "a tenth",
            "checkpoint_every": "500",
        }
        assert words[name] in shown


def test_the_help_says_what_the_presets_are(capsys):
    assert main(["pretrain", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert list(PRESETS) == ["tiny", "small", "base"]
    assert [(preset(name).layers, preset(name).d_model, preset(name).minutes) for name in PRESETS] == [
        (2, 64, 1),
        (4, 128, 5),
        (6, 256, 60),
    ]
    assert (
        "tiny (2 layers, width 64, a minute), small (4, 128, five minutes; the default) "
        "or base (6, 256, an hour)"
    ) in shown


def test_threads_without_a_lane_are_told_of(corpus, capsys):
    few = [*SMALL, "--steps", "1", "--quiet"]
    assert main(["pretrain", "text.txt", *few, "--threads", "3"]) == 0
    assert "2 of the 3 threads have a lane to work on; --lanes 3 gives each one" in capsys.readouterr().err
    assert main(["pretrain", "text.txt", *few, "--threads", "3", "--lanes", "3"]) == 0
    assert "lane" not in capsys.readouterr().err


def test_resume_takes_no_recipe(corpus, capsys):
    assert main(["pretrain", "text.txt", *SMALL, "--out", "run", "--quiet"]) == 0
    capsys.readouterr()
    assert main(["pretrain", "--resume", "run", "--lr", "0.1"]) == 2
    assert "--lr cannot be given with it" in capsys.readouterr().err
    assert main(["pretrain", "--resume", "run", "text.txt"]) == 2
    assert "TEXT cannot be given with it" in capsys.readouterr().err
    assert main(["pretrain", "--resume", "run"]) == 0  # finished: the table again
    assert "run folder: run" in capsys.readouterr().out


def test_a_loss_that_is_not_finite_is_status_1(corpus, capsys):
    arguments = shlex.split("--lr 1e38 --optimizer sgd --clip 0 --warmup 0 --out run")
    assert main(["pretrain", "text.txt", *SMALL, *arguments, "--quiet"]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("npformer pretrain: step ")
    assert "first not finite: " in last


def test_a_timing_that_is_not_finite_is_status_1_and_leaves_nothing(corpus, capsys):
    before = files(corpus.parent)
    small = [*SMALL, "--init-std", "1e30"]
    small[small.index("--steps")] = "--minutes"
    assert main(["pretrain", "text.txt", *small]) == 1
    assert "first not finite: " in capsys.readouterr().err.splitlines()[-1]
    assert files(corpus.parent) == before


@pytest.mark.parametrize(
    ("arguments", "one"),
    [
        (["pretrain", "none.txt"], True),
        (["generate", "none", "--prompt", "a", "--prompt", "b"], True),  # on a thread each
        (["generate", "none", "--prompt", "a"], False),
        (["generate", "none", "--stream"], False),
    ],
)
def test_blas_gets_its_threads_before_numpy_loads(corpus, arguments, one):
    program = (
        "import os, sys\n"
        "import npformer.cli\n"
        "assert 'numpy' not in sys.modules\n"
        f"npformer.cli.main({arguments})\n"
        "assert 'numpy' in sys.modules\n"
        "print(*(os.environ.get(name) for name in npformer.cli.BLAS_VARIABLES))\n"
    )
    environment = {k: v for k, v in ENVIRONMENT.items() if not k.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == 3 * ["1" if one else str(available_cores())]


def test_what_does_not_fit_the_memory_is_one_line_and_leaves_nothing(corpus, capsys):
    assert main(["pretrain", "text.txt", *SMALL, "--batch-size", str(10**14)]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("npformer pretrain: too large for the memory")
    assert files(corpus.parent) == {"text.txt", "runs"}


def test_steps_and_minutes_are_one_too_many(corpus, capsys):
    assert main(["pretrain", "text.txt", *SMALL, "--minutes", "1"]) == 2
    assert "expected --steps or --minutes, got both" in capsys.readouterr().err
