"""Generation from texts to texts, with a tokenizer: what the command does.

    decoder            reads the text as it is
    encoder-decoder    reads [CLS] text [SEP], and begins its own with [CLS]

Both end with [SEP]. What the vocabulary lacks is read as [UNK] (`unknown_tokens` tells). Texts of about the
same length share a batch, batches are shared over the cores.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from .._threads import available_cores, one_blas_thread
from ..models import Decoder, EncoderDecoder
from ..text.sentinels import encode_sentinels
from .beam import EarlyStopping, beam_search
from .generate import generate, stream
from .prompts import require_model, require_threads
from .results import Generation, Piece
from .weights import without_adapters

BATCH = 32  # texts


def generate_texts(
    model: Decoder | EncoderDecoder,
    tokenizer: Any,
    texts: Sequence[str],
    *,
    n: int = 1,
    beams: int = 1,
    length_penalty: float = 1.0,
    early_stopping: EarlyStopping = False,
    max_new_tokens: int = 64,
    repetition_penalty: float = 1.0,
    stop_strings: Sequence[str] = (),
    seed: int = 0,
    threads: int | None = None,
    **sampling: Any,
) -> list[list[Generation]]:
    """Continue texts, or turn sources into targets.

    Parameters
    ----------
    model : Decoder or EncoderDecoder
    tokenizer : WordPieceTokenizer, or another with its methods
    texts : sequence of str
    n : int
        Results for each text: the best of `beams`, or so many draws.
    beams : int
        Above 1: beam search, see `beam_search`.
    length_penalty, early_stopping
        Of the beam search.
    max_new_tokens, repetition_penalty, stop_strings
        See `generate`. A decoder's context slides.
    seed : int
        Draw j for text i has the stream (seed, i, j).
    threads : int, optional
        Default: as many as there are cores. Of BLAS for one batch; of Python, with one BLAS thread each, for
        several. What is computed is the same up to the last bits, which depend on it.
    **sampling
        temperature, top_k, top_p, min_p of `generate`.

    Returns
    -------
    list of list of Generation
        `n` for each text, the best first where they come from beams.

    Raises
    ------
    ValueError, TypeError
        As `generate` and `beam_search`; and if a text is empty or too long, `n` is below 1, several results
        are wanted of greedy decoding, which has one, or a setting of draws comes with beams.
    """
    if isinstance(texts, str):
        raise TypeError(f"texts: expected a sequence of texts, got one: [{texts[:20]!r}]")
    require_model("generate", model)
    require_threads("generate", threads)
    if n < 1:
        raise ValueError(f"n: expected at least 1, got {n}")
    drawing = bool(sampling.get("temperature"))
    if n > 1 and beams == 1 and not drawing:
        raise ValueError(f"n: expected 1, as greedy decoding has one result, got {n} (temperature, or beams)")
    if beams > 1 and drawing:
        raise ValueError(f"beams: expected 1 with a temperature, got {beams}")
    for name, value in sampling.items():
        if beams > 1 and name != "temperature" and value is not None:
            raise ValueError(f"beams: expected 1 with {name}, which is of draws, got {beams}")
    prompts, options = encoded(model, tokenizer, texts)
    model = without_adapters(model)  # once for all batches
    options |= {
        "max_new_tokens": max_new_tokens,
        "repetition_penalty": repetition_penalty,
        "stop_strings": stop_strings,
        "tokenizer": tokenizer,
    }
    results: list[list[Generation]] = [[] for _ in prompts]

    def work(places: list[int], threads: int | None = None) -> None:
        some = [prompts[i] for i in places]
        if beams != 1:
            search: dict[str, Any] = {
                "threads": threads,
                "length_penalty": length_penalty,
                "early_stopping": early_stopping,
            }
            for i, found in zip(
                places, beam_search(model, some, beams=beams, n=n, **search, **options), strict=True
            ):
                results[i] = found
            return
        seeds: Any = [(seed, i, j) for i in places for j in range(n)]
        slide = isinstance(model, Decoder)
        repeated = [ids for ids in some for _ in range(n)]
        drawn = generate(model, repeated, seed=seeds, slide=slide, threads=threads, **sampling, **options)
        for row, i in enumerate(places):
            results[i] = drawn[row * n : (row + 1) * n]

    order = np.argsort([-len(ids) for ids in prompts], kind="stable").tolist()
    workers = available_cores() if threads is None else threads
    size = max(1, min(BATCH, -(-len(order) // workers)))
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    if len(batches) == 1:
        work(batches[0], threads)
        return results
    with one_blas_thread() as held, ThreadPoolExecutor(workers if held else 1, "generate") as executor:
        list(executor.map(work, batches))  # raises here what a thread has raised
    return results


def stream_text(
    model: Decoder | EncoderDecoder,
    tokenizer: Any,
    text: str,
    *,
    seed: int = 0,
    place: int = 0,
    **options: Any,
) -> Iterator[Piece]:
    """Yield tokens and pieces of text for one text as they come: the same as `generate_texts` of it.

    Parameters
    ----------
    model, tokenizer
        As in `generate_texts`.
    text : str
    seed : int
    place : int
        Of the text among others, for its stream of random numbers.
    **options
        Of `stream`.
    """
    prompts, of_model = encoded(model, tokenizer, [text])
    seeds: Any = [(seed, place, 0)]
    slide = isinstance(model, Decoder)
    return stream(model, prompts, seed=seeds, slide=slide, tokenizer=tokenizer, **of_model, **options)


def encoded(
    model: Decoder | EncoderDecoder, tokenizer: Any, texts: Sequence[str]
) -> tuple[list[list[int]], dict[str, Any]]:
    """Return the prompts or sources, and how a sequence begins and ends, as options of `generate`.

    Special tokens written in a text are text, except that the sentinels of a source are tokens.

    Raises
    ------
    ValueError
        If a text is empty or longer than what the model reads, or there is none at all.
    """
    if not texts:
        raise ValueError("texts: expected at least one, got none")
    options = {"stop_tokens": tokenizer.sep_id}
    if isinstance(model, Decoder):
        what, ids = "prompt", [_ids(tokenizer, text, False) for text in texts]
    else:
        what = "source"
        ids = [[tokenizer.cls_id, *_ids(tokenizer, text, True), tokenizer.sep_id] for text in texts]
        options["begin"] = tokenizer.cls_id
    longest = model.config.max_positions
    for number, (text, of_text) in enumerate(zip(texts, ids, strict=True), 1):
        if not of_text or (what == "source" and not text.strip()):
            raise ValueError(f"{what} {number}: expected a text, got an empty one")
        if len(of_text) > longest:
            raise ValueError(
                f"{what} {number}: expected at most max_positions = {longest} tokens, got {len(of_text)}"
            )
    return ids, options


def _ids(tokenizer: Any, text: str, source: bool) -> list[int]:
    if source:
        return encode_sentinels(tokenizer, text)
    ids: list[int] = tokenizer.encode_plain(text, specials=False)
    return ids


def unknown_tokens(tokenizer: Any, texts: Sequence[str], sources: bool = False) -> str | None:
    """Return a line on what of the texts the vocabulary lacks, and is read as [UNK]; None for nothing.

    Parameters
    ----------
    tokenizer : WordPieceTokenizer or CharacterTokenizer
    texts : sequence of str
    sources : bool
        Whether they are sources, whose sentinels are tokens.

    Examples
    --------
    >>> from npformer.text import CharacterTokenizer
    >>> unknown_tokens(CharacterTokenizer.train(["ab "]), ["ab", "a bc", "d"])
    'text 2: of 4 tokens 1 is not in the vocabulary and read as [UNK], in bc; so in 1 more text'
    """
    found = [
        (number, ids)
        for number, text in enumerate(texts, 1)
        if tokenizer.unk_id in (ids := _ids(tokenizer, text, sources))
    ]
    if not found:
        return None
    number, ids = found[0]
    words = [
        word
        for word in dict.fromkeys(texts[number - 1].split())
        if tokenizer.unk_id in _ids(tokenizer, word, sources)
    ]
    count, others = ids.count(tokenizer.unk_id), len(found) - 1
    verb = "is" if count == 1 else "are"
    line = f"text {number}: of {len(ids)} tokens {count} {verb} not in the vocabulary and read as [UNK]"
    if words:
        line += f", in {' '.join(words[:5])}{' ...' if len(words) > 5 else ''}"
    return line + (f"; so in {others} more text{'s' if others > 1 else ''}" if others else "")
