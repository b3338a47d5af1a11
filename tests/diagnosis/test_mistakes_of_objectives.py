"""npformer's own objectives are the textbook's, and mistakes planted in a student's are named."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import npformer
from npformer.diagnosis import sample_inputs
from npformer.diagnosis.program import program
from npformer.diagnosis.recognise import recognise
from npformer.diagnosis.samples import OBJECTIVES
from npformer.functional import (
    binary_cross_entropy_with_logits,
    binary_cross_entropy_with_logits_backward,
    info_nce,
    info_nce_backward,
)
from npformer.models.heads import Pooler
from npformer.models.pooling import mean_pooled, mean_pooled_backward
from npformer.nn.lora import add_weight_gradient, weight_of
from npformer.objectives import Contrastive
from npformer.objectives._labels import loss_of_labels
from npformer.objectives.similarity import cosine, cosine_backward
from npformer.teaching.museum import student

TAU, SCALE, WEIGHT = 0.3, 0.7, 50.0
POOLER = Pooler(5)


def hard_negatives(queries, keys, negatives, temperature=TAU):
    return info_nce(queries, keys, temperature=temperature, negatives=negatives)


def symmetric_info_nce(queries, keys, temperature=TAU):
    vectors = np.stack([queries, keys], axis=1)
    metrics, dvectors = Contrastive(temperature, symmetric=True).couple(vectors, len(queries))
    return np.asarray(metrics.loss_sum / len(queries)), dvectors


def weighted_cross_entropy(logits, targets, class_weights):
    w = class_weights[targets] * 1.0
    metrics, dlogits = loss_of_labels(logits, targets, w, w.sum(), keep=True)
    return np.asarray(metrics.loss_sum / w.sum()), dlogits


def lora(x, w, a, b):
    params = {"w": w, "w.lora_a": a, "w.lora_b": b, "w.lora_scale": np.array(SCALE)}
    return x @ weight_of(params, "w"), (x, params)


def lora_backward(dout, cache):
    x, params = cache
    grads = {name: np.zeros_like(value) for name, value in params.items() if "scale" not in name}
    add_weight_gradient(params, grads, "w", x.T @ dout)
    return dout @ weight_of(params, "w").T, *grads.values()


def replaced_token_detection(logits, replaced, mask, weight=WEIGHT):
    losses, cache = binary_cross_entropy_with_logits(logits[mask], replaced[mask], reduction="sum")
    return weight * losses / mask.sum(), (cache, mask, weight)


def replaced_token_detection_backward(dout, cache):
    of_loss, mask, weight = cache
    dlogits = np.zeros(mask.shape)
    dloss = np.asarray(dout * weight / mask.sum())
    dlogits[mask] = binary_cross_entropy_with_logits_backward(dloss, of_loss)
    return dlogits


def pooler(hidden, w, b):
    params = {"pooler.weight": w, "pooler.bias": b}
    pooled, cache = POOLER.forward(params, hidden[:, 0])
    return pooled, (hidden, params, cache)


def pooler_backward(dout, cache):
    hidden, params, c_pooler = cache
    grads = {name: np.zeros_like(value) for name, value in params.items()}
    dhidden = np.zeros_like(hidden)
    dhidden[:, 0] = POOLER.backward(params, dout, c_pooler, grads)
    return dhidden, *grads.values()


OWN = {
    "hard_negatives": (hard_negatives, info_nce_backward),
    "symmetric_info_nce": (symmetric_info_nce, lambda dout, d: (dout * d[:, 0], dout * d[:, 1])),
    "mean_pooling": (mean_pooled, mean_pooled_backward),
    "weighted_cross_entropy": (weighted_cross_entropy, lambda dout, dlogits: dout * dlogits),
    "lora": (lora, lora_backward),
    "replaced_token_detection": (replaced_token_detection, replaced_token_detection_backward),
    "pooler": (pooler, pooler_backward),
    "cosine_similarity": (cosine, cosine_backward),
}


@pytest.mark.parametrize("op", OBJECTIVES)
def test_npformers_own_are_the_textbooks(op):
    """Recognised from their output alone, with their gradients in the textbook's last lines."""
    forward, backward = OWN[op]
    point = sample_inputs(op, 1, sizes={"d_out": 5} if op == "pooler" else None)  # the pooler is square
    out, cache = forward(**point)
    dout = np.random.default_rng(0).standard_normal(np.shape(out))
    found = recognise(None, point, np.asarray(out), np.asarray(dout), cache, forward)
    assert found is not None
    assert found.op == op
    given = backward(dout, cache)
    given = given if isinstance(given, tuple) else (given,)
    expected = [np.asarray(found.values[target]) for target in program(op).gradients.values()]
    assert len(given) == len(expected)
    for mine, theirs in zip(given, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-11, atol=1e-12 * np.abs(theirs).max())


