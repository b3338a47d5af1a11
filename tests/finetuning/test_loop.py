"""The loop of fine-tuning: it learns, keeps the best, repeats itself bit for bit, and loses nothing."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace

import numpy as np
import pytest

from npformer.finetuning import KINDS, Recipe, finetune, load_task_model, loop, predict
from npformer.finetuning.parts import Judged
from npformer.models import EncoderDecoder
from npformer.text import CorpusError
from npformer.text.labelled import Example, Labelled
from npformer.training import Interruption, TrainingStopped
from npformer.training.metrics import read_metrics

QUICK = {"epochs": 12, "lr": 1e-2, "batch_size": 8, "dropout": 0.0}


def run(encoder, tokenizer, examples, recipe, out, **options):
    return finetune(
        encoder, tokenizer, examples[:40], examples[40:], recipe, out, quiet=True, **{"threads": 1, **options}
    )


@pytest.mark.parametrize(
    ("task", "fixture", "score", "least"),
    [
        ("classify", "classes", "accuracy", 0.9),
        ("tag", "tagged", "f1", 0.9),
        ("pair", "numbered", "accuracy", 0.8),
        ("regress", "numbered", "pearson", 0.8),
    ],
)
def test_it_learns_what_there_is_to_learn(encoder, tokenizer, tmp_path, request, task, fixture, score, least):
    examples = request.getfixturevalue(fixture)
    if task == "pair":
        examples = [e._replace(label="shared" if e.label else "none") for e in examples]
    result = run(encoder, tokenizer, examples, Recipe(task, **QUICK), tmp_path / "out")
    assert result["score"] == score
    assert result["dev"][score] > least
    assert result["dev"][score] >= result["baseline"][score]
    model, _, task_of_model = load_task_model(tmp_path / "out")
    assert task_of_model.name == task
    assert result["parameters"] == model.params.size
    assert json.loads((tmp_path / "out" / "result.json").read_text()) == result


@pytest.mark.parametrize(
    ("task", "fixture", "score", "least", "pooling"),
    [
        ("classify", "classes", "accuracy", 0.85, "last"),
        pytest.param("pair", "numbered", "accuracy", 0.7, "last", marks=pytest.mark.thorough),
        pytest.param("tag", "tagged", "f1", 0.9, "mean", marks=pytest.mark.thorough),
        pytest.param("regress", "numbered", "pearson", 0.5, "mean", marks=pytest.mark.thorough),
        pytest.param("similarity", "numbered", "pearson", 0.3, "mean", marks=pytest.mark.thorough),
    ],
)
def test_a_decoder_learns_it_too(
    decoder, tokenizer, tmp_path, request, task, fixture, score, least, pooling
):
    examples = request.getfixturevalue(fixture)
    if task == "pair":
        examples = [e._replace(label="shared" if e.label else "none") for e in examples]
    if task == "similarity":
        alike = [("cat" in e.texts[0]) == ("cat" in e.texts[1]) for e in examples]
        examples = [e._replace(label=float(a)) for e, a in zip(examples, alike, strict=True)]
    recipe = Recipe(task, **{**QUICK, "epochs": 20}, pooling=pooling)
    result = run(decoder, tokenizer, examples, recipe, tmp_path / "out")
    assert result["dev"][score] > least
    model, _, task_of_model = load_task_model(tmp_path / "out")
    texts = [e.words if task == "tag" else e.texts[0] if task == "classify" else e.texts for e in examples]
    said = predict(model, tokenizer, task_of_model, texts[40:])
    found = KINDS[task].scores(examples[40:], said, task_of_model.labels)
    assert found[score] == pytest.approx(result["dev"][score], abs=1e-5)


def test_texts_that_are_alike_come_to_have_like_vectors(encoder, tokenizer, numbered, tmp_path):
    examples = [e._replace(label=float(("cat" in e.texts[0]) == ("cat" in e.texts[1]))) for e in numbered]
    result = run(encoder, tokenizer, examples, Recipe("similarity", **QUICK), tmp_path / "out")
    assert result["dev"]["pearson"] > 0.5
    assert result["dev"]["rmse"] < 0.85 * result["baseline"]["rmse"]


def test_eight_texts_are_learnt_by_heart(writer, tokenizer, turned, tmp_path):
    task, model = writer
    fields = {"lr": 1e-2, "warmup": 0.2, "batch_size": 2, "dropout": 0.0}
    fields["epochs"] = 20 if task == "seq2seq" else 10
    recipe = Recipe(task, **fields, choose_by="perplexity", rouge_examples=1)
    options = {"test": turned[:8], "quiet": True, "threads": 1}
    result = finetune(model, tokenizer, turned[:8], turned[:8], recipe, tmp_path / "out", **options)
    assert result["test"]["rougeL"] == result["test"]["rouge2"] == result["test"]["rouge1"] == 1.0
    assert result["dev"]["perplexity"] < 1.7 < result["baseline"]["perplexity"]
    assert result["test_baseline"]["rougeL"] < 0.9
    tuned, _, of_model = load_task_model(tmp_path / "out")
    for order, threads in ((range(8), 1), ([5, 2, 7, 0, 1, 6, 3, 4], 2), ([6], 1)):
        sources, targets = zip(*(turned[i].texts for i in order), strict=True)
        said = predict(tuned, tokenizer, of_model, sources, threads=threads)
        assert tuple(one.label for one in said) == targets


@pytest.mark.parametrize(("task", "score"), [("seq2seq", "rougeL"), ("clm", "perplexity")])
def test_texts_are_chosen_by_what_suits_the_task(request, tokenizer, turned, tmp_path, task, score):
    model = request.getfixturevalue("encoder_decoder" if task == "seq2seq" else "decoder")
    told = []
    recipe = Recipe(task, epochs=1, rouge_examples=3)
    options = {"threads": 1, "say": told.append}
    result = finetune(model, tokenizer, turned[:16], turned[16:], recipe, tmp_path / "out", **options)
    assert result["score"] == score
    assert "dev: ROUGE is of 3 of its 8 examples, perplexity of all" in told
    assert result["by_label"] == {}
    with pytest.raises(ValueError, match="labels: those of .* are texts"):
        finetune(model, tokenizer, turned, turned, recipe, tmp_path / "other", labels=["x"])
    alone = [Example(("red",), None, None, "dev.tsv:3")]
    with pytest.raises(CorpusError, match=r"dev.tsv:3: expected a source and a target, got \('red',\)"):
        finetune(model, tokenizer, turned, alone, recipe, tmp_path / "other")


@pytest.mark.parametrize("name", ["perplexity", "rmse"])
def test_of_some_scores_the_lowest_is_the_best(request, tokenizer, tmp_path, monkeypatch, name):
    values, params = iter([5.0, 2.0, 2.0, 3.0, 4.0]), []

    def judge(self, part):
        params.append(self.model.params.flat.copy())
        return Judged({name: next(values)}, {})

    monkeypatch.setattr(loop._Run, "judge", judge)
    task, *fixtures = ("regress", "encoder", "numbered") if name == "rmse" else ("clm", "decoder", "turned")
    model, examples = map(request.getfixturevalue, fixtures)
    recipe = Recipe(task, epochs=9, batch_size=8, patience=3, choose_by=name)
    result = finetune(model, tokenizer, examples, examples, recipe, tmp_path / "out", quiet=True, threads=1)
    assert (result["epoch"], result["epochs"], result["dev"][name]) == (2, 5, 2.0)
    np.testing.assert_array_equal(load_task_model(tmp_path / "out")[0].params.flat, params[1])


def test_of_equal_rouge_the_lower_perplexity_is_kept(
    encoder_decoder, tokenizer, turned, tmp_path, monkeypatch
):
    values = [(0.0, 30.0), (0.0, 20.0), (0.0, 25.0), (0.5, 90.0), (0.5, 95.0)]
    ahead = iter(values[:3] + values)  # three epochs, then five

    def judge(self, part):
        return Judged(dict(zip(("rougeL", "perplexity"), next(ahead), strict=True)), {})

    monkeypatch.setattr(loop._Run, "judge", judge)
    epochs = []
    for n in (3, 5):
        recipe = Recipe("seq2seq", epochs=n)
        out = tmp_path / str(n)
        result = finetune(encoder_decoder, tokenizer, turned, turned, recipe, out, quiet=True, threads=1)
        epochs.append(result["epoch"])
    assert epochs == [2, 4]


def test_what_is_written_has_the_same_bits_on_every_number_of_threads(writer, tokenizer, turned, tmp_path):
    task, model = writer
    recipe = Recipe(task, epochs=2, batch_size=8, layer_decay=0.7)
    results = []
    for threads in (1, 2):
        out = tmp_path / str(threads)
        result = finetune(
            model, tokenizer, turned[:16], turned[16:], recipe, out, quiet=True, threads=threads
        )
        results.append((result, load_task_model(out)[0].params.flat.tobytes()))
    assert results[0] == results[1]


def test_the_bits_do_not_depend_on_threads_and_repeat(encoder, tokenizer, classes, tmp_path):
    recipe = Recipe("classify", epochs=2, batch_size=8, class_weights="balanced", layer_decay=0.7)
    flats = []
    for name, threads in (("a", 1), ("b", 2), ("c", 2)):
        run(encoder, tokenizer, classes, recipe, tmp_path / name, threads=threads)
        flats.append(load_task_model(tmp_path / name)[0].params.flat.copy())
    np.testing.assert_array_equal(flats[0], flats[1])
    np.testing.assert_array_equal(flats[1], flats[2])
    other = Recipe("classify", epochs=2, batch_size=8, class_weights="balanced", layer_decay=0.7, seed=1)
    run(encoder, tokenizer, classes, other, tmp_path / "d")
    assert not np.array_equal(flats[0], load_task_model(tmp_path / "d")[0].params.flat)


def test_the_model_of_the_best_epoch_is_kept(encoder, tokenizer, classes, tmp_path, monkeypatch):
    scores = iter([0.2, 0.7, 0.7, 0.6, 0.5, 0.9])
    params = []

    def judge(self, part):
        params.append(self.model.params.flat.copy())
        return Judged({"accuracy": next(scores)}, {})

    monkeypatch.setattr(loop._Run, "judge", judge)
    recipe = Recipe("classify", epochs=6, batch_size=8, patience=3)
    result = run(encoder, tokenizer, classes, recipe, tmp_path / "out")
    assert (result["epoch"], result["epochs"]) == (2, 5)  # three epochs without a better one
    kept = load_task_model(tmp_path / "out")[0].params.flat
    np.testing.assert_array_equal(kept, params[1])
    assert not np.array_equal(kept, params[2])


@pytest.mark.parametrize("stack", ["encoder", "decoder"])
def test_layers_below_learn_more_slowly(tokenizer, classes, tmp_path, request, stack):
    pretrained = request.getfixturevalue(stack)
    recipe = Recipe("classify", epochs=1, dropout=0.0, weight_decay=0.0, layer_decay=1e-3, warmup=0.0)
    run(pretrained, tokenizer, classes, recipe, tmp_path / "out")
    params = load_task_model(tmp_path / "out")[0].params
    names = [f"{stack}.{i}.feed_forward.up.weight" for i in range(2)]
    low, high = (abs(params[name] - pretrained.params[name]).max() for name in names)
    assert 0 < low < 1e-2 * high


@pytest.mark.parametrize("halves", [(1, 2), (2, 1)])
def test_the_layers_below_are_those_of_their_own_half(encoder_decoder, tokenizer, turned, tmp_path, halves):
    depths = dict(zip(("n_encoder_layers", "n_decoder_layers"), halves, strict=True))
    model = EncoderDecoder(replace(encoder_decoder.config, **depths), np.random.default_rng(5))
    fields = {"epochs": 1, "batch_size": 24, "dropout": 0.0, "weight_decay": 0.0, "warmup": 0.0, "lr": 1e-2}
    recipe = Recipe("seq2seq", layer_decay=0.01, **fields)
    run(model, tokenizer, [*turned, *turned], recipe, tmp_path / "out")
    params = load_task_model(tmp_path / "out")[0].params

    def moved(layer):
        name = f"{layer}.feed_forward.up.weight"
        return abs(params[name] - model.params[name]).max()

    tops = [moved(f"{half}.{n - 1}") for half, n in zip(("encoder", "decoder"), halves, strict=True)]
    assert min(tops) > 0.5 * max(tops)  # of one rate
    assert moved("encoder.0" if halves[0] == 2 else "decoder.0") < 0.1 * max(tops)


def test_metrics_have_a_line_for_each_step_and_epoch(encoder, tokenizer, classes, tmp_path):
    run(encoder, tokenizer, classes, Recipe("classify", epochs=2, batch_size=16), tmp_path / "out")
    lines = read_metrics(tmp_path / "out" / "metrics.jsonl")
    assert [line["step"] for line in lines if "step" in line] == [1, 2, 3, 4, 5, 6]
    assert [line["epoch"] for line in lines if "epoch" in line] == [1, 2]
    assert lines[0]["lr"] < lines[1]["lr"]


def test_a_test_file_is_scored_by_the_kept_model(encoder, tokenizer, classes, tmp_path):
    recipe = Recipe("classify", **QUICK)
    result = run(encoder, tokenizer, classes, recipe, tmp_path / "out", test=classes[40:50])
    model, _, task = load_task_model(tmp_path / "out")
    said = predict(model, tokenizer, task, [example.texts[0] for example in classes[40:50]])
    right = np.mean([one.label == e.label for one, e in zip(said, classes[40:50], strict=True)])
    assert result["test"]["accuracy"] == right


def test_an_unknown_label_is_refused_before_anything_is_written(encoder, tokenizer, classes, tmp_path):
    strange = [*classes, Example(("red cat",), "shade", None, "dev.tsv:7")]
    with pytest.raises(CorpusError, match="dev.tsv:7: expected a label of training .*got 'shade'"):
        run(encoder, tokenizer, strange, Recipe("classify"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    run(encoder, tokenizer, strange, Recipe("classify", epochs=1), tmp_path / "out", labels=["shade"])
    assert load_task_model(tmp_path / "out")[2].labels == ("colour", "none", "shade")


def test_what_is_no_example_is_refused(encoder, tokenizer, classes, tmp_path):
    data, out = (encoder, tokenizer, classes), tmp_path / "out"
    read = Labelled(classes, "tsv", "", [], "")
    with pytest.raises(TypeError, match=r"^finetune: dev: expected Examples .* got a list$"):
        finetune(*data, read, Recipe("classify"), out)
    with pytest.raises(CorpusError, match="^finetune: test: expected an example, got none$"):
        finetune(*data, classes, Recipe("classify"), out, test=[])
    with pytest.raises(TypeError, match="^finetune: recipe: expected a Recipe, got 'classify'$"):
        finetune(*data, classes, "classify", out)
    assert not out.exists()


def test_one_label_is_nothing_to_learn(encoder, tokenizer, classes, tmp_path):
    alike = [example._replace(label="same") for example in classes]
    with pytest.raises(
        CorpusError, match="train.tsv:1: expected two labels at least, got 'same' in every row"
    ):
        run(encoder, tokenizer, alike, Recipe("classify"), tmp_path / "out")


def test_labels_that_may_come_are_names_each_once(encoder, tokenizer, classes, numbered, tmp_path):
    recipe = Recipe("classify", epochs=1)
    run(encoder, tokenizer, classes, recipe, tmp_path / "out", labels=["more", "none", "more"])
    assert load_task_model(tmp_path / "out")[2].labels == ("colour", "none", "more")
    with pytest.raises(ValueError, match="labels: those of regress are numbers"):
        run(encoder, tokenizer, numbered, Recipe("regress"), tmp_path / "other", labels=["x"])


def params_after(encoder, tokenizer, examples, out, **fields):
    run(encoder, tokenizer, examples, Recipe("classify", **{"epochs": 1, "batch_size": 8, **fields}), out)
    return load_task_model(out)[0].params.flat.copy()


@pytest.mark.parametrize(
    ("field", "value"),
    [("dropout", 0.3), ("weight_decay", 0.5), ("class_weights", "balanced"), ("clip", 1e-3), ("lanes", 3)],
)
def test_what_a_recipe_says_is_done(encoder, tokenizer, classes, tmp_path, field, value):
    base = {"dropout": 0.0, "weight_decay": 0.0}
    plain = params_after(encoder, tokenizer, classes, tmp_path / "plain", **base)
    changed = params_after(encoder, tokenizer, classes, tmp_path / "changed", **{**base, field: value})
    assert not np.array_equal(plain, changed)


def test_dropout_is_drawn_in_training_alone(encoder, tokenizer, classes, tmp_path, monkeypatch):
    drawn = []
    true = loop.gradient

    def gradient(*arguments, **options):
        drawn.append([g.random() for g in options["generators"]])
        return true(*arguments, **options)

    monkeypatch.setattr(loop, "gradient", gradient)
    recipe = Recipe("classify", epochs=2, batch_size=40, dropout=0.2)
    run(encoder, tokenizer, classes, recipe, tmp_path / "out")
    assert [len(of_step) for of_step in drawn] == [40, 40]
    assert len({x for of_step in drawn for x in of_step}) == 80  # anew in every step, for every example


def test_scores_have_threads_of_their_own(encoder, tokenizer, classes, tmp_path, monkeypatch):
    asked, workers = [], loop.workers
    monkeypatch.setattr(loop, "workers", lambda *numbers: asked.append(numbers) or workers(1, 1))
    recipe = Recipe("classify", epochs=1, lanes=2)
    run(encoder, tokenizer, classes, recipe, tmp_path / "out", threads=5, test=classes[:50])
    assert asked == [(5, 2), (5, 20), (5, 50)]  # lanes; examples of the dev and of the test file


def test_every_epoch_has_an_order_of_its_own(encoder, tokenizer, classes, tmp_path, monkeypatch):
    seen = []
    batch = KINDS["classify"].batch

    def noted(objective, rows, targets, places, pad_id):
        if targets is not None:
            seen.append(list(places))
        return batch(objective, rows, targets, places, pad_id)

    monkeypatch.setattr(KINDS["classify"], "batch", noted)
    run(encoder, tokenizer, classes, Recipe("classify", epochs=2, batch_size=40), tmp_path / "out")
    first, second = seen
    assert sorted(first) == sorted(second) == list(range(40))
    assert first != second


def test_the_test_file_is_for_the_best_epochs_model(encoder, tokenizer, classes, tmp_path, monkeypatch):
    params = []

    def judge(self, part):
        params.append(self.model.params.flat.copy())
        return Judged({"accuracy": 1.0 / len(params)}, {})  # the first epoch is the best

    monkeypatch.setattr(loop._Run, "judge", judge)
    recipe = Recipe("classify", epochs=3, batch_size=8)
    run(encoder, tokenizer, classes, recipe, tmp_path / "out", test=classes[40:])
    np.testing.assert_array_equal(params[-1], params[0])
    assert not np.array_equal(params[-1], params[-2])


def test_a_folder_with_something_in_it_is_left_alone(encoder, tokenizer, classes, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="the folder is not empty"):
        run(encoder, tokenizer, classes, Recipe("classify"), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_interrupted_writer_is_left_as_it_was_best(writer, tokenizer, turned, tmp_path, monkeypatch):
    save = loop.save_task_model

    def save_and_interrupt(*arguments):
        save(*arguments)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(loop, "save_task_model", save_and_interrupt)
    task, model = writer
    with pytest.raises(Interruption, match=r"stopped after epoch 1; the model of epoch 1 \(.* is in"):
        run(model, tokenizer, [*turned, *turned], Recipe(task, epochs=3), tmp_path / "out")
    tuned, _, of_model = load_task_model(tmp_path / "out")
    assert isinstance(predict(tuned, tokenizer, of_model, ["red cat"])[0].label, str)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("name", "call", "stopped"),
    [
        ("gradient", 4, "in epoch 2"),
        ("judge", 1, "after epoch 1"),
        ("judge", 3, "after epoch 3"),  # there is no step after it
        ("judge", 4, "before the test file was scored"),
    ],
)
def test_an_interruption_leaves_the_best_model_so_far(
    encoder, tokenizer, classes, tmp_path, monkeypatch, name, call, stopped, number
):
    work, calls = getattr(loop, name), []

    def work_and_interrupt(*arguments, **options):
        found = work(*arguments, **options)
        calls.append(name)
        if len(calls) == call:
            os.kill(os.getpid(), number)
        return found

    monkeypatch.setattr(loop, name, work_and_interrupt)
    def missed(number, frame):
        raise AssertionError(f"{signal.Signals(number).name} was not heard")

    before = signal.signal(number, missed)
    told = rf"stopped {stopped}; the model of epoch . \(accuracy .* is in "
    recipe = Recipe("classify", epochs=3)
    try:
        with pytest.raises(Interruption, match=told):
            run(encoder, tokenizer, classes, recipe, tmp_path / "out", test=classes[40:])
        assert signal.getsignal(number) is missed
    finally:
        signal.signal(number, before)
    assert len(calls) == call
    model, _, task = load_task_model(tmp_path / "out")
    assert predict(model, tokenizer, task, ["red cat"])[0].label in task.labels
    assert not (tmp_path / "out" / "result.json").exists()


@pytest.mark.parametrize("choose_by", [None, "rouge1"])
def test_rouge_does_not_choose_where_it_counts_no_word(encoder_decoder, tokenizer, tmp_path, choose_by):
    pairs = [Example(("кот спит", "спит кот"), None, None, f"ru.tsv:{i}") for i in range(4)]
    recipe = Recipe("seq2seq", epochs=1, choose_by=choose_by)
    with pytest.raises(CorpusError, match=r"ru.tsv:0: expected targets with words .*: choose by perplexity"):
        finetune(encoder_decoder, tokenizer, pairs, pairs, recipe, tmp_path / "out", quiet=True)
    assert not (tmp_path / "out").exists()
    recipe = Recipe("seq2seq", epochs=1, choose_by="perplexity")
    finetune(encoder_decoder, tokenizer, pairs, pairs, recipe, tmp_path / "out", quiet=True)


def test_a_score_that_is_none_leaves_no_folder(encoder, tokenizer, classes, tmp_path):
    with pytest.raises(ValueError, match="choose_by: expected one of accuracy, macro_f1, matthews, got 'f2'"):
        run(encoder, tokenizer, classes, Recipe("classify", choose_by="f2"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_loss_that_is_not_finite_names_step_and_examples(encoder, tokenizer, classes, tmp_path):
    recipe = Recipe("classify", lr=1e30, warmup=0.0, batch_size=4, weight_decay=0.0)
    words = r"step \d+: .* \(examples train.tsv:\d+, train.tsv:\d+.*\); no epoch was finished"
    with pytest.raises(TrainingStopped, match=words):
        run(encoder, tokenizer, classes, recipe, tmp_path / "out")


def test_rows_that_are_cut_are_told(encoder, tokenizer, classes, tmp_path):
    told = []
    recipe = Recipe("classify", epochs=1, max_len=5)
    run(encoder, tokenizer, classes, recipe, tmp_path / "out", say=told.append)
    long = sum(len(example.texts[0].split()) > 3 for example in classes[:40])
    assert f"train: {long} of 40 rows are cut to 5 tokens" in told
    with pytest.raises(ValueError, match="max_len: the model reads at most 12 tokens, got 13"):
        run(encoder, tokenizer, classes, Recipe("classify", max_len=13), tmp_path / "other")
