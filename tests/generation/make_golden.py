"""What Hugging Face's `generate` writes with small random models, for the tests to compare with.

    python tests/generation/make_golden.py [--check]

stores the weights (under npformer's names), the prompts, and the token ids and scores of greedy decoding and
of beam search in golden.npz beside this file; with --check it compares with what is stored. Needs torch and
transformers, of the extra 'parity'.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from npformer.models import Decoder, DecoderConfig

STORED = Path(__file__).parent / "golden.npz"
SIZES: dict[str, Any] = {"vocab_size": 50, "d_model": 16, "n_heads": 4, "n_layers": 2, "max_positions": 32}
CONFIGS = {
    "gpt2": DecoderConfig.gpt2(**SIZES),
    "llama": DecoderConfig.llama(**SIZES, d_ff=40, n_kv_heads=2, eps=1e-6),
}
PROMPTS = [[7, 3, 41, 3, 19], [12], [30, 8, 8]]
NEW, BEAMS = 12, 4
STOP = {"gpt2": 28, "llama": 0}
SEARCHES: dict[str, dict[str, Any]] = {
    "beam": {},
    "short": {"length_penalty": 0.0, "early_stopping": "never"},
    "long": {"length_penalty": 2.0},
    "never": {"length_penalty": 1.5, "early_stopping": "never"},
    "negative": {"length_penalty": -1.0},
    "early": {"early_stopping": True},
    "penalised": {"repetition_penalty": 1.3},
}
GREEDY: dict[str, dict[str, Any]] = {"greedy": {}, "greedy-penalised": {"repetition_penalty": 1.3}}


def weights_of(name: str) -> dict[str, np.ndarray]:
    """Random weights, large enough for a text that does not repeat itself; in float32, to be small."""
    rng = np.random.default_rng(0)
    values = {}
    for key, view in Decoder(CONFIGS[name]).params.items():
        if key.endswith(".gamma"):
            values[key] = rng.uniform(0.5, 1.5, view.shape)
        elif view.ndim == 1:
            values[key] = 0.3 * rng.standard_normal(view.shape)
        else:
            values[key] = rng.standard_normal(view.shape) * (0.4 if "token" in key else 0.5)
    return {key: value.astype(np.float32) for key, value in values.items()}


def gpt2(config: DecoderConfig, w: dict[str, np.ndarray], stop: int) -> Any:
    """The model of Transformers with these weights, in float64."""
    import transformers

    model = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=config.vocab_size,
            n_positions=config.max_positions,
            n_embd=config.d_model,
            n_layer=config.n_layers,
            n_head=config.n_heads,
            bos_token_id=stop,
            eos_token_id=stop,
        )
    )
    names = {
        "transformer.wte.weight": w["embeddings.token"],
        "transformer.wpe.weight": w["embeddings.position"],
        "transformer.ln_f.weight": w["decoder.norm.gamma"],
        "transformer.ln_f.bias": w["decoder.norm.beta"],
        "lm_head.weight": w["embeddings.token"],
    }
    for i in range(config.n_layers):
        own, theirs = f"decoder.{i}", f"transformer.h.{i}"
        for norm, ln in (("attention_norm", "ln_1"), ("feed_forward_norm", "ln_2")):
            names[f"{theirs}.{ln}.weight"] = w[f"{own}.{norm}.gamma"]
            names[f"{theirs}.{ln}.bias"] = w[f"{own}.{norm}.beta"]
        for kind in ("weight", "bias"):
            parts = [w[f"{own}.attention.{part}.{kind}"] for part in ("query", "key", "value")]
            names[f"{theirs}.attn.c_attn.{kind}"] = np.concatenate(parts, axis=-1)
            names[f"{theirs}.attn.c_proj.{kind}"] = w[f"{own}.attention.output.{kind}"]
            names[f"{theirs}.mlp.c_fc.{kind}"] = w[f"{own}.feed_forward.up.{kind}"]
            names[f"{theirs}.mlp.c_proj.{kind}"] = w[f"{own}.feed_forward.down.{kind}"]
    return loaded(model, names)


def llama(config: DecoderConfig, w: dict[str, np.ndarray], stop: int) -> Any:
    """The model of Transformers with these weights, in float64."""
    import transformers

    model = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=config.vocab_size,
            max_position_embeddings=config.max_positions,
            hidden_size=config.d_model,
            intermediate_size=config.d_ff,
            num_hidden_layers=config.n_layers,
            num_attention_heads=config.n_heads,
            num_key_value_heads=config.n_kv_heads,
            rms_norm_eps=config.eps,
            tie_word_embeddings=False,
            bos_token_id=stop,
            eos_token_id=stop,
        )
    )
    names = {
        "model.embed_tokens.weight": w["embeddings.token"],
        "model.norm.weight": w["decoder.norm.gamma"],
        "lm_head.weight": w["lm_head.weight"].T,
    }
    for i in range(config.n_layers):
        own, theirs = f"decoder.{i}", f"model.layers.{i}"
        names[f"{theirs}.input_layernorm.weight"] = w[f"{own}.attention_norm.gamma"]
        names[f"{theirs}.post_attention_layernorm.weight"] = w[f"{own}.feed_forward_norm.gamma"]
        for a, b in (("query", "q_proj"), ("key", "k_proj"), ("value", "v_proj"), ("output", "o_proj")):
            names[f"{theirs}.self_attn.{b}.weight"] = w[f"{own}.attention.{a}.weight"].T
        for part in ("gate", "up", "down"):
            names[f"{theirs}.mlp.{part}_proj.weight"] = w[f"{own}.feed_forward.{part}.weight"].T
    return loaded(model, names)


def loaded(model: Any, names: dict[str, np.ndarray]) -> Any:
    """Set every parameter, and none that the model does not have."""
    import torch

    model = model.double().eval()
    model.load_state_dict({key: torch.tensor(np.ascontiguousarray(x)) for key, x in names.items()})
    return model


def generated(model: Any, stop: int, **options: Any) -> Any:
    """What `generate` returns for the prompts, padded on the left."""
    import torch

    longest = max(map(len, PROMPTS))
    ids = torch.tensor([(longest - len(ids)) * [0] + ids for ids in PROMPTS])
    mask = torch.tensor([(longest - len(ids)) * [0] + len(ids) * [1] for ids in PROMPTS])
    return model.generate(
        ids,
        attention_mask=mask,
        max_new_tokens=NEW,
        do_sample=False,
        eos_token_id=stop,
        pad_token_id=stop,
        return_dict_in_generate=True,
        output_scores=True,
        **options,
    )


def new_tokens(sequences: Any) -> np.ndarray:
    """The new tokens of each sequence, filled up with -1 behind the stop token: (..., NEW)."""
    ids = np.asarray(sequences)[:, max(map(len, PROMPTS)) :]
    return np.pad(ids, ((0, 0), (0, NEW - ids.shape[1])), constant_values=-1)


def make() -> dict[str, np.ndarray]:
    """Everything that is stored."""
    import torch

    torch.set_num_threads(1)
    stored: dict[str, np.ndarray] = {}
    for name, build in (("gpt2", gpt2), ("llama", llama)):
        weights, stop = weights_of(name), STOP[name]
        stored |= {f"{name}/weight/{key}": value for key, value in weights.items()}
        model = build(CONFIGS[name], weights, stop)
        with torch.no_grad():
            stored[f"{name}/logits"] = model(torch.tensor(PROMPTS[:1])).logits[0].numpy()
        for label, options in GREEDY.items():
            if "repetition_penalty" in options:  # their penalty counts the padding as seen
                rows = [generate_alone(model, ids, stop, options) for ids in PROMPTS]
                stored[f"{name}/{label}/ids"] = np.stack(rows)
                continue
            stored[f"{name}/{label}/ids"] = new_tokens(generated(model, stop, **options).sequences)
        for label, options in SEARCHES.items():
            if "repetition_penalty" in options:
                options = {**options, "num_beams": BEAMS}
                rows = [generate_alone(model, ids, stop, options) for ids in PROMPTS]
                stored[f"{name}/{label}/ids"] = np.stack(rows)
                continue
            found = generated(model, stop, num_beams=BEAMS, num_return_sequences=BEAMS, **options)
            stored[f"{name}/{label}/ids"] = new_tokens(found.sequences).reshape(len(PROMPTS), BEAMS, NEW)
            stored[f"{name}/{label}/scores"] = found.sequences_scores.numpy().reshape(len(PROMPTS), BEAMS)
        lengths = np.concatenate(
            [
                (stored[f"{name}/{label}/ids"] != -1).sum(-1).reshape(-1)
                - (stored[f"{name}/{label}/ids"] == stop).sum(-1).reshape(-1)
                for label in (*GREEDY, *SEARCHES)
            ]
        )
        if len(np.unique(lengths)) < 4:
            raise RuntimeError(
                f"{name}: sequences of {len(np.unique(lengths))} lengths only: little to compare"
            )
    return stored


def generate_alone(model: Any, ids: list[int], stop: int, options: dict[str, Any]) -> np.ndarray:
    """The new tokens (NEW,) of one prompt without padding."""
    import torch

    found = model.generate(
        torch.tensor([ids]),
        attention_mask=torch.ones(1, len(ids), dtype=torch.long),
        max_new_tokens=NEW,
        do_sample=False,
        eos_token_id=stop,
        pad_token_id=stop,
        **options,
    )
    new = found[0, len(ids) :].numpy()
    return np.pad(new, (0, NEW - len(new)), constant_values=-1)


def main(argv: list[str] | None = None) -> int:
    """Store or compare; 1 where something differs."""
    parser = argparse.ArgumentParser(description="Store what Hugging Face's generate writes, or compare.")
    parser.add_argument("--check", action="store_true", help="compare with the stored file, write nothing")
    args = parser.parse_args(argv)
    made = make()
    if not args.check:
        np.savez_compressed(STORED, **made)
        print(f"{STORED}: {len(made)} arrays, {STORED.stat().st_size} bytes")
        return 0
    with np.load(STORED, allow_pickle=False) as file:
        stored = {key: file[key] for key in file.files}
    different = sorted(
        key
        for key in made.keys() | stored.keys()
        if key not in made
        or key not in stored
        or not np.allclose(made[key], stored[key], rtol=1e-5, atol=1e-6)
    )
    print(f"{len(made)} arrays, {len(different)} differ", *different, sep="\n  ")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