@pytest.mark.thorough
@pytest.mark.parametrize("op", OBJECTIVES)
def test_npformers_own_pass(op):
    point = sample_inputs(op, 3, sizes={"d_out": 5} if op == "pooler" else None)
    npformer.check(*OWN[op], point).raise_if_failed()


def changed(op, *changes):
    """The museum's right forward, and its backward with some texts replaced."""
    forward, backward = student(op)
    source = inspect.getsource(backward)
    for right, wrong in changes:
        assert source.count(right) == 1, right
        source = source.replace(right, wrong)
    names = {"np": np, "Any": object}
    exec(compile(source, "<changed>", "exec"), names)
    return forward, names[backward.__name__]


@pytest.mark.parametrize(
    ("op", "changes", "names"),
    [
        (  # without a word of the negatives: their gradient is told by the arrays, which are zeros
            "hard_negatives",
            [("dS = (p -", "p[:, N:] = 0; dS = (p / p.sum(1)[:, None] -")],
            {"negatives-ignored", "zero-gradient"},
        ),
        (
            "hard_negatives",
            [("np.eye(N, N + M, 0, p.dtype)", "(np.eye(N, N + M) + np.eye(N, N + M, N)) / 2")],
            {"negatives-as-positives"},
        ),
        (
            "hard_negatives",
            [("dS[:, :N] / temperature, dS[:, N:] / temperature", "dS[:, :N] / temperature, dS[:, N:]")],
            {"temperature-missing-in-negatives"},
        ),
        (
            "hard_negatives",
            [("dS[:, :N] / temperature, dS[:, N:] / temperature", "dS[:, :N], dS[:, N:]")],
            {"temperature-missing"},
        ),
        ("symmetric_info_nce", [("(forth + back.T) / 2", "forth")], {"direction-missing"}),
        ("symmetric_info_nce", [("(forth + back.T) / 2", "back.T / 2")], {"direction-missing"}),
        ("symmetric_info_nce", [(" / len(q) / temperature", " / len(q)")], {"temperature-missing"}),
        (  # what np.mean over all positions has for its gradient
            "mean_pooling",
            [
                ("share = dout / n", "share = dout / mask.shape[1]"),
                ("mask[:, :, None]", "np.ones((*mask.shape, 1))"),
            ],
            {"padding-counted", "padding-gets-a-gradient"},
        ),
        ("weighted_cross_entropy", [("(p - onehot)", "p")], {"one-hot-missing"}),
        ("lora", [("da = scale * (x.T @ low)", "da = x.T @ low")], {"adapter-scale-missing-in-da"}),
        ("lora", [("scale * (low @ a.T)", "low @ a.T")], {"adapter-scale-missing"}),
        (
            "lora",
            [("alpha, scale = cache", "_, scale = cache; scale = 1.0")],
            {"adapter-scale-missing"},
        ),
        (
            "lora",
            [("alpha, scale = cache", "_, scale = cache; scale = scale * len(b)")],
            {"rank-not-divided"},
        ),
        ("replaced_token_detection", [("each = upstream / n", "each = upstream")], {"mean-divisor-missing"}),
        (
            "replaced_token_detection",
            [("difference = s - replaced", "difference = (s - replaced) * s * (1 - s)")],
            {"sigmoid-slope-extra"},
        ),
        (
            "replaced_token_detection",
            [("upstream = dout * weight", "upstream = dout"), ("* mask ", "")],
            {"loss-weight-missing", "padding-gets-a-gradient"},
        ),
        ("pooler", [("slope = 1 - y**2", "slope = 1 - np.arctanh(y) ** 2")], {"input-for-output"}),
        ("cosine_similarity", [("du = vh - cos * uh", "du = vh")], {"normalisation-ignored"}),
        ("cosine_similarity", [("du / nu, dv / nv", "du / nu, dv / nu")], {"norms-exchanged"}),
    ],
)
def test_other_ways_to_write_them(op, changes, names, numbers_once):
    forward, wrong = changed(op, *changes)
    with numbers_once(forward):
        report = npformer.check(forward, wrong, sample_inputs(op, 1))
    assert not report.passed
    assert report.names == names, str(report)


