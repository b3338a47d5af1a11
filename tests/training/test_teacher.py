"""A run with a teacher: its tokenizer, what is refused, the same bits after an interruption."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.objectives import Distillation
from npformer.text import Document
from npformer.training import Trainer, create_run, fit, open_run, prepare, preset, student_of
from npformer.training.trainer import Trainer as TrainerClass

SIZE = {"layers": 1, "heads": 2, "seq_len": 16, "batch_size": 8, "steps": 4, "vocab_size": 60}


def run_of(folder, text, **changes):
    config = preset("tiny", **{"d_model": 16, **SIZE, **changes})
    return create_run(folder, prepare([Document("text", text)], config))


@pytest.fixture(scope="module")
def teacher(tmp_path_factory, module_text):
    run = run_of(tmp_path_factory.mktemp("teacher") / "run", module_text)
    fit(run, threads=1, quiet=True, say=[].append)
    return str(run.folder)


@pytest.fixture(scope="module")
def module_text():
    return "".join(f"the cat number {i} sat on mat {i * 7 % 13}, and saw dog {i % 5}.\n" for i in range(90))


def student(folder, text, teacher, **changes):
    given = {"d_model": 8, **{k: v for k, v in SIZE.items() if k != "vocab_size"}, **changes}
    config = preset("tiny", **student_of(teacher, given))
    return create_run(folder, prepare([Document("other", text[: len(text) * 2 // 3])], config))


def test_the_student_has_the_teachers_tokenizer_and_is_judged_without_it(tmp_path, module_text, teacher):
    run = student(tmp_path / "run", module_text, teacher, alpha=0.8, temperature=3.0)
    assert run.tokenizer.vocab == open_run(teacher).tokenizer.vocab
    trainer = Trainer(run.config, run.tokenizer, run.train)
    assert isinstance(trainer.objective, Distillation)
    assert (trainer.objective.alpha, trainer.objective.temperature) == (0.8, 3.0)
    usual = student(tmp_path / "usual", module_text, teacher)
    objective = Trainer(usual.config, usual.tokenizer, usual.train).objective
    assert (objective.alpha, objective.temperature) == (0.5, 2.0)
    assert trainer.objective.teacher.params.flat.dtype == trainer.model.params.flat.dtype == np.float32
    held_out = run.config.task.evaluation(run.config, run.tokenizer, run.held_out)
    assert not isinstance(held_out.objective, Distillation)


def test_threads_and_an_interruption_change_no_bit(tmp_path, module_text, teacher, monkeypatch):
    runs = [student(tmp_path / name, module_text, teacher, checkpoint_every=1) for name in "ab"]
    fit(runs[0], threads=1, quiet=True, say=[].append)
    update = TrainerClass.update

    def fails_once(self, step, executor=None):
        if step == 2:
            raise MemoryError
        return update(self, step, executor)

    monkeypatch.setattr(TrainerClass, "update", fails_once)
    with pytest.raises(MemoryError):
        fit(runs[1], threads=2, quiet=True, say=[].append)
    monkeypatch.undo()
    fit(open_run(runs[1].folder), threads=2, quiet=True, say=[].append)
    for name in ("metrics.jsonl", "result.json", "model/model.npz"):
        assert (runs[0].folder / name).read_bytes() == (runs[1].folder / name).read_bytes(), name


def test_what_does_not_go_with_the_teacher_is_refused(tmp_path, module_text, teacher):
    with pytest.raises(ValueError, match="vocab_size: the vocabulary is that of the teacher"):
        student_of(teacher, {"vocab_size": 100})
    with pytest.raises(ValueError, match="tokenizer: expected 'wordpiece', as the teacher .* got 'char'"):
        student_of(teacher, {"tokenizer": "char"})
    with pytest.raises(FileNotFoundError, match="none: no such folder"):
        student_of("none", {})
    unfinished = run_of(tmp_path / "unfinished", module_text)
    with pytest.raises(ValueError, match="the run has not finished"):
        student_of(str(unfinished.folder), {})

    def trainer_of(run):
        return Trainer(run.config.with_steps(4), run.tokenizer, run.train)

    for name, message, changes in (
        ("long", "seq_len: expected at most 16, what the teacher .* reads, got 24", {"seq_len": 24}),
        ("clm", "expected a model for --objective clm, got one of the kind Encoder", {"objective": "clm"}),
    ):
        with pytest.raises(ValueError, match=message):
            student(tmp_path / name, module_text, teacher, **changes)
        assert not (tmp_path / name).exists()  # refused before anything is written
    vectors = run_of(tmp_path / "vectors", module_text, objective="simcse", dropout=0.1, steps=1)
    fit(vectors, threads=1, quiet=True, say=[].append)
    with pytest.raises(ValueError, match="got one of the kind Encoder without a head for masked tokens"):
        student(tmp_path / "headless", module_text, str(vectors.folder))
    with pytest.raises(ValueError, match="teacher: the objective seq2seq has no use for it"):
        preset("tiny", objective="seq2seq", teacher="there")
    with pytest.raises(ValueError, match="alpha: without a teacher there is no use for it"):
        preset("tiny", alpha=0.7)
    with pytest.raises(ValueError, match=r"alpha: expected a number in \[0, 1\], got 2"):
        preset("tiny", alpha=2, teacher="there")
    run = student(tmp_path / "run", module_text, teacher)
    run.tokenizer.vocab[-1] = "##other"
    with pytest.raises(ValueError, match="expected the vocabulary of this run, got another"):
        trainer_of(run)
