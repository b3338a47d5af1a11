"""Decoding by npformer: `npformer.generation.generate`."""

from __future__ import annotations

import numpy as np
import workload
from by_npformer import blas_in_use
from workload import Sizes

from npformer.generation import generate
from npformer.models import Decoder, DecoderConfig


class Peer:
    """A decoder with the benchmark's weights."""

    def __init__(self, s: Sizes, threads: int) -> None:
        config = DecoderConfig.gpt2(
            vocab_size=s.V, d_model=s.d, n_heads=s.h, d_ff=s.d_ff, n_layers=s.L, max_positions=s.T
        )
        self.model, self.threads = Decoder(config), threads
        for name, value in workload.decoder_weights(s).items():
            self.model.params[name][...] = value
        self.model.params = self.model.params.for_decoding()

    def about(self) -> dict[str, str]:
        """Versions and kernels."""
        library = f"NumPy {np.__version__}, {self.threads} BLAS threads while it writes"
        return {"library": library, **blas_in_use()}

    def prepare(self, prompt: np.ndarray) -> np.ndarray:
        """Nothing is to be done."""
        return prompt

    def step(self, prompt: np.ndarray) -> list[int]:
        """The new tokens."""
        [result] = generate(self.model, [prompt], max_new_tokens=workload.NEW, threads=self.threads)
        return result.ids

    def excerpt(self, ids: list[int], prompt: np.ndarray) -> list[int]:
        """All of them."""
        return ids
