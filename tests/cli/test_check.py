"""`npformer check FILE`: a clear report for each kind of file, and never a traceback of ours or a hang."""

from __future__ import annotations

import inspect
import json
import time

import pytest

from npformer.cli import main
from npformer.teaching.museum.ops import attention

FORWARD = """
import numpy as np

def softmax_forward(x):
    e = np.exp(x - x.real.max(axis=-1, keepdims=True))
    p = e / e.sum(axis=-1, keepdims=True)
    return p, p

"""
RIGHT = "def softmax_backward(dout, p):\n    return p * (dout - (p * dout).sum(axis=-1, keepdims=True))\n"
WRONG = "def softmax_backward(dout, p):\n    return p * dout\n"
KINDS = {
    "right": (FORWARD + RIGHT, 0, "passed, 1 input"),
    "wrong": (FORWARD + WRONG, 1, "sum-term-missing"),
    "crashing": (FORWARD + RIGHT.replace("dout -", "1 / 0 -"), 1, "ZeroDivisionError"),
    "crashing at once": ("raise KeyError('mine')\n", 1, "KeyError: 'mine'"),
    "no Python": ("def softmax_forward(x:\n", 1, "SyntaxError"),
    "printing": (FORWARD + RIGHT.replace("    return", "    print('here I am')\n    return"), 0, "here I am"),
    "wrong signature": (FORWARD + "def softmax_backward(dout):\n    return dout\n", 1, "TypeError"),
    "a list": (
        FORWARD + RIGHT.replace("return p * (", "return (p * (").replace("True))", "True))).tolist()"),
        1,
        "The gradient is a list of lists, not an array.",
    ),
    "nothing": (FORWARD + "def softmax_backward(dout, p):\n    pass\n", 1, "gradient"),
    "no backward": (FORWARD, 1, "no NAME_forward (or NAME) with a NAME_backward"),
    "leaving": (FORWARD + RIGHT + "import sys\nsys.exit(4)\n", 1, "SystemExit: 4"),
    "NaN": (FORWARD + RIGHT.replace("return p", "return np.nan * p"), 1, "NONFINITE"),
    "own inputs": (
        "import numpy as np\ndef f(a, b):\n    return a * b, (a, b)\n"
        "def f_backward(dout, c):\n    return dout * c[1], dout * c[0]\n"
        "def example_inputs():\n    return [np.arange(3.0), np.array([0.5, -1.0, 2.0])]\n",
        0,
        "passed, 2 inputs",
    ),
    "no inputs": ("def g(a):\n    return a, a\ndef g_backward(d, c):\n    return d\n", 1, "--shapes"),
}


# In a process of their own, as anybody's file; of the others it is the words that count.
APART = {"right", "wrong", "leaving", "printing"}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_file(kind, tmp_path, capsys, request):
    if kind not in APART:
        request.getfixturevalue("in_this_process")
    source, status, words = KINDS[kind]
    path = tmp_path / "my file.py"
    path.write_text(source)
    assert main(["check", str(path)]) == status
    out = capsys.readouterr().out
    assert words in out
    assert "npformer/teaching" not in out
    assert "Traceback (most recent call last)" not in out


def test_a_loop_ends_at_the_time_limit(tmp_path, capsys):
    path = tmp_path / "loop.py"
    path.write_text(FORWARD + "def softmax_backward(dout, p):\n    while True:\n        pass\n")
    began = time.monotonic()
    assert main(["check", f"{path}:softmax", "--seconds", "2"]) == 1
    assert time.monotonic() - began < 6
    assert "stopped after 2 seconds" in capsys.readouterr().out


@pytest.mark.usefixtures("in_this_process")
def test_the_line_of_a_crash_is_shown(tmp_path, capsys):
    path = tmp_path / "crash.py"
    path.write_text(FORWARD + "def softmax_backward(dout, p):\n    return p @ dout\n")
    assert main(["check", str(path)]) == 1
    out = capsys.readouterr().out
    assert "return p @ dout" in out
    assert "ValueError: matmul" in out