def test_what_looks_alike_without_padding_is_not_caught_there():
    """Texts of one length have the same gradient either way."""
    point = sample_inputs("mean_pooling", 0)
    point["mask"] = np.ones_like(point["mask"])
    for change in (
        ("share = dout / n", "share = dout / mask.shape[1]"),
        ("mask[:, :, None]", "np.ones((*mask.shape, 1))"),
    ):
        npformer.check(*changed("mean_pooling", change), point).raise_if_failed()


def test_class_weights_of_real_numbers():
    """They are variables then: left out by `wrt`, or with a gradient of their own, which no textbook has."""
    point = sample_inputs("weighted_cross_entropy", 0)
    point["class_weights"] = point["class_weights"] / 3
    forward, wrong = changed("weighted_cross_entropy", ("share = w[:, None]", "share = class_weights"))
    assert npformer.check(forward, wrong, point, wrt=["logits"]).names == {"weight-of-every-class"}
    report = npformer.check(forward, lambda dout, cache: (wrong(dout, cache), np.ones(4)), point)
    assert report["logits"].hypotheses[0].identifier == "weight-of-every-class"
    assert not report["class_weights"].passed


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(
    ("change", "name"),
    [
        ("w[:, None]", "class-weight-twice"),
        ("(w[:, None] > 0)", "class-weight-missing"),
        ("class_weights", "weight-of-every-class"),
    ],
)
def test_class_weights_with_other_reductions(reduction, change, name):
    """As PyTorch's cross_entropy has them."""

    def forward(logits, targets, class_weights):
        e = np.exp(logits - logits.max(-1, keepdims=True))
        p, w = e / e.sum(-1, keepdims=True), class_weights[targets]
        each = -w * np.log(p[np.arange(len(targets)), targets])
        divisor = w.sum() if reduction == "mean" else 1
        return (each if reduction == "none" else each.sum()) / divisor, (p, targets, class_weights, divisor)

    def backward(dout, cache, by=None):
        p, targets, class_weights, divisor = cache
        w = class_weights[targets][:, None]
        share = w if by is None else eval(by, {"w": w[:, 0], "class_weights": class_weights})
        share = share * w if name == "class-weight-twice" and by else share
        return np.reshape(dout, (-1, 1)) / divisor * share * (p - np.eye(p.shape[1])[targets])

    point = sample_inputs("weighted_cross_entropy", 0)
    npformer.check(forward, backward, point).raise_if_failed()
    assert npformer.check(forward, lambda dout, cache: backward(dout, cache, change), point).names == {name}


def test_class_weights_with_ignored_targets():
    """Which have no weight, and are not counted."""

    def forward(logits, targets, class_weights):
        e = np.exp(logits - logits.max(-1, keepdims=True))
        p, w = e / e.sum(-1, keepdims=True), np.where(targets < 0, 0, class_weights[targets * (targets >= 0)])
        onehot = np.eye(p.shape[1])[targets * (targets >= 0)]
        return (-w * np.log((p * onehot).sum(-1))).sum() / w.sum(), (p, onehot, w)

    def backward(dout, cache):
        p, onehot, w = cache
        return dout * (w / w.sum())[:, None] * (p - onehot)

    point = sample_inputs("weighted_cross_entropy", 0)
    point["targets"][1] = -100
    npformer.check(forward, backward, point).raise_if_failed()
    report = npformer.check(forward, lambda dout, c: backward(dout, c) * c[2][:, None], point)
    assert report.names == {"class-weight-twice"}


