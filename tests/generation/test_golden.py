"""The tokens and scores of Hugging Face's `generate` with the same weights, stored by make_golden.py."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from npformer.generation import beam_search, generate
from npformer.models import Decoder

FOLDER = Path(__file__).parent
spec = importlib.util.spec_from_file_location("make_golden", FOLDER / "make_golden.py")
assert spec is not None
assert spec.loader is not None
script: Any = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)


@pytest.fixture(scope="module")
def stored() -> dict[str, np.ndarray]:
    with np.load(script.STORED, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def model_of(stored: dict[str, np.ndarray], name: str, dtype: Any) -> Decoder:
    model = Decoder(script.CONFIGS[name], dtype=dtype)
    for key in model.params:
        model.params[key] = stored[f"{name}/weight/{key}"]
    return model


def until(row: np.ndarray, stop: int) -> list[int]:
    """The tokens of a stored row: up to the stop token."""
    ids = row[row >= 0].tolist()
    return ids[: ids.index(stop) + 1] if stop in ids else ids


@pytest.mark.parametrize("name", script.CONFIGS)
def test_the_models_are_the_same(stored: dict[str, np.ndarray], name: str) -> None:
    model = model_of(stored, name, np.float64)
    logits, _ = model.lm_head.forward(model.params, model.forward(script.PROMPTS[:1])[0])
    # Transformers' RMSNorm rounds to float32 whatever the weights are
    np.testing.assert_allclose(logits[0], stored[f"{name}/logits"], atol=1e-13 if name == "gpt2" else 1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("label", script.GREEDY)
@pytest.mark.parametrize("name", script.CONFIGS)
def test_greedy(stored: dict[str, np.ndarray], name: str, label: str, dtype: Any) -> None:
    stop = script.STOP[name]
    results = generate(
        model_of(stored, name, dtype),
        script.PROMPTS,
        max_new_tokens=script.NEW,
        stop_tokens=stop,
        **script.GREEDY[label],
    )
    assert [result.ids for result in results] == [until(row, stop) for row in stored[f"{name}/{label}/ids"]]


@pytest.mark.parametrize("label", script.SEARCHES)
@pytest.mark.parametrize("name", script.CONFIGS)
def test_beam_search(stored: dict[str, np.ndarray], name: str, label: str) -> None:
    stop = script.STOP[name]
    found = beam_search(
        model_of(stored, name, np.float64),
        script.PROMPTS,
        beams=script.BEAMS,
        n=script.BEAMS,
        max_new_tokens=script.NEW,
        stop_tokens=stop,
        **script.SEARCHES[label],
    )
    ids = stored[f"{name}/{label}/ids"]
    if ids.ndim == 2:  # the best alone
        assert [results[0].ids for results in found] == [until(row, stop) for row in ids]
        return
    assert [[r.ids for r in results] for results in found] == [[until(r, stop) for r in rows] for rows in ids]
    scores = [[r.score for r in results] for results in found]
    np.testing.assert_allclose(scores, stored[f"{name}/{label}/scores"], rtol=2e-6)


def test_the_settings_tell_the_searches_apart(stored: dict[str, np.ndarray]) -> None:
    for name in script.CONFIGS:
        best = {label: stored[f"{name}/{label}/ids"].tobytes() for label in script.SEARCHES}
        assert len(set(best.values())) >= 5


@pytest.mark.extra
@pytest.mark.thorough  # nothing of npformer's has a part in it
def test_what_is_stored_is_what_transformers_writes(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="needs torch, of the extra 'parity'")
    pytest.importorskip("transformers", reason="needs transformers, of the extra 'parity'")
    assert script.main(["--check"]) == 0
    assert ", 0 differ" in capsys.readouterr().out
