"""Training: batches, the loop, early stopping and the history of a run."""

from .batches import Batches
from .early_stopping import EarlyStopping
from .full_batch import train_full_batch
from .history import History
from .loop import train
from .monitor import Monitor
from .state import TrainingState

__all__ = [
    "Batches",
    "EarlyStopping",
    "History",
    "Monitor",
    "TrainingState",
    "train",
    "train_full_batch",
]
