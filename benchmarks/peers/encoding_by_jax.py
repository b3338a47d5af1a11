"""Encoding sequences in JAX: a padded batch, compiled as one function."""

from __future__ import annotations

import os

import jax
import jax.numpy as jnp
import numpy as np
import workload
from workload import Sizes


class Peer:
    """The weights in a dictionary, and one compiled forward."""

    def __init__(self, s: Sizes, threads: int) -> None:
        self.s = s
        self.p = {name: jnp.asarray(w) for name, w in workload.encoder_weights(s).items()}
        self.compiled = jax.jit(self.hidden)

    def about(self) -> dict[str, str]:
        """Versions and kernels."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        return {
            "library": f"JAX {jax.__version__}, which takes the {cores} cores it sees",
            "blas": "XLA's own",
            "kernel": "compiled for this processor",
        }

    def prepare(self, sequences: list[np.ndarray]) -> tuple[jax.Array, jax.Array | None]:
        """Pad, with a mask where something is padded; not timed."""
        ids, mask = workload.pad(sequences)
        return jnp.asarray(ids.astype(np.int32)), None if mask.all() else jnp.asarray(mask)

    def step(self, batch: tuple[jax.Array, jax.Array | None]) -> jax.Array:
        """The outputs of all tokens."""
        return jax.block_until_ready(self.compiled(self.p, *batch))

    def excerpt(self, hidden: jax.Array, batch: tuple[jax.Array, jax.Array | None]) -> list[float]:
        """Some numbers of the last token of each sequence."""
        B, T = hidden.shape[:2]
        last = np.full(B, T - 1) if batch[1] is None else np.asarray(batch[1]).sum(axis=1) - 1
        return np.asarray(hidden)[np.arange(B), last, : workload.EXCERPT].ravel().tolist()

    def hidden(self, p, ids, mask):  # type: ignore[no-untyped-def]
        s, (B, T) = self.s, ids.shape

        def linear(name, x):  # type: ignore[no-untyped-def]
            return x @ p[f"{name}.weight"] + p[f"{name}.bias"]

        def norm(name, x):  # type: ignore[no-untyped-def]
            d = x - x.mean(-1, keepdims=True)
            rstd = jax.lax.rsqrt(jnp.square(d).mean(-1, keepdims=True) + workload.NORM_EPS)
            return p[f"{name}.gamma"] * (d * rstd) + p[f"{name}.beta"]

        x = p["embeddings.token"][ids] + p["embeddings.position"][:T] + p["embeddings.segment"][0]
        x = norm("embeddings.norm", x)
        for i in range(s.L):
            name = f"encoder.{i}"

            def heads(part, name=name, x=x):  # type: ignore[no-untyped-def]
                return linear(f"{name}.attention.{part}", x).reshape(B, T, s.h, -1).transpose(0, 2, 1, 3)

            q, k, v = heads("query"), heads("key"), heads("value")
            scores = q @ k.swapaxes(-1, -2) / (s.d // s.h) ** 0.5
            if mask is not None:
                scores = jnp.where(mask[:, None, None, :], scores, -jnp.inf)
            context = (jax.nn.softmax(scores, axis=-1) @ v).transpose(0, 2, 1, 3).reshape(B, T, s.d)
            x = norm(f"{name}.attention_norm", x + linear(f"{name}.attention.output", context))
            up = jax.nn.gelu(linear(f"{name}.feed_forward.up", x), approximate=False)
            x = norm(f"{name}.feed_forward_norm", x + linear(f"{name}.feed_forward.down", up))
        return x
