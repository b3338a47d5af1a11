"""What generation gives back."""

from __future__ import annotations

from typing import Literal, NamedTuple

# why a sequence ended: a stop token, a stop string, max_new_tokens, or the end of the model's positions
Finished = Literal["stop_token", "stop_string", "length", "context"]


class Generation(NamedTuple):
    """A sequence that has been written.

    Attributes
    ----------
    ids : list of int
        The new tokens, a stop token at their end among them.
    logprobs : list of float
        Natural logarithm of the probability of each by the model itself, before temperature and filters.
    score : float
        Their sum; after beam search the sum over length ** length_penalty, of what the repetition penalty
        has made of them.
    finished : {"stop_token", "stop_string", "length", "context"}
        Why it ended.
    text : str or None
        The new text, without stop token or stop string; None without a tokenizer.
    """

    ids: list[int]
    logprobs: list[float]
    score: float
    finished: Finished
    text: str | None = None


class Piece(NamedTuple):
    """A token as it comes.

    Attributes
    ----------
    sequence : int
        Place of its sequence among the prompts.
    token : int
    logprob : float
    text : str or None
        What is certain by now of the text that has not come yet; None without a tokenizer. All pieces of a
        sequence make up its text.
    finished : str or None
        Why the sequence ends here, if it does.
    """

    sequence: int
    token: int
    logprob: float
    text: str | None
    finished: Finished | None
