"""The training step in JAX, compiled as one function: the same work as PyTorch's with `tail`."""

from __future__ import annotations

import os

import jax
import jax.numpy as jnp
import numpy as np
import workload
from workload import Batch, Sizes


class Peer:
    """The weights in a dictionary, and one compiled training step."""

    def __init__(self, s: Sizes, threads: int, dropout: float) -> None:
        self.s, self.threads, self.dropout = s, threads, dropout
        self.p = {name: jnp.asarray(w) for name, w in workload.make_weights(s).items()}
        self.m = {name: jnp.zeros_like(w) for name, w in self.p.items()}
        self.v = {name: jnp.zeros_like(w) for name, w in self.p.items()}
        self.t = 0
        self.compiled = jax.jit(self.update, donate_argnums=(0, 1, 2))

    def about(self) -> dict[str, str]:
        """Versions and kernels."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        return {
            "library": f"JAX {jax.__version__}, which takes the {cores} cores it sees",
            "blas": "XLA's own",
            "kernel": "compiled for this processor",
        }

    def prepare(self, batch: Batch) -> tuple[jax.Array, ...]:
        """Turn a batch into what `step` takes; not timed.

        A compiled function takes arrays of one shape: the targets are filled up with what counts nothing.
        """
        room = int(1.25 * workload.RATE * self.s.B * self.s.T) + 8
        n = len(batch.at)
        at, targets, counts = (np.zeros(room, np.int32) for _ in range(3))
        at[:n], targets[:n], counts[:n] = batch.at, batch.targets, 1
        ids, segment_ids = batch.ids.astype(np.int32), batch.segment_ids.astype(np.int32)
        arrays = (ids, segment_ids, at, targets, counts, batch.mask)
        return tuple(jnp.asarray(x) for x in arrays if x is not None)

    def step(self, batch: tuple[jax.Array, ...]) -> float:
        """One training step; returns the loss before it."""
        self.t += 1
        key = jax.random.key(self.t)
        loss, self.p, self.m, self.v = self.compiled(self.p, self.m, self.v, self.t, key, *batch)
        jax.block_until_ready(self.p)
        return float(loss)

    def norm_of_weights(self) -> float:
        """The Euclidean norm of all weights."""
        return sum(float(np.square(np.asarray(w, np.float64)).sum()) for w in self.p.values()) ** 0.5

    def update(self, p, m, v, t, key, *batch):  # type: ignore[no-untyped-def]
        loss, g = jax.value_and_grad(self.loss)(p, key, *batch)
        norm = jnp.sqrt(sum(jnp.sum(x * x) for x in g.values()))
        clip = jnp.minimum(1.0, workload.MAX_NORM / (norm + 1e-6))
        beta1, beta2 = workload.BETAS
        new_p, new_m, new_v = {}, {}, {}
        for name, w in p.items():
            new_m[name] = beta1 * m[name] + (1 - beta1) * clip * g[name]
            new_v[name] = beta2 * v[name] + (1 - beta2) * (clip * g[name]) ** 2
            m_hat, v_hat = new_m[name] / (1 - beta1**t), new_v[name] / (1 - beta2**t)
            decay = workload.WEIGHT_DECAY if workload.decays(name) else 0.0
            step = workload.LR * m_hat / (jnp.sqrt(v_hat) + workload.EPS)
            new_p[name] = (1 - workload.LR * decay) * w - step
        return loss, new_p, new_m, new_v

    def loss(self, p, key, ids, segment_ids, at, targets, counts, mask=None):  # type: ignore[no-untyped-def]
        s, T = self.s, self.s.T
        keys = iter(jax.random.split(key, 3 * s.L + 1))

        def linear(name, x):  # type: ignore[no-untyped-def]
            return x @ p[f"{name}.weight"] + p[f"{name}.bias"]

        def norm(name, x):  # type: ignore[no-untyped-def]
            d = x - x.mean(-1, keepdims=True)
            rstd = jax.lax.rsqrt(jnp.square(d).mean(-1, keepdims=True) + workload.NORM_EPS)
            return p[f"{name}.gamma"] * (d * rstd) + p[f"{name}.beta"]

        def drop(x):  # type: ignore[no-untyped-def]
            if not self.dropout:
                return x
            keep = jax.random.bernoulli(next(keys), 1 - self.dropout, x.shape)
            return jnp.where(keep, x / (1 - self.dropout), 0)

        def gelu(x):  # type: ignore[no-untyped-def]
            return jax.nn.gelu(x, approximate=False)

        x = p["embeddings.token"][ids] + p["embeddings.position"][:T] + p["embeddings.segment"][segment_ids]
        x = drop(norm("embeddings.norm", x))
        for i in range(s.L):
            name = f"encoder.{i}"

            def heads(part, name=name, x=x):  # type: ignore[no-untyped-def]
                return linear(f"{name}.attention.{part}", x).reshape(s.B, T, s.h, -1).transpose(0, 2, 1, 3)

            q, k, v = heads("query"), heads("key"), heads("value")
            scores = q @ k.swapaxes(-1, -2) / (s.d // s.h) ** 0.5
            if mask is not None:
                scores = jnp.where(mask[:, None, None, :], scores, -jnp.inf)
            weights = drop(jax.nn.softmax(scores, axis=-1))
            context = (weights @ v).transpose(0, 2, 1, 3).reshape(s.B * T, s.d)
            x = x.reshape(s.B * T, s.d)
            if i == s.L - 1:
                context, x = context[at], x[at]
            x = norm(f"{name}.attention_norm", x + drop(linear(f"{name}.attention.output", context)))
            f = linear(f"{name}.feed_forward.down", gelu(linear(f"{name}.feed_forward.up", x)))
            x = norm(f"{name}.feed_forward_norm", x + drop(f))
            x = x if i == s.L - 1 else x.reshape(s.B, T, s.d)
        t = norm("mlm.norm", gelu(linear("mlm.transform", x)))
        log_p = jax.nn.log_softmax(t @ p["embeddings.token"].T + p["mlm.bias"])
        return -(counts * jnp.take_along_axis(log_p, targets[:, None], 1)[:, 0]).sum() / counts.sum()
