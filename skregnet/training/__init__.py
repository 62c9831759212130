"""Training: batches, the loop, early stopping and the history of a run."""

from .batches import Batches
from .early_stopping import EarlyStopping
from .full_batch import train_full_batch
from .history import History
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
    "train",
    "train_full_batch",
]
