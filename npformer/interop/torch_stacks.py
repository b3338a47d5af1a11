"""torch.nn's encoder, decoder and Transformer with npformer's blocks inside."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..models import Parameters
from .torch_arrays import Array
from .torch_module import Options, TorchCache, TorchModule, attention_maps
from .torch_names import Structure


class TorchEncoder(TorchModule):
    """torch.nn.TransformerEncoder, or one TransformerEncoderLayer; made by `from_torch_state_dict`.

    Attributes
    ----------
    stack : Stack
        Of `EncoderLayer`, whose parameters lie below "encoder.0", "encoder.1", ...
    """

    def __init__(self, structure: Structure, options: Options, params: Parameters) -> None:
        super().__init__(structure, options, params)
        self.stack = self._stack("encoder")

    def forward(
        self,
        src: Any,
        *,
        src_mask: Any = None,
        src_key_padding_mask: Any = None,
        need_weights: bool = False,
        average_attn_weights: bool = True,
        rng: Any = None,
        keep: bool = True,
    ) -> tuple[Array, TorchCache]:
        """Run the layers.

        Parameters
        ----------
        src : array or tensor, shape (T, B, d_model), with `batch_first` (B, T, d_model), or (T, d_model)
        src_mask : shape (T, T) or (B · h, T, T), optional
            TransformerEncoder calls it mask.
        src_key_padding_mask : shape (B, T), optional
        need_weights, average_attn_weights, rng, keep
            As in `TorchAttention.forward`.

        Returns
        -------
        y : ndarray, in the layout of `src`
        cache : TorchCache
        """
        x, ndim = self._in("src", src)
        mask, bias = self._masks(x, x, ("src_mask", src_mask), ("src_key_padding_mask", src_key_padding_mask))
        collected: dict[str, Array] | None = {} if need_weights else None
        y, c = self.stack.forward(
            self.params, x, mask, keep=keep, rng=rng, collected=collected, of_layer={"bias": bias}
        )
        maps = attention_maps(collected, average_attn_weights, ndim)
        return self._out(y, ndim), TorchCache((c,) if keep else (), ndim, maps)

    def backward(self, dy: Any, cache: TorchCache, grads: Any) -> Array:
        """Add the gradient of every parameter to `grads`; return dsrc."""
        dy = self._gradient(dy, cache)
        (c,) = cache.kept
        return self._out(self.stack.backward(self.params, dy, c, grads), cache.ndim)


class TorchDecoder(TorchModule):
    """torch.nn.TransformerDecoder, or one TransformerDecoderLayer; made by `from_torch_state_dict`.

    Attributes
    ----------
    stack : Stack
        Of `DecoderLayer`, whose parameters lie below "decoder.0", "decoder.1", ...
    """

    def __init__(self, structure: Structure, options: Options, params: Parameters) -> None:
        super().__init__(structure, options, params)
        self.stack = self._stack("decoder")

    def forward(
        self,
        tgt: Any,
        memory: Any,
        *,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        need_weights: bool = False,
        average_attn_weights: bool = True,
        rng: Any = None,
        keep: bool = True,
    ) -> tuple[Array, TorchCache]:
        """Run the layers. Nothing is causal but by `tgt_mask`, as in PyTorch.

        Parameters
        ----------
        tgt : array or tensor, shape (T, B, d_model), with `batch_first` (B, T, d_model), or (T, d_model)
        memory : the same with S for T
        tgt_mask : shape (T, T) or (B · h, T, T), optional
        memory_mask : shape (T, S) or (B · h, T, S), optional
        tgt_key_padding_mask : shape (B, T), optional
        memory_key_padding_mask : shape (B, S), optional
        need_weights, average_attn_weights, rng, keep
            As in `TorchAttention.forward`.

        Returns
        -------
        y : ndarray, in the layout of `tgt`
        cache : TorchCache
        """
        x, ndim = self._in("tgt", tgt)
        m, _ = self._in("memory", memory, like=(len(x), ndim))
        mask, bias = self._masks(x, x, ("tgt_mask", tgt_mask), ("tgt_key_padding_mask", tgt_key_padding_mask))
        memory_mask, memory_bias = self._masks(
            x, m, ("memory_mask", memory_mask), ("memory_key_padding_mask", memory_key_padding_mask)
        )
        collected: dict[str, Array] | None = {} if need_weights else None
        of_layer = {
            "causal": False,
            "bias": bias,
            "memory": m,
            "memory_mask": memory_mask,
            "memory_bias": memory_bias,
        }
        y, c = self.stack.forward(
            self.params, x, mask, keep=keep, rng=rng, collected=collected, of_layer=of_layer
        )
        maps = attention_maps(collected, average_attn_weights, ndim)
        return self._out(y, ndim), TorchCache((c, m) if keep else (), ndim, maps)

    def backward(self, dy: Any, cache: TorchCache, grads: Any) -> tuple[Array, Array]:
        """Add the gradient of every parameter to `grads`; return dtgt and dmemory."""
        dy = self._gradient(dy, cache)
        c, m = cache.kept
        dmemory = np.zeros(m.shape, np.result_type(m, dy, self.params.flat))
        dx = self.stack.backward(self.params, dy, c, grads, {"dmemory": dmemory})
        return self._out(dx, cache.ndim), self._out(dmemory, cache.ndim)


class TorchTransformer(TorchModule):
    """torch.nn.Transformer; made by `from_torch_state_dict`.

    Attributes
    ----------
    encoder : TorchEncoder
    decoder : TorchDecoder
        Both have the parameters of the whole.
    """

    def __init__(self, structure: Structure, options: Options, params: Parameters) -> None:
        super().__init__(structure, options, params)
        self.encoder = TorchEncoder(structure, options, params)
        self.decoder = TorchDecoder(structure, options, params)

    def forward(
        self,
        src: Any,
        tgt: Any,
        *,
        src_mask: Any = None,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        src_key_padding_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        need_weights: bool = False,
        average_attn_weights: bool = True,
        rng: Any = None,
        keep: bool = True,
    ) -> tuple[Array, TorchCache]:
        """Read `src`, then run the decoder on `tgt`; the arguments are those of the two.

        As in PyTorch, the decoder sees the padding of `src` unless `memory_key_padding_mask` hides it.

        Returns
        -------
        y : ndarray, in the layout of `tgt`
        cache : TorchCache
        """
        more = {
            "need_weights": need_weights,
            "average_attn_weights": average_attn_weights,
            "rng": rng,
            "keep": keep,
        }
        memory, c_encoder = self.encoder.forward(
            src, src_mask=src_mask, src_key_padding_mask=src_key_padding_mask, **more
        )
        y, c_decoder = self.decoder.forward(
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            **more,
        )
        maps = c_encoder.attention_weights | c_decoder.attention_weights
        return y, TorchCache((c_encoder, c_decoder) if keep else (), c_decoder.ndim, maps)

    def backward(self, dy: Any, cache: TorchCache, grads: Any) -> tuple[Array, Array]:
        """Add the gradient of every parameter to `grads`; return dsrc and dtgt."""
        self._gradient(dy, cache)
        c_encoder, c_decoder = cache.kept
        dtgt, dmemory = self.decoder.backward(dy, c_decoder, grads)
        return self.encoder.backward(dmemory, c_encoder, grads), dtgt
