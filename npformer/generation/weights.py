"""A model's weights as decoding reads them, once for every token: adapters merged, matrices laid out."""

from __future__ import annotations

import copy

from ..models import Decoder, EncoderDecoder, merge_lora


def without_adapters(model: Decoder | EncoderDecoder) -> Decoder | EncoderDecoder:
    """Return the model with its adapters merged, or itself; else each step would merge them again."""
    if model.config.lora is None:
        return model
    merged: Decoder | EncoderDecoder = merge_lora(model)
    return merged


def for_decoding(model: Decoder | EncoderDecoder, threads: int) -> Decoder | EncoderDecoder:
    """Return the model as it writes one text fastest, with so many threads of BLAS.

    Several share the products of one row with a matrix, and read it fastest in the order of
    `Parameters.for_decoding`, a copy that takes about 5 ns a number.

    Parameters
    ----------
    model : Decoder or EncoderDecoder
        Not changed.
    threads : int

    Returns
    -------
    Decoder or EncoderDecoder
        Without adapters. Its last bits may be others.

    Examples
    --------
    >>> from npformer.models import DecoderConfig
    >>> model = Decoder(DecoderConfig.gpt2(vocab_size=30, d_model=8, n_heads=2, n_layers=2, max_positions=10))
    >>> for_decoding(model, 1) is model
    True
    >>> "decoder.0.attention.query.weight" in for_decoding(model, 2).params.transposed
    True
    """
    model = without_adapters(model)
    if threads > 1:
        model = copy.copy(model)
        model.params = model.params.for_decoding()
    return model
