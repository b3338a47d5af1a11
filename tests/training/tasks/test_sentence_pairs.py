"""Runs with pairs: documents are kept apart, and what is drawn depends on step and sequence alone."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from npformer.text import CorpusError, Document, TextFiles, document_starts
from npformer.training import RunConfig, Trainer, create_run, draws, fit, open_run, prepare, preset, table
from npformer.training.tasks import TASKS, masked
from npformer.training.tasks.sentence_pairs import partners, words_of

SIZE = {"layers": 1, "d_model": 8, "heads": 2, "vocab_size": 80, "seq_len": 24, "batch_size": 16, "steps": 4}
SIZE |= {"minutes": None, "tokenizer": "char", "lr": 1e-2}
LETTERS = "abcdefghijklmnop"


def documents(n=16, sentences=40):
    """Document k has words of its letter alone, and sentence i ends with its number."""
    rng = np.random.default_rng(0)
    return [
        Document(c, " ".join(f"{c.upper()}{c * rng.integers(1, 6)} {i}." for i in range(sentences)))
        for c in LETTERS[:n]
    ]


def prepared(objective="mlm+nsp", corpus=None, **changes):
    return prepare(corpus or documents(), RunConfig(**{**SIZE, "objective": objective, **changes}))


def trainer(p):
    return Trainer(p.config.with_steps(p.config.steps), p.tokenizer, p.train)


def test_a_partner_is_any_row_of_another_document_and_never_of_the_same():
    starts = np.array([0, 3, 4, 9])
    document = np.repeat([0, 1, 2], np.diff(starts))
    n = 30_000
    for row in range(9):
        found = partners(np.full(n, row), starts, np.random.default_rng(row))
        assert (document[found] != document[row]).all()
        counts = np.bincount(found, minlength=9)[document != document[row]]
        share = 1 / counts.size
        assert np.abs(counts / n - share).max() <= 4 * np.sqrt(share * (1 - share) / n)


@pytest.mark.parametrize("objective", ["mlm+nsp", "mlm+sop"])
def test_labels_told_from_the_text(objective):
    p = prepared(objective, batch_size=256, mask_rate=0.1)
    of_run, special = trainer(p), p.tokenizer.special_ids
    labels, told = [], 0
    for step in range(4):
        batch, _ = of_run.batch(step)
        ids, words = batch.ids.copy(), batch.of[:, 0]
        ids.reshape(-1)[batch.at[words]] = batch.targets[words]  # what was hidden
        assert batch.at[~words].tolist() == [ids.shape[1] * i for i in range(len(ids))]
        labels += batch.targets[~words].tolist()
        for row, mask, segments, label in zip(
            ids, batch.mask, batch.segment_ids, batch.targets[~words], strict=True
        ):
            letters = [set(), set()]
            for token, side in zip(row[mask], segments[mask], strict=True):
                if token not in special:
                    letters[side] |= set(p.tokenizer.vocab[token].lower()) & set(LETTERS)
            assert max(map(len, letters)) <= 1, "a segment is of one document"
            if all(letters):  # not the end of a sentence, a number, alone
                assert (letters[0] == letters[1]) == (label or objective == "mlm+sop")
                told += 1
    assert told > 0.8 * len(labels)
    assert abs(np.mean(labels) - 0.5) <= 4 * np.sqrt(0.25 / len(labels))


def test_the_parts_of_a_document_around_what_is_held_out_are_one():
    p = prepared(corpus=documents(2, 200))
    starts = document_starts(p.train, p.tokenizer.cls_id)
    assert starts.size == 3
    vocab = np.array(p.tokenizer.vocab)
    for c, a, b in zip("ab", starts[:-1], starts[1:], strict=True):
        text = set("".join(vocab[p.train.ids[a:b][p.train.ids[a:b] >= 5]]).lower()) & set(LETTERS)
        assert text == {c}


def test_equal_runs_have_equal_pairs_however_they_are_made():
    p = prepared()
    whole = trainer(p)
    pieces = trainer(prepared(batch_size=4, accumulate=4))
    for step in (0, 3):
        batch, chosen = whole.batch(step)
        parts, also = pieces.batch(step)
        assert np.array_equal(chosen, also)
        assert np.array_equal(batch.n_targets, parts.n_targets)
        assert np.array_equal(batch.extents, parts.extents)
        places = np.array([3, 9, 15])
        for x, y in zip(batch.take(places), parts.take(places), strict=True):
            assert np.array_equal(x, y)
    other = trainer(prepared(seed=1))
    assert not np.array_equal(other.batch(0)[0].ids, whole.batch(0)[0].ids)


def test_a_row_has_another_partner_whenever_it_comes(monkeypatch):
    monkeypatch.setattr(draws, "sequences_of_step", lambda seed, step, batch_size, n: np.arange(batch_size))
    of_step = trainer(prepared()).rows_of_step
    (rows, others), (again, more) = of_step(0).T, of_step(1).T
    assert np.array_equal(rows, again)
    assert (others != more).sum() > 8
    assert np.array_equal(of_step(0)[:, 1], others)


def test_a_run_says_what_each_part_achieved(tmp_path, monkeypatch):
    run = create_run(tmp_path / "run", prepared("mlm+0.5*nsp", steps=6, eval_every=3))
    assert open_run(run.folder).config.objective == "mlm+0.5*nsp"
    counted, true = [], masked.counting_models
    monkeypatch.setattr(masked, "counting_models", lambda *a: counted.append(a[0]) or true(*a))
    result = fit(run, threads=1, quiet=True, say=[].append)
    (words,) = counted  # without the marks between sentences, which no segment has
    assert words.mask[:, 1:].any()
    assert not ((words.ids[:, 1:] == run.tokenizer.sep_id) & words.mask[:, 1:]).any()
    assert [m["name"] for m in result["models"]][-1] == "encoder"
    coin, lengths, encoder = result["pairs"]
    assert coin["accuracy"] == 0.5
    assert 0.5 < lengths["accuracy"] < 1
    assert lengths["positions"] == coin["positions"]
    assert coin["positions"] == encoder["positions"] == len(run.held_out.ids) * result["passes"]
    lines = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    for line, prefix in ((lines[0], ""), (lines[3], "held_out_"), (lines[-1], "held_out_")):
        parts = [line[f"{prefix}loss_{name}"] for name in ("mlm", "nsp")]
        assert line[f"{prefix}loss"] == pytest.approx(sum(parts), rel=1e-12)
        assert line[f"{prefix}accuracy"] == line[f"{prefix}accuracy_mlm"]
        assert 0.2 < parts[1] < 0.6  # half of log 2, about
    assert 0.5 < encoder["nats"] < 1.0  # not weighted
    assert table(result).splitlines()[-4].startswith("held-out next sentences")
    other = trainer(prepared("mlm+nsp", steps=6))
    other.start_from_text()
    unweighted = other.update(0).of_parts
    assert lines[0]["loss_nsp"] == 0.5 * unweighted["loss_nsp"]
    assert lines[0]["loss_mlm"] == unweighted["loss_mlm"]


def test_a_rule_by_length_is_learnt_on_the_training_part():
    texts = [Document(c, " ".join(f"{c.upper()}. {c.upper()}{7 * c}." for _ in range(60))) for c in LETTERS]
    p = prepared("mlm+sop", corpus=texts)  # every row is a short sentence and a long one
    task = TASKS["mlm+sop"]
    held_out = task.evaluation(p.config, p.tokenizer, p.held_out)
    found = task.by_length(p, held_out)
    assert found["accuracy"] > 0.95
    assert found["nats"] < 0.1


def test_what_is_held_out_is_the_same_for_every_model():
    p = prepared()
    batches = [
        TASKS["mlm+nsp"].evaluation(config, p.tokenizer, p.held_out).batches
        for config in (p.config, replace(p.config, objective="mlm+2*nsp", seed=5, mask_rate=0.9))
    ]
    for one, other in zip(*batches, strict=True):
        for x, y in zip(one, other, strict=True):
            assert np.array_equal(x, y)
        ordinary = (one.ids >= 5).sum() + (one.ids == p.tokenizer.mask_id).sum()
        share = words_of(one).n_targets / ordinary
        assert abs(share - 0.15) <= 4 * np.sqrt(0.15 * 0.85 / ordinary)


ONE = "next-sentence prediction takes every other second .* from another document, .* one has (one|none)"


def test_one_document_is_refused_and_blank_lines_make_several(tmp_path, monkeypatch):
    text = "\n".join(document.text for document in documents(3))
    path = tmp_path / "text.txt"
    path.write_text(text)
    task = TASKS["mlm+nsp"]
    with pytest.raises(CorpusError, match=ONE) as error:
        prepared(corpus=task.read([str(path)], None))
    assert "\n" not in str(error.value)
    monkeypatch.setattr("npformer.text.streamed_split.LARGEST_BLOCK", 40)
    with pytest.raises(CorpusError, match=ONE):
        prepared(corpus=TextFiles([(str(path), True)]))
    assert len(prepared("mlm+sop", corpus=task.read([str(path)], None)).train.ids) > 10
    path.write_text("\n\n".join(document.text for document in documents()))
    for corpus in (task.read([str(path)], None), TextFiles([(str(path), True)])):
        p = prepared(corpus=corpus)
        assert document_starts(p.train, p.tokenizer.cls_id).size > 10
        assert p.sources == [str(path)]


def test_documents_of_one_token_make_no_row_and_are_said_to():
    with pytest.raises(CorpusError, match="expected documents of two tokens or more"):
        prepared("mlm+sop", corpus=[Document(c, c) for c in LETTERS])


@pytest.mark.parametrize("tail", [None, 0.2])
def test_of_one_file_every_objective_holds_out_the_same_text(tmp_path, tail):
    path = tmp_path / "text.txt"
    lines = [document.text.replace(". ", ".\n") for document in documents()]
    path.write_text("\n\n".join("   " * (i % 2) + text for i, text in enumerate(lines)))
    texts = {}
    for objective in ("mlm", "mlm+nsp", "mlm+sop"):
        p = prepared(objective, corpus=TASKS[objective].read([str(path)], None), held_out_tail=tail)
        vocab = p.tokenizer.vocab
        texts[objective] = "".join(vocab[i] for i in p.held_out.ids[p.held_out.ids >= 5].tolist())
    assert texts["mlm"] == texts["mlm+nsp"] == texts["mlm+sop"]
    several = [Document("f", "A. B.\n\nC. D.\n" * 9), Document("g", "E. F.\n\nG. H.\n" * 9)]
    _, held_out = TASKS["mlm+nsp"].split(several, 0.2, 0, tail is not None)
    assert {name for name, _ in held_out} <= {"f", "g"}


@pytest.mark.parametrize("objective", ["mlm+nsp", "mlm+sop"])
def test_words_of_pairs_are_hidden_whole(objective):
    words = [f"{a}{b}{c}" for a in "xyz" for b in "uvw" for c in "rst"]
    rng = np.random.default_rng(0)
    texts = [
        Document(c, " ".join(" ".join(rng.choice(words, 5)).capitalize() + "." for _ in range(20)))
        for c in LETTERS
    ]
    config = {"tokenizer": "wordpiece", "vocab_size": 30, "mask_rate": 0.3}
    p = prepared(objective, corpus=texts, masking="whole_word", **config)
    continues = p.tokenizer.continues
    batch, _ = trainer(p).batch(0)
    ids, hidden = batch.ids.copy(), np.zeros(batch.ids.size, dtype=bool)
    at = batch.at[batch.of[:, 0]]
    hidden[at] = True
    ids.reshape(-1)[at] = batch.targets[batch.of[:, 0]]
    goes_on = np.array(continues)[ids.reshape(-1)]
    goes_on &= np.roll(ids.reshape(-1), 1) >= 5  # not behind a mark: there a word was cut
    assert goes_on.sum() > 60
    assert (hidden[goes_on] == np.roll(hidden, 1)[goes_on]).all()
    span = trainer(prepared(objective, corpus=texts, masking="span", **config)).batch(0)[0]
    token = trainer(prepared(objective, corpus=texts, **config)).batch(0)[0]
    assert np.array_equal(span.mask, token.mask)  # the same pairs
    assert not np.array_equal(span.at, token.at)
    usual = replace(p.config, masking="token")
    judged = [TASKS[objective].evaluation(c, p.tokenizer, p.held_out) for c in (p.config, usual)]
    assert np.array_equal(*(found.batches[0].at for found in judged))


def test_fields_without_use_are_refused():
    with pytest.raises(ValueError, match=r"label_smoothing: the objective mlm\+nsp has no use for it"):
        preset("tiny", objective="mlm+nsp", steps=3, label_smoothing=0.1)
    config = preset("tiny", objective="mlm+0.5*nsp", steps=3)
    of_model = config.task.model_config(config, 100)
    assert (of_model.n_segments, of_model.pooler, of_model.pair_head) == (2, True, True)
