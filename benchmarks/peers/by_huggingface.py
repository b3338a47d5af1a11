"""The training step with Hugging Face's BertForMaskedLM, as its documentation trains one."""

from __future__ import annotations

import numpy as np
import torch
import transformers
import workload
from by_torch import about, adamw, from_npformer, norm_of
from workload import Batch, Sizes

NAMES = {  # npformer's -> Hugging Face's
    "embeddings.token": "bert.embeddings.word_embeddings.weight",
    "embeddings.position": "bert.embeddings.position_embeddings.weight",
    "embeddings.segment": "bert.embeddings.token_type_embeddings.weight",
    "embeddings.norm": "bert.embeddings.LayerNorm",
    "mlm.transform": "cls.predictions.transform.dense",
    "mlm.norm": "cls.predictions.transform.LayerNorm",
    "mlm.bias": "cls.predictions.bias",
    "attention.query": "attention.self.query",
    "attention.key": "attention.self.key",
    "attention.value": "attention.self.value",
    "attention.output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "feed_forward.up": "intermediate.dense",
    "feed_forward.down": "output.dense",
    "feed_forward_norm": "output.LayerNorm",
    "gamma": "weight",
    "beta": "bias",
}
IGNORED = -100


class Peer:
    """The model with the benchmark's weights, and one training step."""

    def __init__(self, s: Sizes, threads: int, dropout: float) -> None:
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
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
            pad_token_id=None,  # or the first row of the embedding would get no gradient
        )
        self.model = transformers.BertForMaskedLM(config)
        self.model.train()
        own = dict(self.model.named_parameters())
        with torch.no_grad():
            for name, w in from_npformer(workload.make_weights(s), fused=False).items():
                own.pop(huggingface(name)).copy_(w)
        if own:
            raise SystemExit(f"parameters of the model that the benchmark does not set: {sorted(own)}")
        named = {name: self.model.get_parameter(huggingface(name)) for name in workload.make_weights(s)}
        self.optimizer, self.parameters = adamw(named)

    def about(self) -> dict[str, str]:
        """Versions and kernels."""
        own = f"Transformers {transformers.__version__}, {self.model.config._attn_implementation} attention"
        return {**about(), "library": f"{own}, {about()['library']}"}

    def prepare(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Turn a batch into what `step` takes; not timed."""
        labels = np.full(batch.ids.size, IGNORED)
        labels[batch.at] = batch.targets
        mask = {} if batch.mask is None else {"attention_mask": torch.from_numpy(batch.mask.astype(np.int64))}
        return {
            **mask,
            "input_ids": torch.from_numpy(batch.ids),
            "token_type_ids": torch.from_numpy(batch.segment_ids),
            "labels": torch.from_numpy(labels.reshape(batch.ids.shape)),
        }

    def step(self, batch: dict[str, torch.Tensor]) -> float:
        """One training step; returns the loss before it."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, workload.MAX_NORM)
        self.optimizer.step()
        return float(loss.item())

    def norm_of_weights(self) -> float:
        """The Euclidean norm of all weights."""
        return norm_of(self.parameters)


def huggingface(name: str) -> str:
    """A parameter's name there."""
    if name in NAMES:
        return NAMES[name]
    block, _, kind = name.rpartition(".")
    if block in NAMES:
        return f"{NAMES[block]}.{NAMES.get(kind, kind)}"
    _, i, part = block.split(".", 2)
    return f"bert.encoder.layer.{i}.{NAMES[part]}.{NAMES.get(kind, kind)}"
