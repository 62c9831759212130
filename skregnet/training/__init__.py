"""Training: batches, the loop, early stopping and the history of a run."""

from .batches import Batches
from .early_stopping import CycleStopping, EarlyStopping, NoisyPlateau
from .full_batch import train_full_batch
from .history import History
from .loop import train
from .monitor import Monitor
from .state import Checkpoint, TrainingState

__all__ = [
    "Batches",
    "Checkpoint",
    "CycleStopping",
    "EarlyStopping",
    "History",
    "Monitor",
    "NoisyPlateau",
    "TrainingState",
    "train",
    "train_full_batch",
]
