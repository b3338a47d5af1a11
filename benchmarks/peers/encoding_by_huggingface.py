"""Encoding sequences with Hugging Face's BertModel: a padded batch with its attention mask."""

from __future__ import annotations

import numpy as np
import torch
import transformers
import workload
from by_huggingface import huggingface
from by_torch import about, from_npformer
from encoding_by_torch import excerpt, padded
from workload import Sizes


class Peer:
    """The model with the benchmark's weights."""

    def __init__(self, s: Sizes, threads: int) -> None:
        torch.set_num_threads(threads)
        config = transformers.BertConfig(
            vocab_size=s.V,
            hidden_size=s.d,
            num_hidden_layers=s.L,
            num_attention_heads=s.h,
            intermediate_size=s.d_ff,
            max_position_embeddings=s.T,
            type_vocab_size=workload.SEGMENTS,
            layer_norm_eps=workload.NORM_EPS,
        )
        self.model = transformers.BertModel(config, add_pooling_layer=False).eval()
        own = dict(self.model.named_parameters())
        with torch.no_grad():
            for name, w in from_npformer(workload.encoder_weights(s), fused=False).items():
                own.pop(huggingface(name).removeprefix("bert.")).copy_(w)
        if own:
            raise SystemExit(f"parameters of the model that the benchmark does not set: {sorted(own)}")

    def about(self) -> dict[str, str]:
        """Versions and kernels."""
        own = f"Transformers {transformers.__version__}, {self.model.config._attn_implementation} attention"
        return {**about(), "library": f"{own}, {about()['library']}"}

    def prepare(self, sequences: list[np.ndarray]) -> dict[str, torch.Tensor]:
        """Pad, with the mask that a tokenizer gives; not timed."""
        ids, mask = padded(sequences)
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids) if mask is None else mask.long()}

    def step(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """The outputs of all tokens."""
        with torch.inference_mode():
            return self.model(**batch).last_hidden_state

    def excerpt(self, hidden: torch.Tensor, batch: dict[str, torch.Tensor]) -> list[float]:
        """Some numbers of the last token of each sequence."""
        return excerpt(hidden, batch["attention_mask"])
