"""A run that begins with an earlier one: its tokenizer, form and weights, and then nothing more of it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from npformer.cli import main
from npformer.text import Document
from npformer.training import Trainer, fit, open_run, prepare, preset, read_start
from npformer.training.fill import load_model
from npformer.training.initial import Start

SIZES = {
    "layers": 1,
    "d_model": 8,
    "heads": 2,
    "d_ff": 16,
    "vocab_size": 60,
    "seq_len": 12,
    "batch_size": 5,
    "steps": 3,
}


@pytest.fixture
def earlier(make_run):
    run = make_run("earlier", steps=3)
    fit(run, threads=1, quiet=True, say=[].append)
    return run


def begin(run, text, *options):
    path = run.folder.parent / "text.txt"
    path.write_text(text)
    out = run.folder.parent / "later"
    arguments = [str(path), "--init", str(run.folder), "--out", str(out), "--quiet", *options]
    assert main(["pretrain", *arguments]) == 0
    return open_run(out)


def test_weights_and_tokenizer_are_taken_over_and_nothing_is_needed_again(earlier, text, tmp_path):
    model, tokenizer = load_model(earlier.folder)
    other = "".join(f"{line} {line.lower()}\n" for line in text.splitlines())
    run = begin(earlier, other, "--objective", "simcse", "--batch-size", "5", "--steps", "2")
    assert run.tokenizer.vocab == tokenizer.vocab
    assert json.loads((run.folder / "config.json").read_text())["init"] == str(earlier.folder)
    assert (run.config.layers, run.config.d_model, run.config.objective) == (1, 8, "simcse")
    shutil.rmtree(earlier.folder)
    again = open_run(run.folder)
    trainer = Trainer(again.config, again.tokenizer, again.train)
    trainer.start_from(again.initial)
    assert set(model.params) - set(trainer.model.params) == {n for n in model.params if n.startswith("mlm.")}
    for name, value in trainer.model.params.items():
        assert np.array_equal(value, model.params[name]), name


def test_a_resumed_run_is_that_of_one_piece(earlier, text, monkeypatch):
    calm = begin(earlier, text, "--objective", "simcse", "--batch-size", "5", "--steps", "4")
    stopped = earlier.folder.parent / "stopped"
    shutil.copytree(calm.folder, stopped)
    for path in (*(stopped / "checkpoints").glob("*"), stopped / "result.json", stopped / "metrics.jsonl"):
        path.unlink()
    (stopped / "metrics.jsonl").touch()
    shutil.rmtree(earlier.folder)
    fit(open_run(stopped), threads=1, quiet=True, say=[].append)
    for name in ("metrics.jsonl", "result.json"):
        assert (stopped / name).read_bytes() == (calm.folder / name).read_bytes()


def test_the_form_is_the_earlier_runs(earlier):
    start = read_start(earlier.folder)
    assert start.form("simcse", {})["d_ff"] == 16
    assert "norm_type" not in start.form("simcse", {})
    with pytest.raises(ValueError, match=f"^layers: expected 1, as {earlier.folder} has, got 2"):
        start.form("simcse", {"layers": 2})
    assert earlier.config.d_ff == 16
    unsaid = Start(earlier.folder, replace(earlier.config, d_ff=None, neighbour_heads=None), *start[2:])
    assert unsaid.form("simcse", {"d_ff": 16, "neighbour_heads": 1})["d_ff"] is None
    for name, expected in (("d_ff", 16), ("neighbour_heads", 1)):
        with pytest.raises(ValueError, match=f"^{name}: expected {expected}, as {earlier.folder} has, got 2"):
            unsaid.form("simcse", {name: 2})
    for objective in ("mlm+nsp", "2*mlm+0.5*nsp"):
        assert "norm_type" not in start.form(objective, {})
    with pytest.raises(ValueError, match="^embedding_std: the embeddings are those of .*, there is no use"):
        start.form("simcse", {"embedding_std": 0.3})


def test_another_kind_of_model_is_told_before_any_of_its_fields(make_run):
    run = make_run("decoder", steps=3, objective="clm", norm_type="rms_norm", activation="swiglu")
    fit(run, threads=1, quiet=True, say=[].append)
    told = r"expected an encoder \(made by --objective mlm, rtd, simcse, mlm\+nsp, mlm\+sop\), got a decoder"
    for objective in ("mlm", "simcse", "mlm+0.5*nsp"):
        with pytest.raises(ValueError, match=told):
            read_start(run.folder).form(objective, {"norm_type": "layer_norm"})
    with pytest.raises(ValueError, match="expected another objective than rtd, whose two models begin fresh"):
        read_start(run.folder).form("rtd", {})


def test_sentinels_that_the_earlier_vocabulary_lacks_are_missed(make_run, text):
    run = make_run("earlier", steps=3, objective="prefix", positions="learned")
    fit(run, threads=1, quiet=True, say=[].append)
    start = read_start(run.folder)
    config = preset("tiny", **{**SIZES, **start.form("t5", {}), "objective": "t5"})
    with pytest.raises(ValueError, match="expected a run of the objective t5, with . sentinels"):
        start.weights(config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": "clm"}, r"earlier: expected a decoder \(made by --objective clm\), got an encoder"),
        ({"tokenizer": "char"}, "^tokenizer: expected wordpiece, as .*earlier has, got char"),
        ({"d_model": 16}, r"embeddings.token: expected shape \(60, 16\), got \(60, 8\)"),
        ({"heads": 4}, "^n_heads: expected 2, as .*earlier has, got 4"),
        ({"norm": "post"}, "^norm: expected pre, as .*earlier has, got post"),
        ({"activation": "relu"}, "^activation: expected gelu, as .*earlier has, got relu"),
        ({"positions": "learned"}, "^positions: expected rotary, as .*earlier has, got learned"),
        ({"rotary_base": 50.0}, "^rotary_base: expected 100.0, as .*earlier has, got 50.0"),
        ({"layers": 2}, "^n_layers: expected 1, as .*earlier has, got 2"),
        ({"d_ff": 24}, r"encoder.0.feed_forward.up.weight: expected shape"),
    ],
)
def test_another_form_is_refused_in_one_line(earlier, text, changes, message):
    config = preset("tiny", **{**SIZES, **changes})
    with pytest.raises(ValueError, match=message):
        prepare([Document("text", text)], config, start=read_start(earlier.folder))


def test_a_run_that_has_not_finished_is_refused(make_run):
    run = make_run()
    with pytest.raises(ValueError, match="the run has not finished"):
        read_start(run.folder)


def test_a_damaged_file_of_weights_is_named(earlier, text):
    run = begin(earlier, text, "--steps", "2")
    (run.folder / "initial.npz").write_bytes(b"PK and nothing")
    with pytest.raises(ValueError, match=r"initial.npz: damaged"):
        run.initial  # noqa: B018


def test_what_the_earlier_model_lacks_begins_as_in_any_run(earlier, text):
    """From contrastive learning back to masked tokens: the head is new."""
    simcse = begin(earlier, text, "--objective", "simcse", "--batch-size", "5", "--steps", "2")
    config = preset("tiny", **SIZES)
    p = prepare([Document("text", text)], config, start=read_start(simcse.folder))
    trainer = Trainer(config.with_steps(3), p.tokenizer, p.train)
    fresh = trainer.model.params["mlm.transform.weight"].copy()
    trainer.start_from(p.initial)
    assert np.array_equal(trainer.model.params["mlm.transform.weight"], fresh)
    assert np.array_equal(
        trainer.model.params["embeddings.token"], load_model(simcse.folder)[0].params["embeddings.token"]
    )
