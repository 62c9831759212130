"""Training: batches, the loop, early stopping and the history of a run."""

from .batches import Batches
from .early_stopping import EarlyStopping
from .full_batch import train_full_batch
from .history import History, print_progress
from .loop import TrainingState, train
from .monitor import Monitor
from .source import Source

__all__ = [
    "Batches",
    "EarlyStopping",
    "History",
    "Monitor",
    "Source",
    "TrainingState",
    "print_progress",
    "train",
    "train_full_batch",
]