@pytest.mark.usefixtures("in_this_process")
def test_a_module_of_this_folder_may_be_imported(tmp_path, capsys, monkeypatch):
    (tmp_path / "sub").mkdir()
    (tmp_path / "mylib.py").write_text("def square(x):\n    return x * x\n")
    (tmp_path / "sub" / "op.py").write_text(
        "from mylib import square\n"
        "def square_forward(x):\n    return square(x), x\n"
        "def square_backward(dout, x):\n    return 2 * x * dout\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main(["check", "sub/op.py", "--shapes", "x=3x4"]) == 0, capsys.readouterr()


def test_json_shapes_and_strict(tmp_path, capsys):
    path = tmp_path / "s.py"
    path.write_text(FORWARD + RIGHT)
    assert main(["check", str(path), "--json", "--shapes", "x=3x4"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["checked"][0]["report"]["results"][0]["shape"] == [3, 4]
    assert main(["check", str(path), "--shapes", "x=4x4", "--strict"]) == 1
    assert "equal-sizes" in capsys.readouterr().out


TAKEN_FOR_X = """
def product(x, w):
    return x @ w, (x, w)

def product_backward(dout, cache):
    x, w = cache
    return dout @ w.T, dout.T @ x
"""


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("seed", ["0", "1", "7"])
def test_what_is_sent_back_is_no_input_at_any_seed(seed, tmp_path, capsys):
    path = tmp_path / "product.py"
    path.write_text(TAKEN_FOR_X)  # for x.T @ dout: right where dout is x
    assert main(["check", str(path), "--shapes", "x=5x4,w=4x4", "--seed", seed]) == 1
    assert "WRONG" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.py"], "none.py: no such file"),
        (["{}", "--shapes", "x=3by4"], "expected parts like x=3x4"),
        (["{}", "--shapes", "x=0"], "--shapes: expected sizes of 1 or more"),
        (["{}", "--seed", "-1"], "--seed: expected a number that is not negative, got -1"),
        (["{}", "--seconds", "0"], "seconds: expected a positive number"),
        (["{}", "--seconds", "-1"], "seconds: expected a positive number"),
        (["{}", "--seconds", "nan"], "seconds: expected a positive number"),
    ],
)
def test_bad_usage(arguments, words, tmp_path, capsys):
    path = tmp_path / "s.py"
    path.write_text(FORWARD + RIGHT)
    assert main(["check", *(a.format(path) for a in arguments)]) == 2
    assert words in capsys.readouterr().err


def test_a_name_that_is_not_there_is_bad_usage(tmp_path, capsys):
    path = tmp_path / "s.py"
    path.write_text(FORWARD + RIGHT)
    assert main(["check", f"{path}:nothing"]) == 2
    assert "nothing: there is no function nothing_forward or nothing" in capsys.readouterr().out


PLAIN = """
import numpy as np

def cross_entropy(logits, targets):  # knows of no ignored targets
    e = np.exp(logits - logits.real.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    rows = np.arange(len(targets))
    assert (targets >= 0).all(), "a target below 0"
    return -np.log(p[rows, targets]).mean(), (p, targets)

def cross_entropy_backward(dout, cache):
    p, targets = cache
    d = p.copy()
    d[np.arange(len(targets)), targets] -= 1
    return d * dout / len(targets)

def attention(q, k, v):  # of one sequence
    S = q @ k.T / np.sqrt(q.shape[-1])
    e = np.exp(S - S.real.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return p @ v, (q, k, v, p)

def attention_backward(dout, cache):
    q, k, v, p = cache
    dp = dout @ v.T
    ds = p * (dp - (dp * p).sum(axis=1, keepdims=True)) / np.sqrt(q.shape[-1])
    return ds @ k, ds.T @ q, p.T @ dout

def causal(q, k, v):
    mask = np.tri(len(q), dtype=bool)
    S = np.where(mask, q @ k.T, -np.inf)
    e = np.exp(S)
    p = e / e.sum(axis=1, keepdims=True)
    return p @ v, (q, k, v, p)

def causal_backward(dout, cache):
    q, k, v, p = cache
    dp = dout @ v.T
    ds = p * (dp - (dp * p).sum(axis=1, keepdims=True))
    return ds @ k, ds.T @ q, p.T @ dout
"""


@pytest.mark.usefixtures("in_this_process")
def test_textbook_code_is_checked_at_a_plainer_point(tmp_path, capsys):
    path = tmp_path / "plain.py"
    path.write_text(PLAIN)
    assert main(["check", f"{path}:cross_entropy"]) == 0
    out = capsys.readouterr().out
    assert "This is a plainer point: at 6x4, 6 of int64 it fails: AssertionError: a target below 0" in out
    assert main(["check", f"{path}:attention"]) == 0
    assert "plainer point" in capsys.readouterr().out
    assert main(["check", f"{path}:cross_entropy", "--strict"]) == 1
    assert main(["check", f"{path}:cross_entropy", "--json"]) == 0
    assert '"elsewhere": "at 6x4, 6 of int64 it fails: AssertionError' in capsys.readouterr().out
    assert main(["check", f"{path}:causal", "--op", "attention"]) == 0  # as many keys as queries
    capsys.readouterr()


@pytest.mark.usefixtures("in_this_process")
def test_one_pair_that_raises_does_not_hide_the_others(tmp_path, capsys):
    path = tmp_path / "three.py"
    path.write_text(
        FORWARD + WRONG + "def relu(x):\n    return x * (x > 0), x\n"
        "def relu_backward(dout, x):\n    return dout * (x > 0)\n"
        "def tanh(x):\n    raise RuntimeError('mine')\ndef tanh_backward(dout, y):\n    return dout\n"
    )
    assert main(["check", str(path), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)["checked"]
    assert [(one["name"], one["passed"]) for one in told] == [
        ("softmax", False),
        ("relu", True),
        ("tanh", False),
    ]
    assert told[2]["error"] == "RuntimeError: mine"
    assert "line" in told[2]["text"]


@pytest.mark.usefixtures("in_this_process")
def test_what_a_file_imports_from_npformer_is_not_the_files(tmp_path, capsys):
    path = tmp_path / "composed.py"
    imports = "from npformer.functional import relu, relu_backward\n"
    own = "def own(x):\n    return relu(x)\ndef own_backward(d, c):\n    return relu_backward(d, c)\n"
    path.write_text(imports + own)
    assert main(["check", str(path), "--shapes", "x=3x4", "--json"]) == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)["checked"]] == ["own"]
    path.write_text(imports)  # unless there is nothing else
    assert main(["check", str(path), "--json"]) == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)["checked"]] == ["relu"]


