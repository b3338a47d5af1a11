"""Texts that are written: their rows, what is learnt of them, and the guess beside them."""

from __future__ import annotations

import numpy as np
import pytest

from npformer.finetuning import KINDS, Prediction, Task, predict, prepare_model
from npformer.finetuning.recipe import Recipe
from npformer.generation import generate
from npformer.models import Decoder, add_lora, merge_lora
from npformer.text.labelled import Example


def of(source, target):
    return Example((source, target), None, None, "a.tsv:1")


def ids(tokenizer, pieces):
    return [tokenizer.vocab.index(piece) for piece in pieces.split()]


def test_an_encoder_decoder_learns_all_of_the_target(tokenizer):
    kind = KINDS["seq2seq"]
    examples = [of("red cat", "dog"), of("fish", "dog runs")]
    rows = kind.rows(examples, tokenizer, 12, False)
    batch = kind.batch(kind.objective((), None), rows, kind.targets(examples, ()), [1, 0], tokenizer.pad_id)
    assert batch.source_ids[1].tolist() == ids(tokenizer, "[CLS] red cat [SEP]")
    assert batch.ids[0].tolist() == ids(tokenizer, "[CLS] dog runs")
    assert batch.targets.tolist() == ids(tokenizer, "dog runs [SEP] dog [SEP]")
    assert (rows.cut, rows.targets_cut, rows.told(examples)) == (0, 0, None)


def test_a_decoder_learns_the_target_alone(tokenizer):
    kind = KINDS["clm"]
    examples = [of("red cat", "dog"), of("fish", "dog runs")]
    rows = kind.rows(examples, tokenizer, 12, False)
    batch = kind.batch(kind.objective((), None), rows, kind.targets(examples, ()), [1, 0], tokenizer.pad_id)
    assert batch.ids[1].tolist() == ids(tokenizer, "red cat [SEP] dog")
    assert batch.targets.tolist() == ids(tokenizer, "dog runs [SEP] dog [SEP]")
    assert batch.prefix is None


def test_what_is_too_long_is_cut_and_told(tokenizer):
    long, examples = "red blue green cat dog fish runs sleeps", [of("red", "cat")]
    examples += [of(long, long), of("red", long)]
    rows = KINDS["seq2seq"].rows(examples, tokenizer, 6, False)
    assert rows.ids[1].tolist() == ids(tokenizer, "[CLS] red blue green cat [SEP]")
    assert rows.targets[1].tolist() == ids(tokenizer, "[CLS] red blue green cat dog fish")  # no end
    assert rows.told(examples) == "1 of 3 sources are cut to 6 tokens; 2 of 3 targets are cut to 7 tokens"
    fits = KINDS["seq2seq"].rows([of("red", "red blue green cat dog")], tokenizer, 6, False)
    assert fits.targets_cut == 0
    rows = KINDS["clm"].rows(examples, tokenizer, 6, False)
    assert rows.ids[1].tolist() == ids(tokenizer, "runs sleeps [SEP]")  # what is said last is answered
    assert rows.targets[1].tolist() == ids(tokenizer, "red blue green cat")
    assert rows.told(examples) == "1 of 3 sources are cut to 3 tokens; 2 of 3 targets are cut to 4 tokens"
    fits = KINDS["clm"].rows([of("red blue", "red blue green")], tokenizer, 6, False)
    assert (fits.cut, fits.targets_cut) == (0, 0)


def test_a_row_that_is_cut_is_no_longer_than_the_model_reads(writer, tokenizer):
    task, model = writer
    kind, longest = KINDS[task], model.config.max_positions
    examples = [of("red " * 30, "blue " * 30)]
    rows = kind.rows(examples, tokenizer, longest, False)
    batch = kind.batch(kind.objective((), None), rows, kind.targets(examples, ()), [0], tokenizer.pad_id)
    assert batch.shape == (1, longest)
    assert kind.objective((), None).loss_and_grad(model, batch, None, normalizer=1).n_targets > 0
    said = predict(model, tokenizer, Task(task, ()), ["red " * 30])  # there is room to write
    assert len(said) == 1


def test_scores_and_the_guess_are_rouge(tokenizer):
    kind = KINDS["seq2seq"]
    examples = [of("red cat runs", "red cat"), of("blue dog", "fish")]
    said = [Prediction("red cat"), Prediction("fish dog")]
    assert kind.scores(examples, said, ()) == pytest.approx(
        {"rouge1": (1 + 2 / 3) / 2, "rouge2": 0.5, "rougeL": (1 + 2 / 3) / 2}
    )
    train = [of("x", "a b c"), of("x", "a")]  # two words on average
    name, guess = kind.baseline(train, examples, ())
    assert name == "lead; a unigram"
    assert guess == {"rouge1": 0.5, "rouge2": 0.5, "rougeL": 0.5}
    _, rounded = kind.baseline([of("x", "a b c"), of("x", "a b"), of("x", "a b c")], examples[:1], ())
    assert rounded["rouge1"] == pytest.approx(0.8)  # three of three words, and not two


def test_a_text_ends_where_the_model_writes_its_end(gpt, tokenizer):
    """A decoder whose token follows from its position alone: cat, the end, dog, dog ..."""
    model, words = Decoder(gpt.config), [5, 8, tokenizer.sep_id, *[9] * 9]
    for name, value in model.params.items():
        value[...] = name.endswith("gamma")
    model.params["embeddings.token"][...] = 1e-3 * np.eye(*model.params["embeddings.token"].shape)
    position = next(name for name in model.params if name.startswith("embeddings.pos"))
    model.params[position][np.arange(12), words] = 1.0
    assert [said.label for said in predict(model, tokenizer, Task("clm", ()), ["red"])] == ["cat"]


def test_what_is_written_does_not_depend_on_order_or_threads(writer, tokenizer, turned):
    name, model = writer
    rng, task = np.random.default_rng(7), Task(name, ())
    model = prepare_model(model, Recipe(name), 0)
    model.params.flat[...] += 0.5 * rng.standard_normal(model.params.flat.size)  # not always the same word
    texts = [example.texts[0] for example in 3 * turned]
    said = [one.label for one in predict(model, tokenizer, task, texts, threads=1)]
    assert len(set(said)) > 3
    order = rng.permutation(len(texts)).tolist()
    again = predict(model, tokenizer, task, [texts[i] for i in order], threads=2)
    assert [one.label for one in again] == [said[i] for i in order]
    assert predict(model, tokenizer, task, texts[:1])[0].label == said[0]


def test_adapters_write_what_the_merged_model_does(writer, tokenizer):
    name, model = writer
    adapted = add_lora(model, 2)
    adapted.params.flat[...] = np.random.default_rng(0).standard_normal(adapted.params.flat.size)
    rows = KINDS[name].rows([Example(("red cat",), None, None, "x")], tokenizer, 12, False)
    begin = {"begin": tokenizer.cls_id} if name == "seq2seq" else {}
    (expected,) = generate(
        merge_lora(adapted), rows.ids, max_new_tokens=12, stop_tokens=tokenizer.sep_id, **begin
    )
    written = [i for i in expected.ids if i != tokenizer.sep_id]
    (said,) = predict(adapted, tokenizer, Task(name, ()), ["red cat"])
    assert said.label == tokenizer.decode(written)
