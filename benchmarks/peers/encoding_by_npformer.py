"""Encoding sequences by npformer: `npformer.models.encode`."""

from __future__ import annotations

import numpy as np
import workload
from by_npformer import blas_in_use, config_of
from workload import Sizes

from npformer.models import Encoder, encode


class Peer:
    """An encoder with the benchmark's weights."""

    def __init__(self, s: Sizes, threads: int) -> None:
        self.model, self.threads = Encoder(config_of(s, mlm=False)), threads
        for name, value in workload.encoder_weights(s).items():
            self.model.params[name][...] = value

    def about(self) -> dict[str, str]:
        """Versions and kernels."""
        return {"library": f"NumPy {np.__version__}, {self.threads} Python threads", **blas_in_use()}

    def prepare(self, sequences: list[np.ndarray]) -> list[np.ndarray]:
        """Nothing is padded beforehand."""
        return sequences

    def step(self, sequences: list[np.ndarray]) -> list[np.ndarray]:
        """The outputs of all tokens."""
        return encode(self.model, sequences, pooling=None, threads=self.threads)

    def excerpt(self, hidden: list[np.ndarray], sequences: list[np.ndarray]) -> list[float]:
        """Some numbers of the last token of each sequence."""
        return [float(x) for h in hidden for x in h[-1, : workload.EXCERPT]]