@pytest.mark.usefixtures("in_this_process")
def test_a_report_names_the_function_where_it_is_not_the_ops(tmp_path, capsys):
    path = tmp_path / "mine.py"
    path.write_text((FORWARD + RIGHT).replace("softmax", "gibbs"))
    assert main(["check", str(path), "--op", "softmax"]) == 0
    assert capsys.readouterr().out.startswith("gibbs: gradient check of softmax: passed")


@pytest.mark.usefixtures("in_this_process")
def test_shapes_for_the_only_function_of_a_file(tmp_path, capsys):
    path = tmp_path / "mine.py"
    own = "def own(x, n_heads):\n    return x * n_heads, n_heads\n"
    path.write_text(f"{own}def own_backward(d, c):\n    return d * c\n")
    assert main(["check", str(path), "--shapes", "x=3"]) == 1
    words = "it takes x, n_heads: n_heads is not given; for numbers define example_inputs() in the file"
    assert f"own: --shapes: {words}" in capsys.readouterr().out


@pytest.mark.usefixtures("in_this_process")
def test_shapes_are_for_the_functions_that_take_these(tmp_path, capsys):
    path = tmp_path / "two.py"
    path.write_text(
        FORWARD + RIGHT + "def own(a, b):\n    return a * b, (a, b)\n"
        "def own_backward(d, c):\n    return d * c[1], d * c[0]\n"
    )
    assert main(["check", str(path), "--shapes", "a=3,b=3"]) == 0
    assert capsys.readouterr().out.count("passed") == 2
    for shapes, words in {"a=3": "b is not given", "a=3,b=3,c=3": "c is no input of it"}.items():
        assert main(["check", f"{path}:own", "--shapes", shapes]) == 1
        assert capsys.readouterr().out.strip() == f"own: --shapes: it takes a, b: {words}"


