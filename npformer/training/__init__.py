"""Training: the loop, lanes over threads, checkpoints, metrics, evaluation beside baselines.

prepared = with_settled_steps(prepare(read_corpus("poems/"), preset("tiny", steps=500)), threads=2)
run = create_run("runs/poems", prepared)
result = fit(run)                            # again with open_run("runs/poems") after an interruption
"""

from .checkpoints import Checkpoint, load_checkpoint, load_newest, save_checkpoint
from .config import RunConfig
from .embed import Neighbour, embed, nearest
from .evaluate import Evaluation, evaluate
from .example import example_sentence
from .fill import Prediction, fill, load_model
from .initial import Start, read_start
from .loop import fit
from .pace import settle_with_the_first, with_settled_steps
from .prepare import Prepared, prepare
from .presets import DEFAULT, PRESETS, preset
from .ranks import Ranks, start_ranks
from .run import Run, create_run, free_folder, open_run, require_free
from .signals import Interruption
from .step import gradient
from .tasks import TASKS, table
from .tasks.masked import fixed_corruptions
from .teacher import student_of
from .trainer import Trainer, TrainingStopped

__all__ = [
    "DEFAULT",
    "PRESETS",
    "TASKS",
    "Checkpoint",
    "Evaluation",
    "Interruption",
    "Neighbour",
    "Prediction",
    "Prepared",
    "Ranks",
    "Run",
    "RunConfig",
    "Start",
    "Trainer",
    "TrainingStopped",
    "create_run",
    "embed",
    "evaluate",
    "example_sentence",
    "fill",
    "fit",
    "fixed_corruptions",
    "free_folder",
    "gradient",
    "load_checkpoint",
    "load_model",
    "load_newest",
    "nearest",
    "open_run",
    "prepare",
    "preset",
    "read_start",
    "require_free",
    "save_checkpoint",
    "settle_with_the_first",
    "start_ranks",
    "student_of",
    "table",
    "with_settled_steps",
]
