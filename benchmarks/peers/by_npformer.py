"""The training step by npformer: the same calls as its own training loop makes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import scipy
import workload
from workload import Batch, Sizes

from npformer._allocator import keep_freed_memory
from npformer.models import Encoder, EncoderConfig
from npformer.objectives import MaskedLM, MaskedLMBatch
from npformer.optim import AdamW, clip_by_global_norm, global_norm, make_segments
from npformer.training import draws
from npformer.training.step import gradient


class Peer:
    """An encoder with the benchmark's weights and one training step."""

    def __init__(
        self, s: Sizes, threads: int, dropout: float, recompute: bool = False, padded: bool = False
    ) -> None:
        self.model = Encoder(config_of(s, dropout), np.random.default_rng(0), dtype=np.float32)
        weights = workload.make_weights(s)
        if set(weights) != set(self.model.params):
            raise SystemExit(
                f"other parameters than the benchmark's: {sorted(set(weights) ^ set(self.model.params))}"
            )
        for name, value in weights.items():
            self.model.params[name][...] = value
        self.objective = MaskedLM(s.V, mask_id=s.V - 1, special_ids=[s.V - 1], rate=workload.RATE)
        keep_freed_memory()
        self.lanes = [self.model.params.zeros_like() for _ in range(threads)]
        self.executor = ThreadPoolExecutor(threads)
        self.optimizer = AdamW(
            self.model.params.flat,
            lr=workload.LR,
            betas=workload.BETAS,
            eps=workload.EPS,
            segments=make_segments(
                self.model.params.layout, decay=workload.decays, weight_decay=workload.WEIGHT_DECAY
            ),
        )
        self.threads, self.dropout, self.recompute, self.steps = threads, dropout, recompute, 0
        self.kind = PaddedBatch if padded else MaskedLMBatch

    def about(self) -> dict[str, str]:
        """Versions and kernels."""
        return {
            "library": f"NumPy {np.__version__}, SciPy {scipy.__version__}, {self.threads} Python threads",
            **blas_in_use(),
        }

    def prepare(self, batch: Batch) -> MaskedLMBatch:
        """Turn a batch into what `step` takes; not timed."""
        mask = np.ones(batch.ids.shape, dtype=bool) if batch.mask is None else batch.mask
        return self.kind(batch.ids, mask, batch.segment_ids, batch.at, batch.targets)

    def step(self, batch: MaskedLMBatch) -> float:
        """One training step; returns the loss before it."""
        self.steps += 1
        rngs = draws.of_sequences(0, draws.DROPOUT, self.steps, len(batch.ids)) if self.dropout else None
        metrics = gradient(
            self.model,
            self.objective,
            batch,
            self.lanes,
            generators=rngs,
            executor=self.executor,
            recompute=self.recompute,
        )
        grad = self.lanes[0].flat
        clip_by_global_norm(grad, workload.MAX_NORM, self.executor)
        self.optimizer.step(grad, executor=self.executor)
        return metrics.loss

    def norm_of_weights(self) -> float:
        """The Euclidean norm of all weights."""
        return global_norm(self.model.params.flat)


class PaddedBatch(MaskedLMBatch):
    """A batch whose padding is computed as if it were tokens, in the order in which the sequences came."""

    @property
    def extents(self) -> np.ndarray:
        """All columns of every sequence."""
        B, T = self.ids.shape
        return np.stack([np.zeros(B, np.intp), np.full(B, T)])

    def take(self, places: np.ndarray) -> PaddedBatch:
        """Some sequences, padded as they are."""
        return PaddedBatch(*super().take(places))

    def trimmed(self) -> PaddedBatch:
        """All of it."""
        return self


def config_of(s: Sizes, dropout: float = 0.0, mlm: bool = True) -> EncoderConfig:
    """The encoder of these sizes."""
    return EncoderConfig(
        vocab_size=s.V,
        d_model=s.d,
        n_heads=s.h,
        d_ff=s.d_ff,
        n_layers=s.L,
        max_positions=s.T,
        n_segments=workload.SEGMENTS,
        dropout=dropout,
        eps=workload.NORM_EPS,
        mlm=mlm,
    )


def blas_in_use() -> dict[str, str]:
    """The BLAS that NumPy has loaded and the kernel it chose for this processor."""
    try:
        import threadpoolctl
    except ImportError:
        return {"blas": "unknown", "kernel": "unknown (threadpoolctl is not installed)"}
    pools = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    kinds = sorted(
        {f"{pool['internal_api']} {pool['version']}, {pool['num_threads']} thread(s)" for pool in pools}
    )
    kernels = sorted({str(pool.get("architecture")) for pool in pools})
    return {"blas": " and ".join(kinds), "kernel": " and ".join(kernels)}
