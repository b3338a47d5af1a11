"""Decoding by Hugging Face's GPT2LMHeadModel with its cache: by a plain loop, or by its `generate`."""

from __future__ import annotations

import numpy as np
import torch
import transformers
import workload
from by_torch import about
from workload import Sizes


class Peer:
    """The model with the benchmark's weights."""

    def __init__(self, s: Sizes, threads: int, generate: bool = False) -> None:
        torch.set_num_threads(threads)
        self.generate = generate
        config = transformers.GPT2Config(
            vocab_size=s.V, n_positions=s.T, n_embd=s.d, n_layer=s.L, n_head=s.h, n_inner=s.d_ff,
            bos_token_id=None, eos_token_id=None,
        )  # fmt: skip
        self.model = transformers.GPT2LMHeadModel(config).eval()
        w = workload.decoder_weights(s)
        names = {"wte.weight": w["embeddings.token"], "wpe.weight": w["embeddings.position"]}
        norms = [("ln_f", "decoder.norm")]
        for i in range(s.L):
            own, theirs = f"decoder.{i}", f"h.{i}"
            norms += [
                (f"{theirs}.ln_1", f"{own}.attention_norm"),
                (f"{theirs}.ln_2", f"{own}.feed_forward_norm"),
            ]
            for kind in ("weight", "bias"):
                parts = [w[f"{own}.attention.{part}.{kind}"] for part in ("query", "key", "value")]
                names[f"{theirs}.attn.c_attn.{kind}"] = np.concatenate(parts, axis=-1)
                names[f"{theirs}.attn.c_proj.{kind}"] = w[f"{own}.attention.output.{kind}"]
                names[f"{theirs}.mlp.c_fc.{kind}"] = w[f"{own}.feed_forward.up.{kind}"]
                names[f"{theirs}.mlp.c_proj.{kind}"] = w[f"{own}.feed_forward.down.{kind}"]
        for theirs, own in norms:
            names |= {f"{theirs}.weight": w[f"{own}.gamma"], f"{theirs}.bias": w[f"{own}.beta"]}
        self.model.transformer.load_state_dict({name: torch.from_numpy(x) for name, x in names.items()})

    def about(self) -> dict[str, str]:
        """Versions and kernels."""
        own = f"Transformers {transformers.__version__}, {self.model.config._attn_implementation} attention"
        return {**about(), "library": f"{own}, {about()['library']}"}

    def prepare(self, prompt: np.ndarray) -> torch.Tensor:
        """Turn the prompt into a tensor; not timed."""
        return torch.from_numpy(prompt)[None]

    def step(self, prompt: torch.Tensor) -> list[int]:
        """The new tokens."""
        with torch.inference_mode():
            if self.generate:
                mask = torch.ones_like(prompt)
                found = self.model.generate(
                    prompt, attention_mask=mask, max_new_tokens=workload.NEW, do_sample=False, pad_token_id=0
                )
                return found[0, prompt.shape[1] :].tolist()
            ids, cache, new = prompt, transformers.DynamicCache(config=self.model.config), []
            for _ in range(workload.NEW):
                out = self.model(ids, cache=cache, use_cache=True, logits_to_keep=1)
                ids = out.logits[:, -1].argmax(-1, keepdim=True)
                new.append(int(ids))
            return new

    def excerpt(self, ids: list[int], prompt: torch.Tensor) -> list[int]:
        """All of them."""
        return ids
