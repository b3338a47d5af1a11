"""torch.nn.MultiheadAttention with npformer's blocks inside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..nn import CrossAttention, SelfAttention
from .torch_arrays import Array
from .torch_module import TorchCache, TorchModule, attention_maps


class TorchAttention(TorchModule):
    """torch.nn.MultiheadAttention; made by `from_torch_state_dict`.

    Parameters are ``attention.{query, key, value, output}.{weight, bias}``.
    """

    def forward(
        self,
        query: Any,
        key: Any = None,
        value: Any = None,
        *,
        key_padding_mask: Any = None,
        attn_mask: Any = None,
        need_weights: bool = False,
        average_attn_weights: bool = True,
        rng: Any = None,
        keep: bool = True,
    ) -> tuple[Array, TorchCache]:
        """Attend from `query` to `key` and `value`.

        Parameters
        ----------
        query : array or tensor, shape (T, B, d_model), with `batch_first` (B, T, d_model), or (T, d_model)
        key : (S, B, d_key) and so on, optional
            Default: the query, in self-attention.
        value : (S, B, d_value) and so on, optional
            Default: the key.
        key_padding_mask : shape (B, S), optional
        attn_mask : shape (T, S) or (B · h, T, S), optional
            Both in PyTorch's convention; see `interop.torch_masks`.
        need_weights, average_attn_weights : bool
            Put the attention weights, before any dropout, into ``cache.attention_weights``.
        rng : numpy.random.Generator, optional
            Source of dropout; None = no dropout (PyTorch's ``eval()``).
        keep : bool
            False keeps nothing for a backward.

        Returns
        -------
        y : ndarray, in the layout of `query`
        cache : TorchCache

        Raises
        ------
        ValueError, TypeError
            Naming the argument, what was expected and what came.
        """
        s, o, name = self.structure, self.options, "attention"
        d_key, d_value = s.widths or (s.d_model, s.d_model)
        x, ndim = self._in("query", query)
        memory, like = x, (len(x), ndim)
        if key is not None:
            memory, _ = self._in("key", key, d_key, like)
        elif value is not None:
            raise ValueError("TorchAttention: key: expected an array where there is a value, got None")
        elif d_key != s.d_model:
            raise ValueError(f"TorchAttention: key: expected an array of width {d_key}, got None")
        if value is None and d_value != memory.shape[-1]:
            raise ValueError(f"TorchAttention: value: expected an array of width {d_value}, got None")
        mask, bias = self._masks(x, memory, ("attn_mask", attn_mask), ("key_padding_mask", key_padding_mask))
        collected: dict[str, Array] | None = {} if need_weights else None
        more = {"keep": keep, "rng": rng, "bias": bias, "collected": collected}
        params: Mapping[str, Array] = self.params
        block: Any = CrossAttention(name, s.d_model, o.n_heads, o.dropout, bias=s.bias)
        dmemory = None
        if key is None:
            block = SelfAttention(name, s.d_model, o.n_heads, o.dropout, bias=s.bias)
            y, c = block.forward(params, x, mask, **more)
        else:
            if value is not None:
                values, _ = self._in("value", value, d_value, like)
                if values.shape[1] != memory.shape[1]:
                    raise ValueError(
                        f"TorchAttention: value: expected {memory.shape[1]} positions as key has, "
                        f"got {values.shape[1]}"
                    )
                memory = np.concatenate([memory, values], axis=-1)
                params = self._side_by_side()
            y, c = block.forward(params, x, memory, mask, **more)
            dmemory = memory.shape
        kept = (block, params, c, dmemory, value is not None) if keep else ()
        return self._out(y, ndim), TorchCache(
            kept, ndim, attention_maps(collected, average_attn_weights, ndim)
        )

    def backward(self, dy: Any, cache: TorchCache, grads: Any) -> tuple[Array, Array | None, Array | None]:
        """Add the gradient of every parameter to `grads`.

        Returns
        -------
        dquery, dkey, dvalue : ndarray, in the layouts of what `forward` was given
            None for one that it was not given, whose gradient is part of the one before.
        """
        dy = self._gradient(dy, cache)
        block, params, c, of_memory, separate = cache.kept
        if of_memory is None:
            return self._out(block.backward(params, dy, c, grads), cache.ndim), None, None
        dmemory = np.zeros(of_memory, np.result_type(dy, self.params.flat))
        if not separate:
            dx = block.backward(params, dy, c, grads, dmemory)
            return self._out(dx, cache.ndim), self._out(dmemory, cache.ndim), None
        wide = {name: np.zeros_like(params[name]) for name in params}
        dx = block.backward(params, dy, c, wide, dmemory)
        d_key = len(self.params["attention.key.weight"])
        wide["attention.key.weight"] = wide["attention.key.weight"][:d_key]
        wide["attention.value.weight"] = wide["attention.value.weight"][d_key:]
        for name in grads:
            grads[name] += wide[name]
        dkey, dvalue = np.split(dmemory, [d_key], axis=-1)
        return tuple(self._out(x, cache.ndim) for x in (dx, dkey, dvalue))  # type: ignore[return-value]

    def _side_by_side(self) -> dict[str, Array]:
        """Return the parameters for a memory that has key and value side by side.

        K = [key, value] [W_k; 0] and V = [key, value] [0; W_v]: the zeros change no number.
        """
        key, value = self.params["attention.key.weight"], self.params["attention.value.weight"]
        above, below = np.zeros_like(value), np.zeros_like(key)
        return {
            **self.params,
            "attention.key.weight": np.concatenate([key, above]),
            "attention.value.weight": np.concatenate([below, value]),
        }