@pytest.mark.parametrize("weight", [1, 50.0])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none", "mean of all"])
def test_replaced_tokens_with_other_reductions(reduction, weight):
    """A loss weight of 1 that nobody passes, too."""

    def forward(logits, replaced, mask):
        s = 1 / (1 + np.exp(-logits))
        each = -weight * mask * np.where(replaced, np.log(s), np.log(1 - s))
        divisor = {"mean": mask.sum(), "mean of all": mask.size}.get(reduction, 1)
        return (each if reduction == "none" else each.sum()) / divisor, (s, replaced, mask, divisor)

    def backward(dout, cache):
        s, replaced, mask, divisor = cache
        return dout * weight / divisor * mask * (s - replaced)

    def exchanged(dout, cache):
        s, replaced, mask, divisor = cache
        return dout * weight / divisor * mask * (s - ~replaced)

    def squashed(dout, cache):
        s = cache[0]
        return backward(dout, cache) * s * (1 - s)

    point = sample_inputs("replaced_token_detection", 0)
    point["replaced"] = point["replaced"].astype(bool)
    npformer.check(forward, backward, point).raise_if_failed()
    assert npformer.check(forward, squashed, point).names == {"sigmoid-slope-extra"}
    if weight != 1 or reduction == "mean":  # otherwise it is plain binary cross entropy, with weights
        assert npformer.check(forward, exchanged, point).names == {"labels-exchanged"}


@pytest.mark.parametrize("names", [["mask"], ["replaced"], ["mask", "replaced"]])
def test_masks_and_labels_of_real_numbers(names):
    """As a loss of PyTorch's has them: left out by `wrt`, and told among what is no variable."""
    point = sample_inputs("replaced_token_detection", 0)
    point |= {name: point[name].astype(np.float64) for name in names}
    change = ("difference = s - replaced", "difference = s + replaced - 1")
    wrong = changed("replaced_token_detection", change)
    assert npformer.check(*wrong, point, wrt=["logits"]).names == {"labels-exchanged"}
    npformer.check(*student("replaced_token_detection"), point, wrt=["logits"]).raise_if_failed()
    if "mask" in names:
        point = sample_inputs("mean_pooling", 0)
        point["mask"] = point["mask"].astype(np.float64)
        wrong = changed("mean_pooling", ("share = dout / n", "share = dout / mask.shape[1]"))
        assert npformer.check(*wrong, point, wrt=["hidden"]).names == {"padding-counted"}


def test_a_mask_of_whole_numbers_and_none():
    point = sample_inputs("mean_pooling", 0)
    point["mask"] = point["mask"].astype(int)
    wrong = changed("mean_pooling", ("share = dout / n", "share = dout / n / n"))
    assert npformer.check(*wrong, point).names == {"count-twice"}
    report = npformer.check(
        lambda hidden: hidden.mean(axis=1), lambda d, hidden: d[:, None] + 0 * hidden, [point["hidden"]]
    )
    assert report.names == {"count-missing"}


def test_a_mask_that_is_true_at_padding():
    """As `key_padding_mask` of PyTorch's is."""

    def forward(hidden, padding):
        n = (~padding).sum(axis=1, keepdims=True)
        return np.where(padding[:, :, None], 0, hidden).sum(axis=1) / n, (padding, n)

    def twice(dout, cache):
        padding, n = cache
        return np.where(padding[:, :, None], 0, (dout / n / n)[:, None, :])

    point = sample_inputs("mean_pooling", 0)
    report = npformer.check(forward, twice, [point["hidden"], ~point["mask"]])
    assert report.names == {"count-twice"}, str(report)