@pytest.mark.usefixtures("in_this_process")
def test_an_op_that_is_none_is_refused_and_an_alias_is_not(tmp_path, capsys):
    path = tmp_path / "mine.py"
    path.write_text(FORWARD + RIGHT)
    assert main(["check", str(path), "--op", "convolution"]) == 2
    assert "--op: expected one of linear," in capsys.readouterr().err
    assert main(["check", str(path), "--op", "softmax"]) == 0


STUDENTS = """
import numpy as np

def layer_norm(x, gamma, beta, eps=1e-5):
    mu = x.mean(-1, keepdims=True)
    var = ((x - mu) ** 2).mean(-1, keepdims=True)
    rstd = 1 / np.sqrt(var + eps)
    h = (x - mu) * rstd
    return gamma * h + beta, (h, rstd, gamma)

def layer_norm_backward(dout, cache):
    h, rstd, gamma = cache
    d = dout * gamma
    dx = rstd * (d - d.mean(-1, keepdims=True) - h * (d * h).mean(-1, keepdims=True))
    return dx, (dout * h).sum(0), dout.sum(0)

def mse_forward(pred, target):
    return ((pred - target) ** 2).mean(), (pred, target)

def mse_backward(dout, cache):
    pred, target = cache
    return dout * 2 * (pred - target) / pred.size

def dropout_forward(x, p, rng=None, seed=0):
    mask = (np.random.default_rng(seed).random(x.shape) >= p) / (1 - p)
    return x * mask, mask

def dropout_backward(dout, mask):
    return dout * mask

def embedding_forward(W, ids):
    return W[ids], (W.shape, ids)

def embedding_backward(dout, cache):
    shape, ids = cache
    dW = np.zeros(shape)
    np.add.at(dW, ids, dout)
    return dW

def mha_forward(x, W_q, W_k, W_v, W_o, num_heads):
    B, T, _ = x.shape
    split = lambda a: a.reshape(B, T, num_heads, -1).transpose(0, 2, 1, 3)
    q, k, v = split(x @ W_q), split(x @ W_k), split(x @ W_v)
    s = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    e = np.exp(s - s.real.max(-1, keepdims=True))
    P = e / e.sum(-1, keepdims=True)
    o = (P @ v).transpose(0, 2, 1, 3).reshape(B, T, -1)
    return o @ W_o, (x, W_q, W_k, W_v, W_o, q, k, v, P, o, num_heads)

def mha_backward(dout, cache):
    x, W_q, W_k, W_v, W_o, q, k, v, P, o, h = cache
    B, T, _ = x.shape
    r = lambda a: a.reshape(-1, a.shape[-1])
    dW_o = r(o).T @ r(dout)
    do = (dout @ W_o.T).reshape(B, T, h, -1).transpose(0, 2, 1, 3)
    dP = do @ v.swapaxes(-1, -2)
    dv = P.swapaxes(-1, -2) @ do
    ds = P * (dP - (dP * P).sum(-1, keepdims=True)) / np.sqrt(q.shape[-1])
    dq, dk = ds @ k, ds.swapaxes(-1, -2) @ q
    m = lambda a: a.transpose(0, 2, 1, 3).reshape(B, T, -1)
    dq, dk, dv = m(dq), m(dk), m(dv)
    dx = dq @ W_q.T + dk @ W_k.T + dv @ W_v.T
    return dx, r(x).T @ r(dq), r(x).T @ r(dk), r(x).T @ r(dv), dW_o
"""


