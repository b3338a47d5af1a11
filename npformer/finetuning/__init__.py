"""Fine-tuning: a model that was pre-trained learns a task from labelled examples.

model, tokenizer = load_model("runs/pretrain-1")
train, dev = (read_examples(file, "classify").examples for file in ("train.tsv", "dev.tsv"))
result = finetune(model, tokenizer, train, dev, Recipe("classify"), "runs/finetune-1")
"""

from .examples import Task, predict_examples
from .folder import load_task_model, save_task_model
from .hold_out import hold_out
from .kinds import KINDS, Kind
from .kinds.kind import Prediction
from .loop import finetune
from .model import prepare_model
from .predict import predict
from .recipe import Recipe
from .score import score
from .seeds import finetune_seeds

__all__ = [
    "KINDS",
    "Kind",
    "Prediction",
    "Recipe",
    "Task",
    "finetune",
    "finetune_seeds",
    "hold_out",
    "load_task_model",
    "predict",
    "predict_examples",
    "prepare_model",
    "save_task_model",
    "score",
]
