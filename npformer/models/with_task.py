"""From pre-training to a task: the encoder's weights stay, the head is a fresh one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .encoder import Encoder


def with_task(
    model: Encoder,
    task: str,
    n_labels: int,
    *,
    pooling: str = "mean",
    dropout: float = 0.0,
    rng: np.random.Generator | None = None,
) -> Encoder:
    """Return a new encoder with the weights of `model` and a fresh head for a task.

    The heads of pre-training are left behind. So is the pooler, unless the task pools with it; where `model`
    has none, it begins fresh too.

    Parameters
    ----------
    model : Encoder
        Which stays as it is.
    task : {"classify", "tag", "regress"}
    n_labels : int
        1 for "regress".
    pooling : {"mean", "cls", "pooler"}
        How a text's outputs become one vector.
    dropout : float
        Of the head's input.
    rng : numpy.random.Generator, optional
        Draws the head's initial weights; default: seed 0.

    Returns
    -------
    Encoder

    Raises
    ------
    ValueError, TypeError
        Naming the field of the configuration, what was expected and what came.

    Examples
    --------
    >>> from npformer.models import EncoderConfig
    >>> config = EncoderConfig(vocab_size=30, d_model=8, n_heads=2, d_ff=16, n_layers=2, max_positions=10)
    >>> pretrained = Encoder(config)
    >>> model = with_task(pretrained, "classify", n_labels=3)
    >>> model.params["task.weight"].shape, "mlm.bias" in model.params
    ((8, 3), False)
    >>> np.array_equal(model.params["embeddings.token"], pretrained.params["embeddings.token"])
    True
    """
    config = replace(
        model.config,
        mlm=False,
        rtd=False,
        pair_head=False,
        pooler=pooling == "pooler" and task != "tag",
        task=task,
        n_labels=n_labels,
        task_pooling=pooling,
        task_dropout=dropout,
    )
    made = Encoder(config, rng, model.params.flat.dtype)
    for name, value in model.params.items():
        if name in made.params and not name.startswith("task."):  # of another task, if there is one
            made.params[name] = value
    return made