@pytest.mark.usefixtures("in_this_process")
def test_arguments_are_matched_by_name(tmp_path, capsys):
    path = tmp_path / "students.py"
    path.write_text(STUDENTS)
    assert main(["check", str(path), "--json"]) == 0
    told = {one["name"]: one["text"] for one in json.loads(capsys.readouterr().out)["checked"]}
    assert set(told) == {"layer_norm", "mse", "dropout", "embedding", "mha"}
    fails = "at 2x3x5, 5, 5 it fails: The gradient of gamma has shape"
    assert f"This is a plainer point: {fails}" in told["layer_norm"]
    assert "It was called with x of 4x6, p = 0.3, rng = a Generator." in told["dropout"]
    assert "It was called with W of 6x3, ids of 2x4 of int64." in told["embedding"]
    assert "num_heads = 2" in told["mha"]


@pytest.mark.usefixtures("in_this_process")
def test_what_is_wrong_at_every_point_is_told_at_the_first(tmp_path, capsys):
    path = tmp_path / "students.py"
    path.write_text(STUDENTS.replace("(dout * h).sum(0)", "(dout * h).sum()"))
    assert main(["check", f"{path}:layer_norm"]) == 1
    assert "summed-over-everything" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("ending", "words"),
    [
        ("import time\n    time.sleep(60)", "tanh: it did not end: stopped after 4 seconds"),
        ("import os\n    os._exit(3)", "tanh: it ended early: the process ended itself with status 3"),
    ],
)
def test_what_was_finished_is_not_lost_with_what_does_not_end(ending, words, tmp_path, capsys):
    path = tmp_path / "two.py"
    path.write_text(
        "import numpy as np\ndef relu(x):\n    return x * (x > 0), x\n"
        "def relu_backward(dout, x):\n    return dout * (x > 0)\n"
        "def tanh(x):\n    return np.tanh(x), x\n"
        f"def tanh_backward(dout, x):\n    {ending}\n" + FORWARD + RIGHT
    )
    assert main(["check", str(path), "--seconds", "4"]) == 1
    out = capsys.readouterr().out
    assert "gradient check of relu: passed" in out
    assert words in out
    assert "softmax: it was not reached" in out


NUMBERS = """
import numpy as np

def layer_norm(x, gamma, beta, epsilon):
    mu = x.mean(-1, keepdims=True)
    rstd = 1 / np.sqrt(((x - mu) ** 2).mean(-1, keepdims=True) + epsilon)
    h = (x - mu) * rstd
    return gamma * h + beta, (h, rstd, gamma)

def layer_norm_backward(dout, cache):
    h, rstd, gamma = cache
    d = dout * gamma
    dx = rstd * (d - d.mean(-1, keepdims=True) - h * (d * h).mean(-1, keepdims=True))
    return dx, (dout * h).sum((0, 1)), dout.sum((0, 1))

def dropout(x, keep_prob, seed=0):
    mask = (np.random.default_rng(seed).random(x.shape) < keep_prob) / keep_prob
    return x * mask, mask

def dropout_backward(dout, mask):
    return dout * mask

def info_nce(queries, keys, tau):
    S = queries @ keys.T / tau
    e = np.exp(S)
    p = e / e.sum(1, keepdims=True)
    return -np.log(np.diag(p)).mean(), (queries, keys, p, tau)

def info_nce_backward(dout, cache):
    queries, keys, p, tau = cache
    dS = dout * (p - np.eye(len(p))) / len(p) / tau
    return dS @ keys, dS.T @ queries
"""


@pytest.mark.usefixtures("in_this_process")
def test_required_numbers_are_filled_in(tmp_path, capsys):
    path = tmp_path / "numbers.py"
    path.write_text(NUMBERS)
    assert main(["check", str(path), "--json"]) == 0
    told = {one["name"]: one["text"] for one in json.loads(capsys.readouterr().out)["checked"]}
    assert "epsilon = 1e-05" in told["layer_norm"]
    assert "keep_prob = 0.7" in told["dropout"]
    assert "tau = 0.5" in told["info_nce"]
    assert main(["check", f"{path}:layer_norm", "--shapes", "x=2x3x4,gamma=4,beta=4"]) == 0
    assert "2x3x4" in capsys.readouterr().out


