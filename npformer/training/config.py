"""The configuration of a pre-training run: every choice in one place, checked when it is made."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from ..objectives.masking import STRATEGIES
from ..objectives.span_corruption import sentinels_needed
from ..optim import (
    SGD,
    Adam,
    AdamW,
    Schedule,
    constant,
    cosine,
    decays,
    linear,
    make_segments,
    noam,
    segments_within,
)
from ..text import Tokenizer
from ..text.tokenizers import KINDS
from . import draws
from .tasks import PARTICULAR, Task, task_of

SCHEDULES = ("cosine", "linear", "constant", "noam")


@dataclass(frozen=True)
class RunConfig:
    """What a pre-training run is; together with the data, its every bit follows from this.

    Parameters
    ----------
    objective : {"mlm", "rtd", "simcse", "clm", "seq2seq", "t5", "prefix", "mlm+nsp", "mlm+sop"}
        What is learnt, and so which model: see tasks/. A part of a sum may have a weight, "mlm+0.5*nsp". The
        other defaults here are those of mlm; `preset` has those of the others. A field that the objective has
        no use for is refused if it is not its default.
    seed : int
    steps : int, optional
        How many; None where `minutes` says how long.
    minutes : float, optional
        Turned into a number of steps before the first.
    layers, d_model, heads, d_ff : int
        Of the model, of both stacks where it has two; d_ff None = 4 · d_model, of swiglu two thirds of that.
    norm, positions, activation, dropout, rotary_base, init_std, embedding_std, neighbour_heads
        See `EncoderConfig`, `DecoderConfig`, `EncoderDecoderConfig`. (BERT's 0.02 suits a width of 768; a
        narrow encoder that begins so small spends a third of a short run on the plateau of unigram loss,
        docs/pretraining.md.) `neighbour_heads` None = half of the heads where the positions are rotary; where
        they are not, `rotary_base` says nothing.
    norm_type : {"layer_norm", "rms_norm"}
        Of a decoder; with "rms_norm" its linear maps have no biases, as Llama's.
    embedding_init : {"cooccurrence", "random"}
        Tokens begin from what stands beside them in the training text, of pairs also from the pairs that they
        stand in (cooccurrence.py); or anywhere.
    tokenizer : {"wordpiece", "char"}
        With "char" every character is a token, capitals too, and `vocab_size` and `cased` say nothing.
    held_out_tail : float, optional
        Hold out this share of the text at its end; None: a tenth, in blocks from all over it.
    vocab_size, cased
        Of the WordPiece tokenizer; the run's vocabulary is smaller where the text supports no more.
    lines : bool
        Of simcse: a line's end is a sentence's end, too.
    seq_len, batch_size, accumulate : int
        Tokens in a sequence, the most of a source and of a target; sequences in a step: batch_size ·
        accumulate. With `accumulate` above 1 a step's batch is made in pieces as they are needed (parts.py):
        less memory, the same bits.
    mask_rate : float
        Share of the tokens that are targets in training. (Evaluation has its own, 15 %.)
    masking : {"token", "whole_word", "span"}
        Whether tokens, words or spans of words are chosen in training, anew in every epoch
        (objectives/masking.py). (Evaluation chooses tokens.)
    label_smoothing : float
        Of an encoder-decoder's loss in training; the held-out loss has none.
    generator_size : float
        Of rtd: the share of the discriminator's heads that the generator has; see `ElectraConfig.scaled`.
    corruption_rate, span_length : float
        Of t5: the share of a text that is taken out, and how many tokens a span has in the mean.
    teacher : str, optional
        Folder of a finished run of the same objective, mlm or clm, from whose model this one learns
        (objectives/distillation.py); its tokenizer is this run's.
    alpha : float
        With a teacher: its share of the loss.
    temperature : float, optional
        With a teacher, what its logits and the student's are divided by, None = 2; of simcse, what cosines
        are, None = 0.05.
    optimizer : {"adamw", "adam", "sgd"}
    lr : float
        The highest rate.
    schedule : {"cosine", "linear", "constant", "noam"}
    warmup : float
        Share of the steps in which the rate rises.
    weight_decay, momentum, beta1, beta2 : float
        `momentum` is SGD's; the betas are Adam's and AdamW's.
    clip : float
        Largest norm of the gradient; 0 = no clipping.
    lanes : int
        See step.py.
    recompute : bool
        Keep the layers' inputs alone and run their forwards again in the backward: less memory for long
        sequences, a third more work, the same bits.
    shard_optimizer : bool
        Over several ranks (ranks.py), each keeps the optimizer's state for its part of the parameters alone;
        the same bits.
    eval_every, checkpoint_every : int, optional
        In steps; None: a tenth of the run, and for checkpoints 500 steps at most.
    dtype : {"float32", "float64"}

    Raises
    ------
    ValueError
        Naming the field, what was expected and what came.

    Examples
    --------
    >>> RunConfig(steps=-3)
    Traceback (most recent call last):
    ...
    ValueError: steps: expected a whole number of at least 1, got -3
    """

    objective: str = "mlm"
    seed: int = 0
    steps: int | None = None
    minutes: float | None = None
    layers: int = 4
    d_model: int = 128
    heads: int = 4
    d_ff: int | None = None
    norm: str = "pre"
    norm_type: str = "layer_norm"
    positions: str = "rotary"
    rotary_base: float = 100.0
    activation: str = "gelu"
    dropout: float = 0.0
    init_std: float = 0.04
    embedding_std: float = 0.15
    neighbour_heads: int | None = None
    embedding_init: str = "cooccurrence"
    tokenizer: str = "wordpiece"
    held_out_tail: float | None = None
    vocab_size: int = 4000
    cased: bool = False
    lines: bool = False
    seq_len: int = 64
    batch_size: int = 16
    accumulate: int = 1
    mask_rate: float = 0.4
    masking: str = "token"
    label_smoothing: float = 0.0
    generator_size: float = 0.25
    corruption_rate: float = 0.15
    span_length: float = 3.0
    teacher: str | None = None
    alpha: float = 0.5
    temperature: float | None = None
    optimizer: str = "adamw"
    lr: float = 2e-3
    schedule: str = "cosine"
    warmup: float = 0.05
    weight_decay: float = 0.01
    momentum: float = 0.9
    beta1: float = 0.9
    beta2: float = 0.98
    clip: float = 1.0
    lanes: int = 2
    recompute: bool = False
    shard_optimizer: bool = False
    eval_every: int | None = None
    checkpoint_every: int | None = None
    dtype: str = "float32"

    def __post_init__(self) -> None:
        task_of(self.objective)  # or it says which there are
        if self.steps is None and self.minutes is None:
            raise ValueError("steps: expected a number of steps, or minutes, got neither")
        least = {"seed": 0, "neighbour_heads": 0, "seq_len": 8, "vocab_size": 10}
        optional = ("steps", "d_ff", "neighbour_heads", "eval_every", "checkpoint_every")
        whole = ("seed", "steps", "layers", "d_model", "heads", "d_ff", "vocab_size", "seq_len", "batch_size")
        for name in (*whole, "accumulate", "lanes", "neighbour_heads", "eval_every", "checkpoint_every"):
            value, low = getattr(self, name), least.get(name, 1)
            if value is None and name in optional:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise ValueError(f"{name}: expected a whole number of at least {low}, got {value}")
        ranges: tuple[tuple[str, float, float, bool], ...] = (
            ("minutes", 0.0, math.inf, True),
            ("rotary_base", 1.0, math.inf, True),
            ("init_std", 0.0, math.inf, True),
            ("embedding_std", 0.0, math.inf, True),
            ("dropout", 0.0, 1.0, False),
            ("held_out_tail", 0.0, 1.0, True),
            ("mask_rate", 0.0, 1.0, True),
            ("label_smoothing", 0.0, 1.0, False),
            ("corruption_rate", 0.0, 1.0, True),
            ("span_length", 1.0, math.inf, False),
            ("temperature", 0.0, math.inf, True),
            ("lr", 0.0, math.inf, True),
            ("warmup", 0.0, 1.0, False),
            ("weight_decay", 0.0, math.inf, False),
            ("momentum", 0.0, 1.0, False),
            ("beta1", 0.0, 1.0, False),
            ("beta2", 0.0, 1.0, False),
            ("clip", 0.0, math.inf, False),
        )
        for name, lower, high, open_low in ranges:
            value = getattr(self, name)
            if value is None and name in ("minutes", "held_out_tail", "temperature"):
                continue
            inside = isinstance(value, (int, float)) and lower <= value < high  # never NaN
            if not inside or (open_low and value == lower):
                above = f"above {lower:g}" if open_low else f"of at least {lower:g}"
                below = f" and below {high:g}" if high < math.inf else ""
                raise ValueError(f"{name}: expected a finite number {above}{below}, got {value}")
        for name, allowed in (
            ("norm", ("pre", "post")),
            ("norm_type", ("layer_norm", "rms_norm")),
            ("embedding_init", ("cooccurrence", "random")),
            ("tokenizer", KINDS),
            ("masking", tuple(STRATEGIES)),
            ("optimizer", ("adamw", "adam", "sgd")),
            ("schedule", SCHEDULES),
            ("dtype", ("float32", "float64")),
            *self.task.CHOICES.items(),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}: expected one of {', '.join(allowed)}, got {getattr(self, name)!r}")
        if not (isinstance(self.alpha, (int, float)) and 0 <= self.alpha <= 1):
            raise ValueError(f"alpha: expected a number in [0, 1], got {self.alpha}")
        for name in ("alpha", "temperature"):
            for_teacher = "teacher" in self.task.USES and self.teacher is None
            if for_teacher and getattr(self, name) != getattr(RunConfig, name):
                raise ValueError(f"{name}: without a teacher there is no use for it")
        if self.masking == "whole_word" and self.tokenizer == "char":
            raise ValueError("masking: expected token or span where characters are tokens, got 'whole_word'")
        if self.d_model % self.heads:
            raise ValueError(f"heads: expected a divisor of d_model = {self.d_model}, got {self.heads}")
        for field in fields(self):
            of_others = field.name in PARTICULAR and field.name not in self.task.USES
            if of_others and getattr(self, field.name) != field.default:
                raise ValueError(f"{field.name}: the objective {self.objective} has no use for it")
        self.task.model_config(self, self.vocab_size)  # what is left to check is the model's own

    @property
    def task(self) -> Task:
        """Everything that is particular to the objective."""
        return task_of(self.objective)

    @property
    def n_sentinels(self) -> int:
        """Tokens that stand for spans, which the vocabulary has beside its pieces; 0 without spans."""
        if "span_length" not in self.task.USES:
            return 0
        return sentinels_needed(self.task.width(self.seq_len), self.corruption_rate, self.span_length)

    @property
    def sequences_per_step(self) -> int:
        """Sequences that one update is made from."""
        return self.batch_size * self.accumulate

    def with_steps(self, steps: int) -> RunConfig:
        """Return the configuration of a run of this many steps, its intervals settled as well."""
        tenth = max(1, steps // 10)
        return replace(
            self,
            steps=steps,
            eval_every=self.eval_every or tenth,
            checkpoint_every=self.checkpoint_every or min(tenth, 500),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunConfig:
        """Return the configuration in `values`, refusing unknown fields by name."""
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ValueError(f"{unknown[0]}: not a field of a run's configuration")
        if values.get("teacher") is None and values.get("temperature") == 2:
            values = {**values, "temperature": None}  # as earlier versions wrote it
        return cls(**values)

    def to_json(self) -> str:
        """Return the fields as text."""
        return json.dumps(self.to_dict(), indent=2) + "\n"


# What a configuration means, built.


def build_model(config: RunConfig, vocab_size: int) -> Any:
    """Return the model with its initial weights, which follow from the seed."""
    rng = draws.generator(config.seed, draws.WEIGHTS)
    return config.task.build_model(config, vocab_size, rng)


def build_objective(config: RunConfig, tokenizer: Tokenizer) -> Any:
    """Return the objective of training, with the teacher where there is one."""
    objective = config.task.build_objective(config, tokenizer)
    if config.teacher is None:
        return objective
    from .teacher import with_teacher  # which reads a run

    return with_teacher(objective, config, tokenizer)


def build_optimizer(
    config: RunConfig, model: Any, start: int = 0, stop: int | None = None
) -> SGD | Adam | AdamW:
    """Return the optimizer of the parameters, or their part [start, stop); biases and norms do not decay."""
    stop = model.params.flat.size if stop is None else stop
    flat, betas = model.params.flat[start:stop], (config.beta1, config.beta2)
    segments = make_segments(model.params.layout, decay=decays, weight_decay=config.weight_decay)
    segments = segments_within(segments, start, stop)
    if config.optimizer == "sgd":
        return SGD(flat, config.lr, momentum=config.momentum, segments=segments)
    if config.optimizer == "adam":
        return Adam(flat, config.lr, betas=betas, segments=segments)
    return AdamW(flat, config.lr, betas=betas, segments=segments)


def build_schedule(config: RunConfig) -> Schedule:
    """Return the learning rate of each step, counted from 0."""
    assert config.steps is not None
    warmup = round(config.warmup * config.steps)
    if config.schedule == "constant":
        return constant(config.lr, warmup_steps=warmup)
    if config.schedule == "noam":
        return noam(config.lr, warmup_steps=warmup)
    decay = linear if config.schedule == "linear" else cosine
    return decay(config.lr, config.steps, warmup_steps=warmup)