@pytest.mark.usefixtures("in_this_process")
def test_a_number_is_no_matter_of_shapes(tmp_path, capsys):
    path = tmp_path / "own.py"
    path.write_text(
        "def own(x, temperature):\n    return x / temperature, temperature\n"
        "def own_backward(d, t):\n    return d / t\n"
    )
    assert main(["check", str(path)]) == 1
    out = capsys.readouterr().out
    assert "own_example_inputs() in the file that gives x, temperature" in out
    assert "--shapes" not in out
    path.write_text(
        "def relu(x, slope):\n    return x * (x > 0), x\n"
        "def relu_backward(d, x):\n    return d * (x > 0)\n"
    )
    assert main(["check", str(path)]) == 1
    out = capsys.readouterr().out
    assert "example_inputs()" in out
    assert "--shapes" not in out


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize(
    ("wanted", "op"), [(": Any = 1.5, window: Any = 3", []), (", sliding_window", ["--op", "sdpa"])]
)
def test_attention_with_a_softcap_and_a_window(wanted, op, tmp_path, capsys):
    """Left to their defaults, or asked for by name; under the op's name or that of plain attention."""
    functions = (
        attention.masked_softmax,
        attention.softcapped_attention_forward,
        attention.softcapped_attention_backward,
    )
    source = "import math\nimport numpy as np\nfrom typing import Any\n"
    source += "\n".join(inspect.getsource(function) for function in functions)
    source = source.replace(": Any = 1.5, window: Any = 3", wanted)
    source = source.replace(" window", " sliding_window") if op else source
    path = tmp_path / "capped.py"
    path.write_text(source)
    assert main(["check", str(path), *op]) == 0, capsys.readouterr().out
    path.write_text(source.replace("dS * slope", "dS"))
    assert main(["check", str(path), *op]) == 1
    assert "softcap-slope-missing" in capsys.readouterr().out


OFF_BY_ONE = """
import numpy as np

def causal_attention(q, k, v):
    z = np.where(np.tri(len(q), len(k), 1, dtype=bool), q @ k.T / np.sqrt(3), -np.inf)
    e = np.exp(z - z.max(-1, keepdims=True))
    p = e / e.sum(-1, keepdims=True)
    return p @ v, (q, k, v, p)

def causal_attention_backward(dout, cache):
    q, k, v, p = cache
    dp = dout @ v.T
    ds = p * (dp - (dp * p).sum(-1, keepdims=True)) / np.sqrt(3)
    return ds @ k, ds.T @ q, p.T @ dout
"""


@pytest.mark.usefixtures("in_this_process")
def test_what_gradients_do_not_show_is_said_of_an_attention_that_passes(tmp_path, capsys):
    path, shapes = tmp_path / "mine.py", ["--shapes", "q=5x3,k=5x3,v=5x2"]
    path.write_text(OFF_BY_ONE)
    assert main(["check", str(path), *shapes]) == 0
    said = "npformer.gradcheck.properties.causal"
    assert said in capsys.readouterr().out
    path.write_text(OFF_BY_ONE.replace("p.T @ dout", "2 * p.T @ dout"))
    assert main(["check", str(path), *shapes]) == 1
    assert said not in capsys.readouterr().out  # first things first
    path.write_text(FORWARD + RIGHT)
    assert main(["check", str(path)]) == 0
    assert said not in capsys.readouterr().out


def test_what_was_found_before_the_code_left_is_shown(tmp_path, capsys):
    path = tmp_path / "two.py"
    path.write_text(
        "import sys\nimport numpy as np\n"
        "def tanh(x):\n    return np.tanh(x), np.tanh(x)\n"
        "def tanh_backward(dout, y):\n    return dout * (1 - y * y)\n"
        "def relu(x):\n    return x * (x > 0), x\n"
        "def relu_backward(dout, x):\n    sys.exit('no more')\n"
    )
    assert main(["check", str(path)]) == 1
    out = capsys.readouterr().out
    assert out.startswith("gradient check of tanh: passed")
    assert "relu: its code raised an exception\n" in out
    assert "SystemExit: no more" in out
